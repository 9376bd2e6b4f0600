package sweepline

import (
	"strings"
	"testing"
	"time"
)

func TestParseReadsWhatFormatWrites(t *testing.T) {
	short := Line{Cluster: "dev", Region: "eu-west-1", VPC: "vpc-1", Volumes: Delete, Images: Delete,
		Timeout: DefaultTimeout}
	whole := Line{Cluster: "dev", Region: "eu-west-1", VPC: "vpc-1", Volumes: Keep, Images: Keep, Zone: "Z1",
		Receipt: "r.json", DryRun: true, Timeout: time.Minute}
	for _, want := range []Line{short, whole} {
		if got, err := Parse(want.Format()); err != nil || got != want {
			t.Errorf("%s is parsed as %+v (%v)", want.Format(), got, err)
		}
	}
	if got, want := short.Format(),
		"go run ./sweep --cluster dev --region eu-west-1 --vpc vpc-1 --volumes delete"; got != want {
		t.Errorf("formatted %s, want %s", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for command, want := range map[string]string{
		"rm -r /": "begins with", "go run ./sweep --colour red": "-colour", "go run ./sweep --cluster a": "--region is missing; --volumes",
		"go run ./sweep --cluster a --region b --vpc c --volumes all":               `--volumes is "all"`,
		"go run ./sweep --cluster a --region b --vpc c --volumes keep --images all": `--images is "all"`,
		"go run ./sweep --cluster a --region b --vpc c --volumes keep surely":       `"surely"`,
	} {
		if _, err := Parse(command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", command, err, want)
		}
	}
}
