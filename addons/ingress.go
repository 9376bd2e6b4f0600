package addons

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/route53"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
)

// ingresses publish the services of the platform through the shared load balancer.
type ingresses struct{ *builder }

// install publishes the platform under the domain: one load balancer for everything, with the certificate of the
// domain, and records that point to it. Without a domain it creates nothing, and services are reached by
// port-forward.
func (i ingresses) install(gate, argocd, monitoring pulumi.Resource) {
	if gate == nil || !i.published() {
		return
	}
	shared := i.sharedIngress(gate)
	if argocd != nil {
		i.serve(gate, site{"argocd", argocdHost(i.cfg), "argocd-server", "argocd", "/healthz"}, needs(shared, argocd))
	}
	if monitoring != nil {
		i.serve(gate, site{"grafana", grafanaHost(i.cfg), "grafana", "monitoring", "/api/health"}, needs(shared, monitoring))
	}
	i.records(shared)
}

// published reports whether the platform is served under a domain.
func (i ingresses) published() bool { return i.cfg.DNS.Domain != "" && i.args.CertificateARN != nil }

// ingressNamespace creates the namespace of the Ingress that represents the load balancer. It returns nil without a
// domain.
func (i ingresses) ingressNamespace() pulumi.Resource {
	if !i.published() {
		return nil
	}
	return i.namespace("ingress", baseline)
}

// hostnameKnown is the condition of an Ingress whose load balancer exists.
const hostnameKnown = "jsonpath={.status.loadBalancer.ingress[0].hostname}"

// sharedIngress represents the load balancer itself. It answers requests that no other Ingress of the class handles
// with 404. It holds the settings of the load balancer as a whole: its listeners and its security groups. The groups
// belong to the program, so the controller creates none and writes no rules.
func (i ingresses) sharedIngress(gate pulumi.Resource) pulumi.Resource {
	return i.deletedByGate(gate, "ingress-shared", kube.ObjectArgs{
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
			"alb.ingress.kubernetes.io/security-groups": loadBalancer(i).securityGroups(),
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
func (i ingresses) serve(gate pulumi.Resource, s site, needs []pulumi.Resource) {
	i.deletedByGate(gate, "ingress-"+s.name, kube.ObjectArgs{
		APIVersion: "networking.k8s.io/v1",
		Kind:       "Ingress",
		Name:       s.name,
		Namespace:  s.namespace,
		Annotations: map[string]string{
			"alb.ingress.kubernetes.io/healthcheck-path": s.health,
			"alb.ingress.kubernetes.io/listen-ports":     `[{"HTTP":80},{"HTTPS":443}]`,
			// Before the rules of applications, whose order is 0 or more, so that none takes the requests of a site.
			"alb.ingress.kubernetes.io/group.order": "-500",
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
	i.root.URLs[s.name] = "https://" + s.host
}

// records points the names of the platform, and those that the user has reserved, to the load balancer.
func (i ingresses) records(shared pulumi.Resource) {
	if i.err != nil {
		return
	}
	balancer := shared.(*kube.Object).LoadBalancerHostname(i.ctx)
	hosts := append([]string{}, i.cfg.DNS.IngressHosts...)
	if i.cfg.Addons.ArgoCD.On() {
		hosts = append(hosts, argocdHost(i.cfg))
	}
	if i.cfg.Addons.Monitoring.On() {
		hosts = append(hosts, grafanaHost(i.cfg))
	}
	for _, host := range hosts {
		if _, err := route53.NewRecord(i.ctx, host, &route53.RecordArgs{
			ZoneId:  i.args.ZoneID.ToStringPtrOutput().Elem(),
			Name:    pulumi.String(host),
			Type:    pulumi.String("CNAME"),
			Ttl:     pulumi.Int(60),
			Records: pulumi.StringArray{balancer},
		}, pulumi.Parent(i.root)); err != nil {
			i.failed(fmt.Errorf("record %s: %w", host, err))
		}
	}
}
