package addons

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/addons/kube"
)

// admission limits what applications can take from the platform with objects that they may create.
type admission struct{ *builder }

// install creates the policies. Each holds outside the namespaces of the platform.
func (a admission) install() {
	if a.cfg.Addons.LoadBalancer.On() && ingresses(a).published() {
		a.policy("ingresses", ingressPolicy(a.cfg.DNS.IngressHosts))
	}
	if a.cfg.Addons.Monitoring.On() {
		a.policy("monitors", monitorPolicy())
	}
}

// policy creates a policy and the binding that makes it deny outside the namespaces of the platform.
func (a admission) policy(name string, spec kube.Values) {
	spec["matchConstraints"].(kube.Values)["namespaceSelector"] = namespaces("NotIn", platformNamespaces())
	a.admissionPolicy("Validating", name, spec, kube.Values{"validationActions": []string{"Deny"}})
}

// admissionPolicy creates a policy of a kind and its binding, which it returns.
func (a admission) admissionPolicy(kind, name string, policy, binding kube.Values) pulumi.Resource {
	const group = "admissionregistration.k8s.io/v1"
	whole := "kubeadm-aws-" + name
	binding["policyName"] = whole
	object := a.object("policy-"+name, kube.ObjectArgs{
		APIVersion: group, Kind: kind + "AdmissionPolicy", Name: whole, Fields: kube.Values{"spec": policy},
	}, needs(a.args.Cluster.APIReady))
	return a.object("policybinding-"+name, kube.ObjectArgs{
		APIVersion: group, Kind: kind + "AdmissionPolicyBinding", Name: whole, Fields: kube.Values{"spec": binding},
	}, needs(object))
}

// namespaces selects the objects in these namespaces, or by NotIn those in all others.
func namespaces(operator string, names []string) kube.Values {
	return kube.Values{"matchExpressions": []kube.Values{{
		"key": "kubernetes.io/metadata.name", "operator": operator, "values": names,
	}}}
}

// platformNamespaces are the namespaces of the add-ons and of the Ingress that represents the load balancer.
func platformNamespaces() []string {
	names := []string{"ingress", "kube-system"}
	for _, chart := range catalog.Charts() {
		names = append(names, chart.Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// matched are the created and changed objects of a resource.
func matched(group, resource string) kube.Values {
	return kube.Values{"resourceRules": []kube.Values{{
		"apiGroups": []string{group}, "apiVersions": []string{"*"}, "operations": []string{"CREATE", "UPDATE"},
		"resources": []string{resource},
	}}}
}

// notDeleted leaves out objects that are being deleted. Otherwise the finalizer of one from before the policy would
// stay.
var notDeleted = kube.Values{"name": "is-not-deleted", "expression": "!has(object.metadata.deletionTimestamp)"}

// ingressPolicy keeps the requests of one host from another. All Ingresses of the class share a load balancer, whose
// rules are in the order of groups, then of namespaces. One Ingress that it refuses stops the changes of all.
// cert-manager creates Ingresses for challenges of the names that it is asked for.
func ingressPolicy(hosts []string) kube.Values {
	const order = "alb.ingress.kubernetes.io/group.order"
	names := strings.Join(hosts, ", ")
	return kube.Values{
		"failurePolicy":    "Fail",
		"matchConstraints": matched("networking.k8s.io", "ingresses"),
		"matchConditions": []kube.Values{notDeleted,
			{"name": "is-not-a-challenge", "expression": fmt.Sprintf("request.userInfo.username != %q",
				"system:serviceaccount:cert-manager:cert-manager")},
			{"name": "is-of-the-class", "expression": fmt.Sprintf(
				`object.spec.?ingressClassName.orValue("") == %[1]q || %[2]s == %[1]q`, ingressClass,
				annotation("kubernetes.io/ingress.class", ""))},
		},
		"validations": []kube.Values{
			{
				"expression": "!has(object.spec.defaultBackend) && " +
					"object.spec.?rules.orValue([]).all(r, " + allowedHost(hosts) + ")",
				"message": "the load balancer is shared: every rule needs a host of dns.ingressHosts (" + names +
					"), and there is no defaultBackend",
			},
			{
				"expression": annotation(order, "0") + `.matches("^[0-9]{1,4}$")`,
				"message":    order + " must be 0 or more: the rules of the platform come first",
			},
		},
	}
}

// annotation is the value of an annotation of the object, or a default.
func annotation(key, otherwise string) string {
	return fmt.Sprintf("object.metadata.?annotations[?%q].orValue(%q)", key, otherwise)
}

// allowedHost is the condition that the rule r is for one of the hosts, which may begin with *.
func allowedHost(hosts []string) string {
	exact, _ := json.Marshal(append([]string{}, hosts...)) // A list of texts has JSON.
	tests := []string{"r.?host.orValue(\"\") in " + string(exact)}
	for _, host := range hosts {
		if suffix, wild := strings.CutPrefix(host, "*"); wild {
			tests = append(tests, fmt.Sprintf("r.?host.orValue(\"\").matches(%q)",
				"^[^.]+"+strings.ReplaceAll(suffix, ".", "[.]")+"$"))
		}
	}
	return "(" + strings.Join(tests, " || ") + ")"
}

// monitorPolicy keeps files of Prometheus from applications. A monitor can have Prometheus send its own token, which
// reads the whole cluster, to a pod. Monitors of the platform need that token: kubelets and the API server ask for it.
func monitorPolicy() kube.Values {
	const file = "e.?%[1]s.orValue(\"\") == \"\""
	var tests []string
	for _, field := range []string{"bearerTokenFile", "tlsConfig.?caFile", "tlsConfig.?certFile", "tlsConfig.?keyFile"} {
		tests = append(tests, fmt.Sprintf(file, field))
	}
	return kube.Values{
		"failurePolicy":    "Fail",
		"matchConstraints": matched("monitoring.coreos.com", "servicemonitors"),
		"matchConditions":  []kube.Values{notDeleted},
		"validations": []kube.Values{{
			"expression": "object.spec.endpoints.all(e, " + strings.Join(tests, " && ") + ")",
			"message": "a monitor outside the platform reads no files of Prometheus: use authorization and tlsConfig " +
				"with Secrets",
		}},
	}
}
