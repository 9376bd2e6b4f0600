package config

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// probed are values for a field of a configuration file, by the beginning of its type: ordinary ones, and those at the
// edges.
var probed = []struct {
	typ    string
	values []any
}{
	{"int", []any{0, -1, 1, 99, 65536, 2000000000}},
	{"uint", []any{0, -1, 1, 65536}},
	{"Level", []any{0, -1, 1, 65536}},
	{"bool", []any{true, false}},
	{"float", []any{0, -1, 0.5, 1, 1000000}},
	{"duration", []any{"0s", "-1s", "1ns", "1s", "10s", "5m", "99999h"}},
	{"quantity", []any{"0", "-1", "1m", "100Gi"}},
	{"string", []any{"", "a", "a b", "None", "/x/y", "x:1", "http://a:b", "1.2.3.4", "100Gi", "-1", "é"}},
	{"[]", []any{[]any{}, []any{""}, []any{"a", "a"}, []any{"a b"}, []any{1}, []any{"10.0.0.0/8"}}},
	{"map:", []any{map[string]any{}, map[string]any{"a": "b"}, map[string]any{"": "b"}, map[string]any{"cpu": "100m"},
		map[string]any{"memory.available": "0"}, map[string]any{"a": true}}},
	{"list", []any{[]any{}, []any{map[string]any{}}}},
	{"object", []any{map[string]any{}}},
}

// probedText are values of flags, whose types are checked as text.
var probedText = []string{"0", "-1", "1", "65536", "true", "0s", "1s", "5m", "", "a", "a b", "a,b", "a=b", "a=true",
	"/x/y", "x:1", "pods#100", "1.2.3.4", "https://a.example.com", "100Mi", "é"}

// TestProbesAreAccepted lists the settings of every field and flag of each release that this program accepts. Module
// schematest plays each of them against Kubernetes itself, which must not refuse one.
func TestProbesAreAccepted(t *testing.T) {
	for _, r := range Releases {
		path := "testdata/kubernetes-accepted-" + r.Version[:strings.LastIndex(r.Version, ".")] + ".txt"
		got := acceptedProbes(t, r.Version)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(want) != got {
			t.Errorf("the accepted settings differ from %s (%v): run with -update, and then module schematest", path, err)
		}
	}
}

// acceptedProbes returns one line for each accepted setting of a release: the component and the setting as JSON.
func acceptedProbes(t *testing.T, version string) string {
	t.Helper()
	var lines strings.Builder
	probe := func(kind string, setting map[string]any) {
		text, err := json.Marshal(setting)
		if err != nil {
			t.Fatal(err)
		}
		stack := fmt.Sprintf("cluster: {cni: none, kubernetesVersion: %s}\nkubernetes: {%s: %s}", version, kind, text)
		if _, err := loadText(t, "dev", stack); err == nil {
			fmt.Fprintf(&lines, "%s %s\n", kind, text)
		}
	}
	table := tableOf(version)
	for _, kind := range []string{"kubelet", "kubeProxy", "apiServer", "controllerManager", "scheduler"} {
		for _, name := range sortedKeys(table[kind]) {
			if !strings.HasPrefix(kind, "kube") {
				for _, text := range probedText {
					probe(kind, map[string]any{name: text})
				}
				continue
			}
			for _, p := range probed {
				if strings.HasPrefix(table[kind][name], p.typ) {
					for _, value := range p.values {
						probe(kind, nested(name, value))
					}
				}
			}
		}
	}
	return lines.String()
}

// nested returns the mapping that sets a field such as logging.vmodule[].verbosity.
func nested(field string, value any) map[string]any {
	parts := strings.Split(field, ".")
	slices.Reverse(parts)
	for _, part := range parts {
		if name, isList := strings.CutSuffix(part, "[]"); isList {
			value = map[string]any{name: []any{value}}
		} else {
			value = map[string]any{part: value}
		}
	}
	return value.(map[string]any)
}
