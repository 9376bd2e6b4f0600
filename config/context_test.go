package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

type nothing struct{}

func (nothing) NewResource(pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	panic("a resource")
}
func (nothing) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { panic("a call") }

// fromContext calls FromContext as in a run of the CLI: with the settings in the environment.
func fromContext(t *testing.T, values map[string]string, encrypted ...string) (c *Config, err error) {
	t.Helper()
	all, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(encrypted)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(pulumi.EnvConfig, string(all))
	t.Setenv(pulumi.EnvConfigSecretKeys, string(keys))
	err = pulumi.RunErr(func(ctx *pulumi.Context) error {
		var err error
		c, err = FromContext(ctx)
		return err
	}, pulumi.WithMocks(Namespace, "dev", nothing{}))
	return c, err
}

func TestFromContext(t *testing.T) {
	values := settings(t, "network: {zones: [c, d, e]}")
	values[Namespace+":redisPassword"] = "correct-horse"
	c, err := fromContext(t, values, Namespace+":redisPassword")
	if err != nil {
		t.Fatal(err)
	}
	if c.Stack != "dev" || c.Network.Zones[2] != "e" {
		t.Errorf("loaded %+v", c)
	}
}

func TestFromContextRefuses(t *testing.T) {
	for want, text := range map[string]string{
		"kubeadm-aws:colour\n":     "colour: red",
		"kubeadm-aws:network.zone": "network: {zone: a}",
	} {
		if _, err := fromContext(t, settings(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in: %v", want, err)
		}
	}
	_, err := fromContext(t, settings(t, "addons: {redis: {values: {a: b}}}"), Namespace+":addons")
	if err == nil || !strings.Contains(err.Error(), "holds an encrypted value") {
		t.Errorf("encrypted add-on values: %v", err)
	}
}

// TestFromContextReadsTheFile covers plain `pulumi preview`, which passes on the keys of the first document only.
func TestFromContextReadsTheFile(t *testing.T) {
	t.Chdir(project(t, bareProject, bareStack+"---\nconfig: {}\n"))
	if _, err := fromContext(t, settings(t, "")); err == nil || !strings.Contains(err.Error(), "second YAML document") {
		t.Errorf("a second document: %v", err)
	}
}
