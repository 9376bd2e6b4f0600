package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRequiredPulumiVersion: the engine has to be at least as new as the SDK, whose options an older one drops silently.
func TestRequiredPulumiVersion(t *testing.T) {
	modules, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	project, err := os.ReadFile("../Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sdk := regexp.MustCompile(`github.com/pulumi/pulumi/sdk/v3 v([0-9.]+)`).FindStringSubmatch(string(modules))
	if want := `requiredPulumiVersion: ">=` + sdk[1] + `"`; !strings.Contains(string(project), want) {
		t.Errorf("Pulumi.yaml does not say %s", want)
	}
}

func TestShippedStacksLoad(t *testing.T) {
	for _, stack := range []string{"dev", "staging", "prod"} {
		t.Run(stack, func(t *testing.T) {
			c, err := LoadFile(stack, "..")
			if err != nil {
				t.Fatal(err)
			}
			if c.Environment != stack {
				t.Errorf("environment = %s", c.Environment)
			}
			if c.ControlPlane().Name == "" {
				t.Error("no control plane")
			}
		})
	}
}

// TestChartRepositories compares the table with the charts that package addons installs.
func TestChartRepositories(t *testing.T) {
	source, err := os.ReadFile("../addons/versions.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`chart\{"[^"]+", "[^"]+", "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, m[1])
	}
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(chartRepositories, want) {
		t.Errorf("package addons installs from\n%s", strings.Join(want, "\n"))
	}
}
