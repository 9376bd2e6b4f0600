package addons

import (
	"regexp"
	"strings"
	"testing"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/chartvalues"
)

var domainKey = regexp.MustCompile(`(?i)(^|/)(clusterDomain|dnsDomain)$`)

// A chart with a setting for the domain of Services builds full names from it. The list of settings comes from the
// charts.
func TestEveryChartGetsTheDomainOfServices(t *testing.T) {
	r := install(t, nil, func(c *config.Config) {
		everything(c)
		c.Cluster.DNSDomain = "services.example.org"
	})
	found := 0
	for name, release := range r.releases() {
		keys, err := chartvalues.Of(catalog.Release(name))
		if err != nil {
			t.Fatal(err)
		}
		for key := range keys {
			if !domainKey.MatchString(key) {
				continue
			}
			found++
			var value any = valuesOf(release)
			for _, step := range strings.Split(key, "/") {
				below, _ := value.(map[string]any)
				value = below[step]
			}
			if value != "services.example.org" {
				t.Errorf("%s: value %s is %v", name, key, value)
			}
		}
		for _, text := range textsIn(valuesOf(release)) {
			if strings.Contains(text, "cluster.local") {
				t.Errorf("%s: the value %q names the default domain", name, text)
			}
		}
	}
	if found < 6 {
		t.Errorf("%d charts have such a setting, want 6 at least", found)
	}
	config := valuesOf(r.find(t, "cloudnative-pg"))["config"].(map[string]any)["data"].(map[string]any)
	if config["KUBERNETES_CLUSTER_DOMAIN"] != "services.example.org" {
		t.Errorf("CloudNativePG is told %v", config)
	}
}

// config compares these sizes with those of the running stack, so it has to contain the program's own sizes.
func TestConfigKnowsTheVolumesOfCharts(t *testing.T) {
	r := install(t, nil, everything)
	for _, v := range config.ChartVolumes {
		var value any = valuesOf(r.find(t, v.Release))
		for _, step := range v.Path {
			below, _ := value.(map[string]any)
			value = below[step]
		}
		if value != v.Size {
			t.Errorf("%s: the program's size is %v, config says %s", v.Key(), value, v.Size)
		}
	}
}

func textsIn(value any) []string {
	var texts []string
	switch value := value.(type) {
	case string:
		texts = append(texts, value)
	case []any:
		for _, item := range value {
			texts = append(texts, textsIn(item)...)
		}
	case map[string]any:
		for _, item := range value {
			texts = append(texts, textsIn(item)...)
		}
	}
	return texts
}

// A fixed node port may be in use, and the release would fail.
func TestNoChartTakesAFixedNodePort(t *testing.T) {
	for name, release := range install(t, nil, everything).releases() {
		var look func(path string, values map[string]any)
		look = func(path string, values map[string]any) {
			if values["type"] == "NodePort" {
				keys, err := chartvalues.Of(catalog.Release(name))
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range []string{"nodePortHttp", "nodePortHttps"} {
					value, set := values[key]
					if keys[path+key] && (!set || value != nil) {
						t.Errorf("%s: %s%s has the chart's own number, or %v", name, path, key, value)
					}
				}
			}
			for key, below := range values {
				if below, ok := below.(map[string]any); ok {
					look(path+key+"/", below)
				}
			}
		}
		look("", valuesOf(release))
	}
}

// The operator deletes a StatefulSet and creates it again if the API refuses a change. Claims are deleted with it
// unless they are retained.
func TestClaimsSurviveTheirStatefulSet(t *testing.T) {
	for name, release := range install(t, nil, everything).releases() {
		var look func(path string, values map[string]any)
		look = func(path string, values map[string]any) {
			for key, value := range values {
				if key == "whenDeleted" && value != "Retain" {
					t.Errorf("%s: %s/%s is %v", name, path, key, value)
				}
				if below, ok := value.(map[string]any); ok {
					look(path+"/"+key, below)
				}
			}
		}
		look("", valuesOf(release))
	}
}

// The controller sorts the rules of Ingresses by this order, which may be from -1000 to 1000.
func TestACMEChallengesComeBeforeEveryOtherRule(t *testing.T) {
	r := install(t, nil, everything)
	solver := plainMap(r.find(t, "clusterissuer-letsencrypt").inputs)["spec"].(map[string]any)["acme"].(map[string]any)["solvers"].([]any)[0].(map[string]any)
	template := solver["http01"].(map[string]any)["ingress"].(map[string]any)["ingressTemplate"].(map[string]any)
	annotations := template["metadata"].(map[string]any)["annotations"].(map[string]any)
	if got := annotations["alb.ingress.kubernetes.io/group.order"]; got != "-1000" {
		t.Errorf("the order of the challenge is %v", got)
	}
}

// Labels of pods change with every rollout, and each change would create new streams in Loki.
func TestLogsAreLabelledByWhereTheyComeFrom(t *testing.T) {
	text := valuesOf(install(t, nil, everything).find(t, "fluent-bit"))["config"].(map[string]any)
	outputs, inputs := text["outputs"].(string), text["inputs"].(string)
	for _, label := range []string{"namespace=$kubernetes['namespace_name']", "pod=$kubernetes['pod_name']",
		"container=$kubernetes['container_name']", "node=$_HOSTNAME"} {
		if !strings.Contains(outputs, label) {
			t.Errorf("no label %s in:\n%s", label, outputs)
		}
	}
	if strings.Contains(strings.ToLower(outputs), "auto_kubernetes_labels") {
		t.Error("all labels of pods become labels of streams")
	}
	if strings.Count(outputs, "Retry_Limit False") != strings.Count(outputs, "[OUTPUT]") {
		t.Error("an output gives lines up while Loki restarts")
	}
	if strings.Count(inputs, "    DB /var/log/") != strings.Count(inputs, "[INPUT]") {
		t.Error("an input forgets at a restart how far it has read")
	}
}

// The chart takes one text. The program's lines must not be lost with a line of the user.
func TestLinesOfValkeyFollowTheProgramsOwn(t *testing.T) {
	const own = "appendonly yes\nmaxmemory 256mb\nmaxmemory-policy volatile-lru\n"
	for _, c := range []struct {
		given any
		want  string
	}{
		{"maxmemory-policy allkeys-lru", own + "maxmemory-policy allkeys-lru"}, {nil, own}, {"", own},
	} {
		r := install(t, nil, func(cfg *config.Config) {
			everything(cfg)
			cfg.Addons.Redis.Values = map[string]any{"valkeyConfig": c.given, "priorityClassName": "high"}
		})
		values := valuesOf(r.find(t, "valkey"))
		if values["valkeyConfig"] != c.want || values["priorityClassName"] != "high" {
			t.Errorf("with %v Valkey gets %v", c.given, values)
		}
	}
}
