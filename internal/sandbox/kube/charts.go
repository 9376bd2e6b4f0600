package kube

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

const (
	calicoChart       = "tigera-operator"
	ccmChart          = "aws-cloud-controller-manager"
	csiChart          = "aws-ebs-csi-driver"
	loadBalancerChart = "aws-load-balancer-controller"
	rabbitChart       = "rabbitmq-cluster-operator"
	postgresChart     = "cloudnative-pg"
	argoChart         = "argo-cd"
)

// charts are the models of the catalogue's charts by name. A chart that is absent has pods only.
var charts = func() map[string]catalog.Model {
	all := map[string]catalog.Model{}
	for _, c := range catalog.Charts() {
		all[c.Name] = c.Model
	}
	return all
}()

// chartOf returns the chart's name without repository: the last part of an oci:// reference or of a path.
func chartOf(release *store.Object) string {
	return strings.TrimSuffix(path.Base(release.Inputs.Str("chart")), ".tgz")
}

// claimsOf returns the claims that a release makes with its values.
func claimsOf(release *store.Object) []catalog.Claim {
	var out []catalog.Claim
	for _, c := range charts[chartOf(release)].Claims {
		switch v := release.Inputs.Object("values").At(c.When).(type) {
		case bool:
			if v {
				out = append(out, c)
			}
		case map[string]any:
			if len(v) > 0 {
				out = append(out, c)
			}
		}
	}
	return out
}

// goesWith reports whether uninstalling the release removes the claim.
func goesWith(c catalog.Claim, release *store.Object) bool {
	if c.Owned {
		return true
	}
	v := release.Inputs.Object("values").At(c.PolicyAt)
	return v == "Delete" || v == true
}

// monitors reports whether values switch on an object of the Prometheus operator, whose definitions must be installed
// first.
func monitors(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	for key, e := range m {
		inner, ok := e.(map[string]any)
		if !ok {
			continue
		}
		switch strings.ToLower(key) {
		case "servicemonitor", "podmonitor", "prometheusrule":
			if inner["enabled"] == true || inner["create"] == true {
				return true
			}
		}
		if monitors(inner) {
			return true
		}
	}
	return false
}

// secretsNamed returns the names of the Secrets in the values that must exist before the release.
func secretsNamed(v any) []string {
	var out []string
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if name, ok := m[key].(string); ok && name != "" && strings.HasSuffix(strings.ToLower(key), "existingsecret") {
			out = append(out, name)
		}
		out = append(out, secretsNamed(m[key])...)
	}
	return out
}

// authorized reports whether the controller of a release may carry out an action: with the role that its values name,
// or else with that of the machine.
func authorized(account *aws.Account, release, machine *store.Object, action string) bool {
	values := release.Inputs.Object("values")
	for _, at := range []props.Map{values, values.Object("controller"), values.Object("singleBinary")} {
		for _, key := range []string{"env", "extraEnv"} {
			role := at.Object(key).Str("AWS_ROLE_ARN")
			for _, variable := range at.List(key) {
				if v, ok := variable.(map[string]any); ok && v["name"] == "AWS_ROLE_ARN" {
					role, _ = v["value"].(string)
				}
			}
			if role != "" {
				name := cmp.Or(at.Str("serviceAccount.name"), values.Str("serviceAccount.name"))
				namespace, _, _ := strings.Cut(release.ID, "/")
				return account.PermitsPod(role, config.ServiceAccount{Namespace: namespace, Name: name}.Subject(), action)
			}
		}
	}
	return account.Permits(machine, action)
}
