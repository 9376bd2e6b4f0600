package addons

import (
	"fmt"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

// admitted is an API server with the policies of the platform, that have taken effect.
func admitted(t *testing.T) *api {
	t.Helper()
	a := startAPI(t)
	a.apply(definition("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"))
	a.definitionsAreEstablished()
	r := install(t, nil, func(c *config.Config) {
		everything(c)
		c.DNS.IngressHosts = []string{"app.example.com", "*.shop.example.com"}
	})
	for _, kind := range []string{"policy-", "policybinding-"} {
		for _, name := range []string{kind + "ingresses", kind + "monitors"} {
			object := jsonOf(t, plainMap(r.find(t, name).inputs))
			if out, err := a.try(object, "apply", "--validate=strict", "-f", "-"); err != nil {
				t.Fatalf("%s: %v %s", name, err, out)
			}
		}
	}
	for _, namespace := range []string{"apps", "argocd", "monitoring"} {
		a.kubectl("create", "namespace", namespace)
	}
	a.until("the policies take effect", func() bool {
		_, ingress := a.try(ingressOf("apps", "alb", "", "x.example.org", ""), "create", "--dry-run=server", "-f", "-")
		_, monitor := a.try(monitorOf("apps", "bearerTokenFile: /token"), "create", "--dry-run=server", "-f", "-")
		return ingress != nil && monitor != nil
	})
	return a
}

const anyBackend = "service: {name: s, port: {number: 80}}"

// ingressOf has a rule for the host, and more of a spec.
func ingressOf(namespace, class, annotations, host, more string) string {
	return fmt.Sprintf(`{apiVersion: networking.k8s.io/v1, kind: Ingress,
  metadata: {name: i, namespace: %s, annotations: {%s}},
  spec: {ingressClassName: %s, rules: [{host: %q, http: {paths: [{path: /, pathType: Prefix, backend: {%s}}]}}] %s}}`,
		namespace, annotations, class, host, anyBackend, more)
}

func monitorOf(namespace, endpoint string) string {
	return fmt.Sprintf(`{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, metadata: {name: m, namespace: %s},
  spec: {selector: {}, endpoints: [{port: http}, {%s}]}}`, namespace, endpoint)
}

// The API server refuses an Ingress of an application that could take the requests of another host, and takes the
// others.
func TestApplicationsTakeOnlyTheirHosts(t *testing.T) {
	a := admitted(t)
	const order = "alb.ingress.kubernetes.io/group.order: "
	for name, c := range map[string]struct{ ingress, refused string }{
		"a host of its own":   {ingressOf("apps", "alb", "", "app.example.com", ""), ""},
		"an order of its own": {ingressOf("apps", "alb", order+`"10"`, "app.example.com", ""), ""},
		"a host by a pattern": {ingressOf("apps", "alb", "", "a.shop.example.com", ""), ""},
		"the pattern":         {ingressOf("apps", "alb", "", "*.shop.example.com", ""), ""},
		"another class":       {ingressOf("apps", "nginx", "", "argocd.example.com", ""), ""},
		"the platform":        {ingressOf("argocd", "alb", order+`"-500"`, "argocd.example.com", ""), ""},
		"Argo CD's host":      {ingressOf("apps", "alb", "", "argocd.example.com", ""), "app.example.com"},
		"below the pattern":   {ingressOf("apps", "alb", "", "a.b.shop.example.com", ""), "dns.ingressHosts"},
		"like the pattern":    {ingressOf("apps", "alb", "", "a.shopxexample.com", ""), "dns.ingressHosts"},
		"every host":          {ingressOf("apps", "alb", "", "", ""), "dns.ingressHosts"},
		"a default": {ingressOf("apps", "alb", "", "app.example.com", ", defaultBackend: {"+anyBackend+"}"),
			"defaultBackend"},
		"before the platform": {ingressOf("apps", "alb", order+`"-501"`, "app.example.com", ""), "0 or more"},
		"no number":           {ingressOf("apps", "alb", order+`"x"`, "app.example.com", ""), "0 or more"},
		"a class by annotation": {strings.Replace(ingressOf("apps", "X", "kubernetes.io/ingress.class: alb",
			"argocd.example.com", ""), "ingressClassName: X, ", "", 1), "dns.ingressHosts"},
	} {
		out, err := a.try(c.ingress, "create", "--dry-run=server", "-f", "-")
		if (err != nil) != (c.refused != "") || !strings.Contains(out, c.refused) {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	// cert-manager answers challenges for other names, before all other rules.
	out, err := a.try(ingressOf("apps", "alb", order+`"-1000"`, "other.example.com", ""), "create", "--dry-run=server",
		"-f", "-", "--as=system:serviceaccount:cert-manager:cert-manager", "--as-group=system:masters")
	if err != nil {
		t.Errorf("a challenge: %v %s", err, out)
	}
}

// An Ingress from before the policy can be deleted although its controller has to take a finalizer off it.
func TestAnIngressFromBeforeThePolicyGoes(t *testing.T) {
	a := admitted(t)
	a.kubectl("delete", "validatingadmissionpolicybinding", "kubeadm-aws-ingresses")
	a.until("the policy has no effect", func() bool {
		_, err := a.try(ingressOf("apps", "alb", "", "argocd.example.com", ""), "create", "--dry-run=server", "-f", "-")
		return err == nil
	})
	old := strings.Replace(ingressOf("apps", "alb", "", "argocd.example.com", ""), "name: i,",
		"name: i, finalizers: [a.example.com/b],", 1)
	a.apply(old)
	r := install(t, nil, everything)
	binding := jsonOf(t, plainMap(r.find(t, "policybinding-ingresses").inputs))
	if out, err := a.try(binding, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	a.until("the policy takes effect", func() bool {
		_, err := a.try("", "-n", "apps", "annotate", "--overwrite", "--dry-run=server", "ingress/i", "a=b")
		return err != nil
	})
	a.kubectl("-n", "apps", "delete", "ingress", "i", "--wait=false")
	if finished := a.finish("ingresses"); len(finished) != 1 {
		t.Errorf("finalizers were removed from %v", finished)
	}
	if left := a.names("ingresses"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A monitor of an application cannot have Prometheus send its own token, or read other files.
func TestMonitorsOfApplicationsReadNoFiles(t *testing.T) {
	a := admitted(t)
	for endpoint, refused := range map[string]bool{
		"port: https":                                     false,
		"bearerTokenFile: ''":                             false,
		"tlsConfig: {insecureSkipVerify: true}":           false,
		"bearerTokenFile: /var/run/token":                 true,
		"tlsConfig: {caFile: /etc/a}":                     true,
		"tlsConfig: {certFile: /etc/a}":                   true,
		"tlsConfig: {keyFile: /etc/a}":                    true,
		"authorization: {credentials: {name: a, key: b}}": false,
	} {
		out, err := a.try(monitorOf("apps", endpoint), "create", "--dry-run=server", "-f", "-")
		if (err != nil) != refused || refused && !strings.Contains(out, "reads no files") {
			t.Errorf("%s: %v %s", endpoint, err, out)
		}
	}
	if out, err := a.try(monitorOf("monitoring", "bearerTokenFile: /token"), "create", "-f", "-"); err != nil {
		t.Errorf("a monitor of the platform: %v %s", err, out)
	}
}
