package docscheck

import (
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDependabotKnowsEveryModule compares the go.mod files with those that dependabot updates.
func TestDependabotKnowsEveryModule(t *testing.T) {
	var dependabot struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directories []string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, ".github/dependabot.yml")), &dependabot); err != nil {
		t.Fatal(err)
	}
	var updated []string
	for _, u := range dependabot.Updates {
		if u.Ecosystem == "gomod" {
			updated = append(updated, u.Directories...)
		}
	}
	var modules []string
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, file)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case name == "tools/mirror/modules":
			return filepath.SkipDir // what hosts install, at the versions in config/releases.go
		case entry.Name() == "go.mod" && strings.Contains(read(t, name), "\nrequire "):
			modules = append(modules, path.Join("/", filepath.Dir(name)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(updated)
	slices.Sort(modules)
	if !slices.Equal(updated, modules) {
		t.Errorf("dependabot updates\n%v, and these modules have requirements:\n%v", updated, modules)
	}
}
