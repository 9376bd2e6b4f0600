package stack_test

import (
	"slices"
	"strings"
	"testing"
)

// TestVolumesOfChartsGrow makes the volume of Prometheus larger on a running stack: a step makes the claim larger
// before the release. The smaller size is refused then.
func TestVolumesOfChartsGrow(t *testing.T) {
	r := simulate(t, "dev", small())
	addons := r.workspace.Settings["kubeadm-aws:addons"].(map[string]any)
	on := map[string]any{"enabled": true}
	addons["ebsCsi"], addons["monitoring"] = on, on
	r.up().must(t)
	before := len(r.box.Operations())
	spec := map[string]any{}
	storage := map[string]any{"storageSpec": map[string]any{"volumeClaimTemplate": map[string]any{"spec": spec}}}
	addons["monitoring"] = map[string]any{"enabled": true, "values": map[string]any{
		"prometheus": map[string]any{"prometheusSpec": storage}}}
	spec["resources"] = map[string]any{"requests": map[string]any{"storage": "100Gi"}}
	r.up().must(t)
	var changed []string
	for _, op := range r.box.Operations()[before:] {
		if op.Verb == "create" || op.Verb == "update" {
			changed = append(changed, op.Verb+" "+op.URN[strings.LastIndex(op.URN, "::")+2:])
		}
	}
	if want := []string{"create claims-prometheus", "update kube-prometheus-stack"}; !slices.Equal(changed, want) {
		t.Errorf("up did %q, want %q", changed, want)
	}
	spec["resources"] = map[string]any{"requests": map[string]any{"storage": "50Gi"}}
	r.mustRefuse(t, nil, "kubeadm-aws:addons.monitoring.values.prometheus.prometheusSpec.storageSpec.volumeClaimTemplate."+
		"spec.resources.requests.storage")
}
