package addons

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

//go:embed keys/*.txt
var keyFiles embed.FS

// keyList is every value key of a chart at its pinned version, as chart-facts.sh found it: paths with slashes, where
// one that ends in /** is free below.
type keyList map[string]bool

// keys reads the list of a chart.
func (c chart) keys() (keyList, error) {
	text, err := keyFiles.ReadFile("keys/" + c.name + "-" + c.version + ".txt")
	if err != nil {
		return nil, fmt.Errorf("value keys of chart %s %s: %w (run addons/chart-facts.sh after changing a version)", c.name, c.version, err)
	}
	keys := keyList{}
	for _, key := range strings.Fields(string(text)) {
		keys[key] = true
	}
	return keys, nil
}

// unknown are the paths in values that the chart does not have, sorted. Helm ignores those without a word.
func (k keyList) unknown(values map[string]any) []string {
	found := k.unknownBelow("", values)
	slices.Sort(found)
	return found
}

func (k keyList) unknownBelow(prefix string, values map[string]any) []string {
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

func (k keyList) hasBelow(path string) bool {
	for key := range k {
		if strings.HasPrefix(key, path+"/") {
			return true
		}
	}
	return false
}

// UnknownValues says which of the user's Helm values their charts do not have, one sentence each. Such a value is not
// refused: the lists are made by reading templates, which can hide a key.
func UnknownValues(cfg *config.Config) ([]string, error) {
	a := cfg.Addons
	var warnings []string
	for _, user := range []struct {
		key    string
		addon  config.Addon
		charts map[string]chart
	}{
		{"metricsServer", a.MetricsServer, one(metricsChart)},
		{"ebsCsi", a.EBSCSI, one(ebsChart)},
		{"certManager", a.CertManager, one(certManagerChart)},
		{"loadBalancer", a.LoadBalancer, one(loadBalancerChart)},
		{"monitoring", a.Monitoring, one(monitoringChart)},
		{"logging", a.Logging, map[string]chart{"loki": lokiChart, "fluentBit": fluentBitChart}},
		{"rabbitmq", a.RabbitMQ.Addon, one(rabbitmqChart)},
		{"redis", a.Redis.Addon, one(valkeyChart)},
		{"postgresql", a.PostgreSQL.Addon, one(postgresqlChart)},
		{"argocd", a.ArgoCD.Addon, one(argocdChart)},
		{"argoRollouts", a.ArgoRollouts, one(rolloutsChart)},
	} {
		for part, c := range user.charts {
			values := user.addon.Values
			if part != "" {
				values = section(values, part)
			}
			keys, err := c.keys()
			if err != nil {
				return nil, err
			}
			for _, path := range keys.unknown(values) {
				warnings = append(warnings, fmt.Sprintf("addons.%s.values: chart %s %s has no value %s, so Helm would ignore it.",
					user.key, c.name, c.version, strings.ReplaceAll(path, "/", ".")))
			}
		}
		if _, whole := user.charts[""]; !whole {
			for name := range user.addon.Values {
				if _, ok := user.charts[name]; !ok {
					warnings = append(warnings, fmt.Sprintf("addons.%s.values: has no part %s; there are: %s.",
						user.key, name, strings.Join(slices.Sorted(maps.Keys(user.charts)), ", ")))
				}
			}
		}
	}
	slices.Sort(warnings)
	return warnings, nil
}

// one is an add-on of a single chart, whose values are not divided.
func one(c chart) map[string]chart { return map[string]chart{"": c} }

func (b *builder) warnOfValues() error {
	warnings, err := UnknownValues(b.cfg)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		if err := b.ctx.Log.Warn(w, nil); err != nil {
			return fmt.Errorf("warning of values: %w", err)
		}
	}
	return nil
}
