package addons

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// plain converts inputs to what YAML can hold. Secrets become the word secret.
func plain(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return "[secret]"
	case value.IsOutput():
		return plain(value.OutputValue().Element)
	case value.IsArray():
		items := make([]any, 0, len(value.ArrayValue()))
		for _, item := range value.ArrayValue() {
			items = append(items, plain(item))
		}
		return items
	case value.IsObject():
		return plainMap(value.ObjectValue())
	case value.IsNumber():
		if n := value.NumberValue(); n == float64(int64(n)) {
			return int64(n)
		}
	}
	return value.Mappable()
}

func plainMap(properties resource.PropertyMap) map[string]any {
	node := map[string]any{}
	for key, value := range properties {
		node[string(key)] = plain(value)
	}
	return node
}

// valuesOf returns the values that Helm gets: the inline ones, and the nulls of the values file.
func valuesOf(release registered) map[string]any {
	values := plainMap(release.inputs["values"].ObjectValue())
	if files, ok := release.inputs["valueYamlFiles"]; ok {
		nulls := map[string]any{}
		if err := json.Unmarshal([]byte(files.ArrayValue()[0].AssetValue().Text), &nulls); err != nil {
			panic(err)
		}
		overlay(values, nulls)
	}
	return values
}

// overlay merges maps over maps, key by key.
func overlay(values, over map[string]any) {
	for key, value := range over {
		below, isTree := values[key].(map[string]any)
		if above, alsoTree := value.(map[string]any); isTree && alsoTree {
			overlay(below, above)
			continue
		}
		values[key] = value
	}
}

func golden(t *testing.T, path string, value any) {
	t.Helper()
	var got bytes.Buffer
	encoder := yaml.NewEncoder(&got)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update to make it)", err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%s differs (run the test with -update to accept):\n%s", path, got.String())
	}
}

func TestValuesOfEveryReleaseAreReviewed(t *testing.T) {
	for name, release := range install(t, nil, everything).releases() {
		golden(t, filepath.Join("testdata", "values", name+".yaml"), valuesOf(release))
	}
}

func TestObjectsAreReviewed(t *testing.T) {
	for _, entry := range install(t, nil, everything).resources {
		// Dashboards and definitions are files already.
		if isObject(entry) && !strings.HasPrefix(entry.name, "dashboard-") && !strings.HasPrefix(entry.name, "definition-") {
			golden(t, filepath.Join("testdata", "objects", entry.name+".yaml"), plainMap(entry.inputs))
		}
	}
}
