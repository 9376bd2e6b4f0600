package cluster

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// object is a YAML mapping. Its keys are written in alphabetical order, so equal settings give equal text.
type object = map[string]any

// renderYAML writes documents one after the other.
func renderYAML(documents ...object) (string, error) {
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	for _, d := range documents {
		if err := enc.Encode(d); err != nil {
			return "", fmt.Errorf("rendering %v: %w", d["kind"], err)
		}
	}
	if err := enc.Close(); err != nil {
		return "", fmt.Errorf("rendering YAML: %w", err)
	}
	return buf.String(), nil
}

// merge merges over into base, mapping by mapping. Lists and scalars of over replace those of base.
func merge(base, over object) object {
	merged := make(object, len(base)+len(over))
	for k, v := range base {
		merged[k] = v
	}
	for k, v := range over {
		below, isMap := merged[k].(object)
		above, areMaps := v.(object)
		if isMap && areMaps {
			merged[k] = merge(below, above)
			continue
		}
		merged[k] = v
	}
	return merged
}
