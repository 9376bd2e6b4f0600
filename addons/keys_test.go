package addons

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// keyList is what chart-facts.sh wrote of one chart.
type keyList map[string]bool

func readKeys(t *testing.T, c registered) keyList {
	t.Helper()
	chart := filepath.Base(c.inputs["chart"].StringValue())
	path := filepath.Join("testdata", "keys", chart+"-"+c.inputs["version"].StringValue()+".txt")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run addons/chart-facts.sh after changing a version", err)
	}
	keys := keyList{}
	for _, key := range strings.Fields(string(text)) {
		keys[key] = true
	}
	return keys
}

// unknown are the paths in values that the chart does not have.
func (k keyList) unknown(prefix string, values map[string]any) []string {
	var paths []string
	for name, value := range values {
		path := prefix + name
		if k[path+"/**"] {
			continue
		}
		below, isMap := value.(map[string]any)
		switch {
		case isMap && k.parent(path):
			paths = append(paths, k.unknown(path+"/", below)...)
		case !k[path]:
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func (k keyList) parent(path string) bool {
	for key := range k {
		if strings.HasPrefix(key, path+"/") {
			return true
		}
	}
	return false
}

// Helm ignores a misspelt key silently, so that a setting would be lost without a word.
func TestChartsKnowEveryValueKeyThatIsSet(t *testing.T) {
	for name, release := range install(t, nil, everything).releases() {
		if unknown := readKeys(t, release).unknown("", valuesOf(release)); len(unknown) > 0 {
			t.Errorf("%s: the chart has no such values: %s", name, strings.Join(unknown, ", "))
		}
	}
}

func TestMisspeltKeysAreFound(t *testing.T) {
	keys := keyList{"grafana/resources/**": true, "grafana/admin/userKey": true, "replicas": true}
	got := keys.unknown("", map[string]any{
		"replica": 1, "replicas": 2,
		"grafana": map[string]any{"resources": map[string]any{"any": 1}, "admin": map[string]any{"user": "x"}, "adminn": true},
	})
	want := []string{"grafana/admin/user", "grafana/adminn", "replica"}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}
