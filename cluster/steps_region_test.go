package cluster

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// The hosts of AWS have different domains in each partition. Snapshots go to the S3 of the stack's region.
func TestSnapshotsGoToTheS3OfEveryRegion(t *testing.T) {
	for _, region := range config.Regions() {
		want := "https://s3." + region + ".amazonaws.com"
		switch {
		case strings.HasPrefix(region, "cn-"):
			want += ".cn"
		case strings.HasPrefix(region, "eusc-"):
			want = "https://s3." + region + ".amazonaws.eu"
		}
		env := steps{cfg: &config.Config{Region: region}}.backupEnv()
		if got := env["S3_ENDPOINT"]; got != pulumi.String(want) {
			t.Errorf("%s: %v, want %s", region, got, want)
		}
	}
}
