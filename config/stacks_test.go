package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestRequiredPulumiVersion checks that the engine is at least as new as the SDK. An older engine ignores new options
// without a message.
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
