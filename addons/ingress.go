package addons

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/route53"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
)

// ingress publishes the platform under the domain: one load balancer for everything, with the certificate of the
// domain, and records that point to it. Without a domain it creates nothing, and services are reached by
// port-forward.
func (b *builder) ingress(gate, argocd, monitoring pulumi.Resource) {
	if gate == nil || !b.published() {
		return
	}
	shared := b.sharedIngress(gate)
	if argocd != nil {
		b.serve(gate, site{"argocd", argocdHost(b.cfg), "argocd-server", "argocd", "/healthz"}, needs(shared, argocd))
	}
	if monitoring != nil {
		b.serve(gate, site{"grafana", grafanaHost(b.cfg), "grafana", "monitoring", "/api/health"}, needs(shared, monitoring))
	}
	b.records(shared)
}

// published reports whether the platform is served under a domain.
func (b *builder) published() bool { return b.cfg.DNS.Domain != "" && b.args.CertificateARN != nil }

// ingressNamespace creates the namespace of the Ingress that represents the load balancer. It returns nil without a
// domain.
func (b *builder) ingressNamespace() pulumi.Resource {
	if !b.published() {
		return nil
	}
	return b.namespace("ingress", baseline)
}

// hostnameKnown is the condition of an Ingress whose load balancer exists.
const hostnameKnown = "jsonpath={.status.loadBalancer.ingress[0].hostname}"

// sharedIngress represents the load balancer itself. It answers requests that no other Ingress of the class handles
// with 404. It holds the settings of the load balancer as a whole: its listeners and its security groups. The groups
// belong to the program, so the controller creates none and writes no rules.
func (b *builder) sharedIngress(gate pulumi.Resource) pulumi.Resource {
	return b.deletedByGate(gate, "ingress-shared", kube.ObjectArgs{
		APIVersion: "networking.k8s.io/v1",
		Kind:       "Ingress",
		Name:       "shared",
		Namespace:  "ingress",
		Annotations: map[string]string{
			"alb.ingress.kubernetes.io/listen-ports":    `[{"HTTP":80},{"HTTPS":443}]`,
			"alb.ingress.kubernetes.io/actions.nothing": `{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/plain","statusCode":"404"}}`,
			// Rules are evaluated in the order of groups; this one is last.
			"alb.ingress.kubernetes.io/group.order": "1000",
		},
		DynamicAnnotations: map[string]pulumi.StringInput{
			"alb.ingress.kubernetes.io/security-groups": b.securityGroups(),
		},
		Fields: kube.Values{"spec": kube.Values{
			"ingressClassName": ingressClass,
			"defaultBackend": kube.Values{"service": kube.Values{
				"name": "nothing", "port": kube.Values{"name": "use-annotation"},
			}},
		}},
		WaitFor: []string{hostnameKnown},
	}, nil)
}

// site is a Service that is published under a host name. health is the path of the load balancer's health check.
type site struct{ name, host, service, namespace, health string }

// serve publishes a site.
func (b *builder) serve(gate pulumi.Resource, s site, needs []pulumi.Resource) {
	b.deletedByGate(gate, "ingress-"+s.name, kube.ObjectArgs{
		APIVersion: "networking.k8s.io/v1",
		Kind:       "Ingress",
		Name:       s.name,
		Namespace:  s.namespace,
		Annotations: map[string]string{
			"alb.ingress.kubernetes.io/healthcheck-path": s.health,
			"alb.ingress.kubernetes.io/listen-ports":     `[{"HTTP":80},{"HTTPS":443}]`,
		},
		Fields: kube.Values{"spec": kube.Values{
			"ingressClassName": ingressClass,
			"rules": []kube.Values{{
				"host": s.host,
				"http": kube.Values{"paths": []kube.Values{{
					"path": "/", "pathType": "Prefix",
					"backend": kube.Values{"service": kube.Values{"name": s.service, "port": kube.Values{"number": 80}}},
				}}},
			}},
		}},
		WaitFor: []string{hostnameKnown},
	}, needs)
	b.root.URLs[s.name] = "https://" + s.host
}

// records points the names of the platform, and those that the user has reserved, to the load balancer.
func (b *builder) records(shared pulumi.Resource) {
	if b.err != nil {
		return
	}
	balancer := shared.(*kube.Object).LoadBalancerHostname(b.ctx)
	hosts := append([]string{}, b.cfg.DNS.IngressHosts...)
	if b.cfg.Addons.ArgoCD.On() {
		hosts = append(hosts, argocdHost(b.cfg))
	}
	if b.cfg.Addons.Monitoring.On() {
		hosts = append(hosts, grafanaHost(b.cfg))
	}
	for _, host := range hosts {
		if _, err := route53.NewRecord(b.ctx, host, &route53.RecordArgs{
			ZoneId:  b.args.ZoneID.ToStringPtrOutput().Elem(),
			Name:    pulumi.String(host),
			Type:    pulumi.String("CNAME"),
			Ttl:     pulumi.Int(60),
			Records: pulumi.StringArray{balancer},
		}, pulumi.Parent(b.root)); err != nil {
			b.failed(fmt.Errorf("record %s: %w", host, err))
		}
	}
}
