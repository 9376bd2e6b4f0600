package infra

import (
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
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
		if got := w.one("BucketOwnershipControls", name).at("rule",
			"objectOwnership").StringValue(); got != "BucketOwnerEnforced" {
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

// rulesOf returns the lifecycle rules of a bucket by id.
func (w *external) rulesOf(bucket string) map[string]resource.PropertyMap {
	rules := map[string]resource.PropertyMap{}
	for _, r := range w.one("BucketLifecycleConfigurationV2", bucket).at("rules").ArrayValue() {
		rules[r.ObjectValue()["id"].StringValue()] = r.ObjectValue()
	}
	return rules
}

// Age alone must never remove a snapshot: a cluster that has taken none for a while still needs its newest one.
func TestOnlySupersededSnapshotsExpire(t *testing.T) {
	w := deploy(t, "staging", settings{"environment": "staging", "backup": `{"retentionDays":21}`})
	for bucket, days := range map[string]float64{"backups": 21, "logs": 0} {
		for id, rule := range w.rulesOf(bucket) {
			expires := rule["expiration"].ObjectValue()["days"]
			if !expires.HasValue() {
				continue
			}
			tag := rule["filter"].ObjectValue()["tag"]
			if !tag.HasValue() || tag.ObjectValue()["key"].StringValue() != "superseded" ||
				tag.ObjectValue()["value"].StringValue() != "true" {
				t.Errorf("%s/%s removes objects by age alone: filter %v", bucket, id, rule["filter"])
			}
			if got := expires.NumberValue(); got != days {
				t.Errorf("%s/%s: after %v days, want %v", bucket, id, got, days)
			}
		}
		if _, expires := w.rulesOf(bucket)["superseded-snapshots"]; expires != (days > 0) {
			t.Errorf("%s: superseded snapshots expire: %v", bucket, expires)
		}
	}
	expiration := w.rulesOf("backups")["old-versions"]["noncurrentVersionExpiration"].ObjectValue()
	old := expiration["noncurrentDays"].NumberValue()
	if old != 21 {
		t.Errorf("old versions expire after %v days, want 21", old)
	}
}

// A kept bucket stays private, and its objects no longer expire.
func TestAKeptBucketLosesItsRules(t *testing.T) {
	w := deploy(t, "staging", settings{"environment": "staging", "backup": `{"keepBucket":true}`})
	for kind, kept := range map[string]bool{
		"BucketPolicy": true, "BucketPublicAccessBlock": true, "BucketOwnershipControls": true, "BucketVersioningV2": true,
		"BucketServerSideEncryptionConfigurationV2": true, "BucketLifecycleConfigurationV2": false,
	} {
		if got := w.one(kind, "backups").RegisterRPC.GetRetainOnDelete(); got != kept {
			t.Errorf("%s stays after a destroy: %v, want %v", kind, got, kept)
		}
	}
	if got := w.one("BucketLifecycleConfigurationV2",
		"backups").RegisterRPC.GetCustomTimeouts().GetCreate(); got != "10m" {
		t.Errorf("the rules may take %q to show", got)
	}
}

func TestBucketNamesAreNotFixed(t *testing.T) {
	for name, b := range deploy(t, "dev", nil).all("BucketV2") {
		if b.at("bucket").HasValue() {
			t.Errorf("%s has a fixed name: a stack that comes back trips over the bucket it left", name)
		}
	}
}
