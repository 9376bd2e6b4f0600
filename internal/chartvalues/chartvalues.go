// Package chartvalues has the value keys of the charts at their pinned versions. Helm ignores a misspelt key
// silently: the driver warns of those in a stack's settings, and tests of package addons look for those in the
// program.
package chartvalues

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

//go:embed keys/*.txt
var keyFiles embed.FS

// Keys is every value key of a chart at its pinned version, as chart-facts.sh found it: paths with slashes, where
// one that ends in /** is free below.
type Keys map[string]bool

// Of reads the list of a chart.
func Of(c catalog.Chart) (Keys, error) {
	text, err := keyFiles.ReadFile("keys/" + c.Name + "-" + c.Version + ".txt")
	if err != nil {
		return nil, fmt.Errorf("value keys of chart %s %s: %w (run addons/chart-facts.sh after changing a version)", c.Name,
			c.Version, err)
	}
	keys := Keys{}
	for _, key := range strings.Fields(string(text)) {
		keys[key] = true
	}
	return keys, nil
}

// Unknown are the paths in values that the chart does not have, sorted. Helm ignores those silently.
func (k Keys) Unknown(values map[string]any) []string {
	found := k.unknownBelow("", values)
	slices.Sort(found)
	return found
}

func (k Keys) unknownBelow(prefix string, values map[string]any) []string {
	var found []string
	for name, value := range values {
		path := prefix + name
		if k[path+"/**"] {
			continue
		}
		below, isMap := kube.Tree(value)
		switch {
		case isMap && k.hasBelow(path):
			found = append(found, k.unknownBelow(path+"/", below)...)
		case !k[path] && !(value == nil && k.hasBelow(path)):
			found = append(found, path)
		}
	}
	return found
}

func (k Keys) hasBelow(path string) bool {
	for key := range k {
		if strings.HasPrefix(key, path+"/") {
			return true
		}
	}
	return false
}

// Misspelt lists which of the user's Helm values their charts do not have, one sentence each. Such a value is not
// refused: the lists are made by reading templates, which can hide a key.
func Misspelt(cfg *config.Config) ([]string, error) {
	settings := cfg.Addons.ByKey()
	var warnings []string
	for _, addon := range catalog.Addons {
		var sections []string
		for _, c := range addon.Charts {
			if c.Fixed {
				continue
			}
			values := settings[addon.Key].Values
			if c.Section != "" {
				values, sections = sectionOf(values, c.Section), append(sections, c.Section)
			}
			keys, err := Of(c)
			if err != nil {
				return nil, err
			}
			for _, path := range keys.Unknown(values) {
				warnings = append(warnings, fmt.Sprintf("addons.%s.values: chart %s %s has no value %s, so Helm would ignore it.",
					addon.Key, c.Name, c.Version, strings.ReplaceAll(path, "/", ".")))
			}
		}
		slices.Sort(sections)
		for name := range settings[addon.Key].Values {
			if sections != nil && !slices.Contains(sections, name) {
				warnings = append(warnings, fmt.Sprintf("addons.%s.values: has no part %s; there are: %s.", addon.Key, name,
					strings.Join(sections, ", ")))
			}
		}
	}
	slices.Sort(warnings)
	return warnings, nil
}

// sectionOf is the part of an add-on's user values that is for one of its charts.
func sectionOf(values map[string]any, name string) map[string]any {
	part, _ := values[name].(map[string]any)
	return part
}
