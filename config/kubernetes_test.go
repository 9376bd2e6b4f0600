package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the list of flags instead of comparing it")

// TestKubernetesCases runs the cases that module schematest runs against Kubernetes itself.
func TestKubernetesCases(t *testing.T) {
	text, err := os.ReadFile("testdata/kubernetes-cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range Releases {
		for line := range strings.Lines(string(text)) {
			if line[0] == '#' {
				continue
			}
			words := strings.SplitN(strings.TrimSpace(line), " ", 3)
			_, err := loadText(t, "dev", fmt.Sprintf("kubernetes: {%s: %s}\ncluster: {kubernetesVersion: %s}", words[0],
				words[2], release.Version))
			if (err == nil) != (words[1] == "ok") {
				t.Errorf("%s: %s%v", release.Version, line, err)
			}
			for _, f := range faultsOf(t, err) {
				if f.Example == "" || !strings.HasPrefix(f.Key, Namespace+":kubernetes."+words[0]) {
					t.Errorf("%s: %s", line, f.Error())
				}
			}
		}
	}
}

// TestEveryFlagHasAClass checks that each flag of both releases is refused by name, has a rule, or is parsed by its
// type. The golden list shows what a new release adds.
func TestEveryFlagHasAClass(t *testing.T) {
	var lines []string
	for _, minor := range minors() {
		table := tableOf(minor + ".0")
		if table == nil {
			t.Fatalf("no table for %s", minor)
		}
		for kind, own := range map[string]map[string]string{"apiServer": ownAPIServer,
			"controllerManager": ownControllerManager, "scheduler": ownScheduler} {
			for name, typ := range table[kind] {
				class := "allowed"
				if ownFlag(name, own) != "" {
					class = "refused"
				} else if flagRules[name] != "" || strings.HasPrefix(name, "concurrent-") || slices.Contains(guarded, name) {
					class = "guarded"
				}
				if _, reason, _ := flagValue(typ, "\x01"); class == "allowed" && reason == "" && typ != "string" &&
					typ != "stringSlice" {
					t.Errorf("%s %s takes every text: its type %s is not read", kind, name, typ)
				}
				lines = append(lines, fmt.Sprintf("%s %s %s", kind, name, class))
			}
			for name := range own {
				if kind != "apiServer" && table[kind][name] == "" {
					t.Errorf("%s: %s is refused and does not exist in %s", kind, name, minor)
				}
			}
		}
	}
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "\n") + "\n"
	const path = "testdata/flags.txt"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != got {
		t.Errorf("the classes of flags differ from %s (%v); run with -update and read the diff", path, err)
	}
}

// guarded are flags whose values have a check in addition to type and rule.
var guarded = []string{
	"enable-admission-plugins", "disable-admission-plugins", "feature-gates", "runtime-config", "tls-cipher-suites",
	"cors-allowed-origins", "leader-elect",
	"oidc-issuer-url", "oidc-client-id",
}

// TestRulesNameFields checks that every rule is used: its field or flag exists in a release.
func TestRulesNameFields(t *testing.T) {
	known := func(name string, kinds ...string) bool {
		return slices.ContainsFunc(minors(), func(minor string) bool {
			return slices.ContainsFunc(kinds, func(kind string) bool { return tableOf(minor + ".0")[kind][name] != "" })
		})
	}
	for name := range kubeletRules {
		if !known(name, "kubelet") {
			t.Errorf("no field %s of the kubelet", name)
		}
	}
	for name := range kubeProxyRules {
		if !known(name, "kubeProxy") {
			t.Errorf("no field %s of kube-proxy", name)
		}
	}
	for name := range flagRules {
		if !known(name, "apiServer", "controllerManager", "scheduler") {
			t.Errorf("no flag %s", name)
		}
	}
	for _, own := range []struct {
		kind   string
		fields map[string]string
	}{{"kubelet", ownKubelet}, {"kubeProxy", ownKubeProxy}} {
		for name := range own.fields {
			if !known(name, own.kind) {
				t.Errorf("no field %s of %s", name, own.kind)
			}
		}
	}
}

// TestAdmissionPluginsAreJoined covers that kubeadm drops its own list when the user gives one.
func TestAdmissionPluginsAreJoined(t *testing.T) {
	for written, want := range map[string]string{
		"AlwaysPullImages":                 "NodeRestriction,AlwaysPullImages",
		"AlwaysPullImages,NodeRestriction": "AlwaysPullImages,NodeRestriction",
	} {
		c, err := loadText(t, "dev", "kubernetes: {apiServer: {enable-admission-plugins: '"+written+"'}}")
		if err != nil || c.Kubernetes.APIServer["enable-admission-plugins"] != want {
			t.Errorf("%s: %v, %v", written, c, err)
		}
	}
}

// TestProgramKubelet compares the values used to find contradictions with those that package cluster writes.
func TestProgramKubelet(t *testing.T) {
	text, err := os.ReadFile("../cluster/testdata/kubeadm/init-" + DefaultRelease().Minor() + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document map[string]any
		if err := documents.Decode(&document); err != nil {
			t.Fatalf("no KubeletConfiguration: %v", err)
		}
		if document["kind"] != "KubeletConfiguration" {
			continue
		}
		for name, want := range programKubelet {
			if !reflect.DeepEqual(document[name], want) {
				t.Errorf("%s is %v, and written as %v", name, want, document[name])
			}
		}
		return
	}
}

// TestProgramTables compares the tables assumed before the user's TOML with those that package cluster writes.
func TestProgramTables(t *testing.T) {
	text, err := os.ReadFile("../cluster/testdata/containerd/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	var headers []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "[") {
			headers = append(headers, line)
		}
	}
	if got := strings.Join(headers, ""); got != programTables {
		t.Errorf("package cluster writes\n%s", got)
	}
}
