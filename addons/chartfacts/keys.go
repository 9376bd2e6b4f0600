package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

type keySet map[string]bool

const free = "/**"

// chartKeys returns the keys of a chart and, below the names of its subcharts, the keys of those.
func chartKeys(dir string) (keySet, error) {
	keys := keySet{}
	text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading values: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: values.yaml: %w", dir, err)
	}
	keys.addValues("", values)
	if err := keys.addReferences(dir); err != nil {
		return nil, err
	}
	subcharts, err := filepath.Glob(filepath.Join(dir, "charts", "*", "values.yaml"))
	if err != nil {
		return nil, err
	}
	for _, path := range subcharts {
		sub := filepath.Dir(path)
		below, err := chartKeys(sub)
		if err != nil {
			return nil, err
		}
		for key := range below {
			keys[filepath.Base(sub)+"/"+key] = true
		}
	}
	return keys, nil
}

// addValues adds the keys of a tree of values. Below an empty value, any key is allowed.
func (k keySet) addValues(prefix string, values map[string]any) {
	for name, value := range values {
		path := prefix + name
		switch value := value.(type) {
		case map[string]any:
			if len(value) == 0 {
				k[path+free] = true
			}
			k.addValues(path+"/", value)
		case nil:
			k[path+free] = true
		default:
			k[path] = true
		}
	}
}

var reference = regexp.MustCompile(`\.Values((?:\.[A-Za-z0-9_]+)+)`)

// addReferences adds the keys that templates use and the values do not contain.
func (k keySet) addReferences(dir string) error {
	templates := filepath.Join(dir, "templates")
	if _, err := os.Stat(templates); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return filepath.WalkDir(templates, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range reference.FindAllStringSubmatch(string(text), -1) {
			if key := pathOf(match[1]); !k.has(key) {
				k[key] = true
			}
		}
		for _, match := range wholesale.FindAllStringSubmatch(string(text), -1) {
			k[pathOf(match[1]+match[2]+match[3])+free] = true
		}
		return nil
	})
}

// wholesale matches a value that a template writes unchanged: as YAML, in a loop, or as YAML inside a with.
var wholesale = regexp.MustCompile(`toYaml\s+\(?\$?\.Values((?:\.[A-Za-z0-9_]+)+)[\s)|}]` +
	`|range\s[^}]*\$?\.Values((?:\.[A-Za-z0-9_]+)+)\s*-?}}` +
	`|with\s+\$?\.Values((?:\.[A-Za-z0-9_]+)+)\s*-?}}[^{]*{{-?\s*(?:toYaml\s+\.|tpl\s+\(toYaml\s+\.\)|tpl\s+\(\.\s+\|\s+toYaml\))`)

func pathOf(reference string) string { return strings.ReplaceAll(reference[1:], ".", "/") }

// has reports whether a key is known: as itself, as part of a longer key, or below a free key.
func (k keySet) has(key string) bool {
	if k[key] || k[key+free] {
		return true
	}
	for known := range k {
		if strings.HasPrefix(known, key+"/") {
			return true
		}
	}
	return k.belowFree(key)
}

// belowFree reports whether a key is below a key that allows any keys.
func (k keySet) belowFree(key string) bool {
	own := strings.TrimSuffix(key, free)
	parts := strings.Split(own, "/")
	for i := range parts {
		above := strings.Join(parts[:i+1], "/") + free
		if above != key && k[above] {
			return true
		}
	}
	return false
}

// graftDepth is the number of levels of a definition that are listed. Pod templates below that allow any keys.
const graftDepth = 3

func graftAll(keys keySet, grafts []string) error {
	for _, graft := range grafts {
		if strings.HasSuffix(graft, free) {
			keys[graft] = true
			continue
		}
		key, path, ok := strings.Cut(graft, "=")
		if !ok {
			return fmt.Errorf("%q is not <key>=<definition>", graft)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading definition: %w", err)
		}
		type schema struct {
			Properties map[string]yaml.Node `yaml:"properties"`
		}
		var definition struct {
			Spec struct {
				Versions []struct {
					Schema struct {
						OpenAPIV3Schema schema `yaml:"openAPIV3Schema"`
					} `yaml:"schema"`
				} `yaml:"versions"`
			} `yaml:"spec"`
		}
		if err := yaml.Unmarshal(text, &definition); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if len(definition.Spec.Versions) == 0 {
			return fmt.Errorf("%s holds no custom resource definition", path)
		}
		spec := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		if err := keys.graft(key, spec, graftDepth); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (k keySet) graft(path string, node yaml.Node, depth int) error {
	var schema struct {
		Properties map[string]yaml.Node `yaml:"properties"`
		Type       string               `yaml:"type"`
	}
	if err := node.Decode(&schema); err != nil {
		return err
	}
	switch {
	case len(schema.Properties) == 0 && schema.Type != "object":
		k[path] = true
	case len(schema.Properties) == 0 || depth == 0:
		k[path+free] = true
	}
	if depth == 0 {
		return nil
	}
	for name, below := range schema.Properties {
		if err := k.graft(path+"/"+name, below, depth-1); err != nil {
			return err
		}
	}
	return nil
}
