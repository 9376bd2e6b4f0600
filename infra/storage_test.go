package infra

import (
	"slices"
	"testing"
)

func TestBucketsArePrivateEncryptedVersioned(t *testing.T) {
	w := deploy(t, "staging", settings{"environment": "staging"})
	for _, name := range []string{"backups", "logs"} {
		id := "staging-" + name + "-id"
		block := w.one("BucketPublicAccessBlock", name)
		for _, key := range []string{"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"} {
			if !block.at(key).BoolValue() {
				t.Errorf("%s: %s is off", name, key)
			}
		}
		if got := w.one("BucketVersioningV2", name).at("versioningConfiguration", "status").StringValue(); got != "Enabled" {
			t.Errorf("%s: versioning %s", name, got)
		}
		if got := w.one("BucketOwnershipControls", name).at("rule", "objectOwnership").StringValue(); got != "BucketOwnerEnforced" {
			t.Errorf("%s: ownership %s", name, got)
		}
		if got := len(w.one("BucketServerSideEncryptionConfigurationV2", name).at("rules").ArrayValue()); got != 1 {
			t.Errorf("%s: %d encryption rules", name, got)
		}
		tls := parse(t, w.one("BucketPolicy", name).at("policy").StringValue()).Statement[0]
		arn := "arn:aws:s3:::staging-" + name + "-0a1b2c3"
		if tls.Effect != "Deny" || tls.Principal != "*" || !slices.Equal(tls.Resource, []string{arn, arn + "/*"}) ||
			!slices.Equal(tls.Condition["Bool"]["aws:SecureTransport"], []string{"false"}) {
			t.Errorf("%s: plain HTTP is not refused: %+v", name, tls)
		}
		for _, kind := range []string{
			"BucketVersioningV2", "BucketPolicy", "BucketPublicAccessBlock", "BucketOwnershipControls",
			"BucketServerSideEncryptionConfigurationV2", "BucketLifecycleConfigurationV2",
		} {
			if got := w.one(kind, name).at("bucket").StringValue(); got != id {
				t.Errorf("%s %s is on %s", kind, name, got)
			}
		}
	}
}

func TestSnapshotsExpire(t *testing.T) {
	w := deploy(t, "staging", settings{"environment": "staging", "backup": `{"retentionDays":21}`})
	backups := w.one("BucketLifecycleConfigurationV2", "backups").at("rules").ArrayValue()[0].ObjectValue()
	if got := backups["expiration"].ObjectValue()["days"].NumberValue(); got != 21 {
		t.Errorf("snapshots expire after %v days, want 21", got)
	}
	logs := w.one("BucketLifecycleConfigurationV2", "logs").at("rules").ArrayValue()[0].ObjectValue()
	if logs["expiration"].HasValue() {
		t.Error("S3 deletes chunks that Loki's index still names")
	}
}

func TestBucketNamesAreNotFixed(t *testing.T) {
	for name, b := range deploy(t, "dev", nil).all("BucketV2") {
		if b.at("bucket").HasValue() {
			t.Errorf("%s has a fixed name: a stack that comes back trips over the bucket it left", name)
		}
	}
}
