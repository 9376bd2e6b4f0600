package addons

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Programs without an endpoint setting look for S3 below amazonaws.com.
func TestProgramsFindTheS3OfEveryPartition(t *testing.T) {
	for _, region := range config.Regions() {
		cfg := &config.Config{Region: region}
		b := &builder{cfg: cfg}
		b.args.Config = cfg
		sovereign := strings.HasPrefix(region, "eusc-")
		for program, endpoint := range map[string]any{"Loki": lokiS3(cfg)["endpoint"],
			"PostgreSQL": postgreSQL{b}.objectStore(pulumi.String("postgresql"))["endpointURL"]} {
			if want := "https://s3." + region + ".amazonaws.eu"; sovereign && endpoint != want || !sovereign && endpoint != nil {
				t.Errorf("%s: %s gets the endpoint %v", region, program, endpoint)
			}
		}
	}
}
