package config

import "testing"

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
