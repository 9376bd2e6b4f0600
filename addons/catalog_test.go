package addons

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
)

func TestTheCatalogueMatchesTheInstallation(t *testing.T) {
	installed := slices.Sorted(maps.Keys(install(t, nil, everything).releases()))
	var listed, keys []string
	for _, a := range catalog.Addons {
		var own []string
		for _, c := range a.Charts {
			own = append(own, c.Release)
		}
		listed = append(listed, own...)
		for _, release := range a.Workloads {
			if !slices.Contains(own, release) {
				t.Errorf("%s: verify checks the release %s, which it does not have", a.Name, release)
			}
		}
		if a.Key != "" {
			keys = append(keys, a.Key)
		}
		for _, need := range a.Needs {
			if !slices.ContainsFunc(catalog.Addons, func(other catalog.Addon) bool { return other.Key == need.Key }) {
				t.Errorf("%s needs %s, which is not an add-on", a.Name, need.Key)
			}
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, installed) {
		t.Errorf("the catalogue lists the releases\n%v\ninstalled are\n%v", listed, installed)
	}
	slices.Sort(keys)
	if settings := slices.Sorted(maps.Keys(config.Addons{}.ByKey())); !slices.Equal(keys, settings) {
		t.Errorf("the catalogue has the keys\n%v\nthe settings have\n%v", keys, settings)
	}
}

// TestARMIsDocumented requires a source for each add-on, because its pods may run on ARM workers.
func TestARMIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/addons.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## ARM workers\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, a := range catalog.Addons {
		if _, row, _ := strings.Cut(section, "\n| "+a.Name+" | "); !strings.Contains(row[:strings.Index(row+" |", " |")], "/") {
			t.Errorf("docs/addons.md does not say where the images of %s are built for linux/arm64; an add-on without such "+
				"images has to stay on x86 by kubernetes.io/arch", a.Name)
		}
	}
}

func TestTheCatalogueIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/addons.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| Key | What | Where it runs | Keeps data |\n|---|---|---|---|\n")
	for _, a := range catalog.Addons {
		key := a.When
		if a.Key != "" {
			key = "`" + a.Key + "`"
		}
		fmt.Fprintf(&want, "| %s | %s | %s | %s |\n", key, a.Does, a.Runs, a.Data)
	}
	if !strings.Contains(string(text), want.String()+"\n") {
		t.Errorf("docs/addons.md does not have the table of addons/catalog:\n%s", want.String())
	}
}
