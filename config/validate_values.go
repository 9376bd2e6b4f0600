package config

import (
	"fmt"
	"slices"
	"strings"
)

// neededValue is a Helm value that a step, an Ingress, an alert or a check of the platform depends on.
type neededValue struct {
	// addon and path are its place: addons.<addon>.values.<path>.
	addon, path string
	// want is the value that is needed. chart is the chart's default, which null restores.
	want, chart  any
	why, instead string
}

// neededValues are all of them that a user may reach.
var neededValues = []neededValue{
	{"redis", "replica.enabled", false, false,
		"makes a StatefulSet, and the password step and the checks use the Deployment of one server",
		"no value; for replicas install a chart of your own, for example by Argo CD"},
	{"redis", "auth.enabled", true, false, "is needed: applications log in with redisPassword", "true, or no value"},
	{"redis", "metrics.enabled", true, false, "is needed: without metrics the alert RedisDown fires forever",
		"true, or no value"},
	{"redis", "metrics.serviceMonitor.enabled", true, false,
		"is needed: without metrics the alert RedisDown fires forever", "true, or no value"},
	{"monitoring", "grafana.enabled", true, true,
		"is needed: the program sets its password, publishes it and gives it dashboards", "true, or no value"},
	{"monitoring", "alertmanager.enabled", true, true, "is needed: the platform's checks ask for it",
		"true, or no value; without notifications.receiver it sends nothing"},
	{"monitoring", "prometheus.enabled", true, true, "is needed: the platform's checks ask for it",
		"true, or addons.monitoring.enabled: false"},
	{"argocd", "configs.secret.createSecret", false, true,
		"would let the chart write the Secret that the program creates with argocdPassword", "false, or no value"},
	{"argocd", "controller.dynamicClusterDistribution", false, false,
		"makes a Deployment, and a destroy asks the StatefulSet of the controller", "no value"},
	{"certManager", "serviceAccount.name", "cert-manager", "cert-manager",
		"is needed: only this service account may make the Ingresses of challenges", "no value"},
	{"argocd", "fullnameOverride", "argocd", nil, "is needed: the program refers to its objects by name", "no value"},
	{"monitoring", "grafana.fullnameOverride", "grafana", nil,
		"is needed: the program refers to its objects by name", "no value"},
}

// namedCharts are the add-ons whose controllers or servers the program finds by the names that their charts give them.
var namedCharts = []string{"ebsCsi", "loadBalancer", "certManager", "rabbitmq", "redis", "postgresql"}

// noValue is the needed value of a list that a user's list would replace: every value is refused, null too. It is a
// type of its own, because a user can write every string.
type noValue struct{}

// identityValues are needed while controllers have roles of their own: IAM trusts one service account each, and the
// token reaches the container through lists.
func identityValues() []neededValue {
	const (
		account = "is needed: the controller's IAM role trusts this service account alone"
		replace = "replaces the list with which the controller gets the credentials of its IAM role"
	)
	var all []neededValue
	for _, c := range []struct {
		addon, account string
		name           ServiceAccount
		lists          []string
	}{
		{"ebsCsi", "controller.serviceAccount.name", EBSDriverAccount,
			[]string{"controller.env", "controller.volumes", "controller.volumeMounts"}},
		{"loadBalancer", "serviceAccount.name", LoadBalancerAccount, []string{"extraVolumes", "extraVolumeMounts"}},
		{"logging", "loki.serviceAccount.name", LokiAccount, []string{
			"loki.singleBinary.extraEnv", "loki.singleBinary.extraVolumes", "loki.singleBinary.extraVolumeMounts"}},
	} {
		all = append(all, neededValue{c.addon, c.account, c.name.Name, c.name.Name, account, "no value"})
		for _, list := range c.lists {
			all = append(all, neededValue{c.addon, list, noValue{}, nil, replace, "no value, or identity.enabled: false"})
		}
	}
	return all
}

// neededValues refuses values that would break every up, or the checks and alerts after it.
func (v addonsValidator) neededValues(on map[string]Addon) {
	all := neededValues
	if v.c.Identity.Enabled {
		all = slices.Concat(all, identityValues())
	}
	for _, name := range namedCharts {
		for _, key := range []string{"fullnameOverride", "nameOverride"} {
			all = append(all[:len(all):len(all)], neededValue{name, key, nil, nil,
				"gives its objects other names, and the program refers to them by name", "no value"})
		}
	}
	for _, need := range all {
		addon := on[need.addon]
		if need.path == "metrics.serviceMonitor.enabled" && !on["monitoring"].On() {
			continue
		}
		got, set := userValue(addon.Values, strings.Split(need.path, "."))
		if got == nil || got == "" {
			got = need.chart
		}
		_, every := need.want.(noValue)
		if addon.On() && set && (every || fmt.Sprint(got) != fmt.Sprint(need.want)) {
			v.fault("addons."+need.addon+".values."+need.path, got, need.why, need.instead)
		}
	}
}

// userValue returns the value at a path, and whether the user decides it. Null at the path or above it restores the
// chart's default.
func userValue(values map[string]any, path []string) (value any, set bool) {
	at, set := values[path[0]]
	if !set || at == nil || len(path) == 1 {
		return at, set
	}
	inner, isMap := at.(map[string]any)
	if !isMap {
		return nil, false
	}
	return userValue(inner, path[1:])
}
