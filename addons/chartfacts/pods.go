package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

type workload struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		Replicas *int `yaml:"replicas"`
		Template struct {
			Spec struct {
				HostNetwork bool `yaml:"hostNetwork"`
				Containers  []struct {
					Name      string `yaml:"name"`
					Resources struct {
						Requests map[string]string `yaml:"requests"`
					} `yaml:"resources"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

// pods returns the containers of the workloads among manifests.
func pods(manifests io.Reader) ([]string, error) {
	var lines []string
	for decoder := yaml.NewDecoder(manifests); ; {
		var document yaml.Node
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			slices.Sort(lines)
			return lines, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading manifests: %w", err)
		}
		var kind struct {
			Kind string `yaml:"kind"`
		}
		if err := document.Decode(&kind); err != nil {
			return nil, fmt.Errorf("reading manifests: %w", err)
		}
		if !slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, kind.Kind) {
			continue
		}
		var w workload
		if err := document.Decode(&w); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.Kind, err)
		}
		replicas, network := "each", "pod"
		if w.Kind != "DaemonSet" {
			replicas = "1"
			if w.Spec.Replicas != nil {
				replicas = fmt.Sprint(*w.Spec.Replicas)
			}
		}
		if w.Spec.Template.Spec.HostNetwork {
			network = "host"
		}
		for _, c := range w.Spec.Template.Spec.Containers {
			lines = append(lines, fmt.Sprintf("%s/%s %s %s %s %s %s", w.Kind, w.Metadata.Name, replicas, network, c.Name,
				orNone(c.Resources.Requests["cpu"]), orNone(c.Resources.Requests["memory"])))
		}
	}
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
