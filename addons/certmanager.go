package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// certManager is the add-on that issues certificates inside the cluster. The load balancer's certificate comes from
// ACM.
type certManager struct{ *builder }

// install installs cert-manager and returns it. It returns nil if the add-on is off.
func (c certManager) install(monitors pulumi.Resource) pulumi.Resource {
	settings := c.cfg.Addons.CertManager
	if !settings.On() {
		return nil
	}
	namespace := c.namespace("cert-manager", baseline)
	return c.release("cert-manager", kube.ReleaseArgs{
		Values: certManagerValues(monitors != nil).Merge(settings.Values),
	}, needs(c.root.NodesReady, namespace, monitors))
}

func certManagerValues(monitored bool) kube.Values {
	return kube.Values{
		// Kept on uninstall, because deleting the definitions would delete every certificate.
		"crds": kube.Values{"enabled": true, "keep": true},
		"global": kube.Values{
			"leaderElection": kube.Values{"namespace": "cert-manager"},
		},
		"resources":       requests("10m", "48Mi"),
		"webhook":         kube.Values{"resources": requests("10m", "32Mi")},
		"cainjector":      kube.Values{"resources": requests("10m", "48Mi")},
		"startupapicheck": kube.Values{"resources": requests("10m", "32Mi")},
		// The metrics have a namespace label with the certificate's namespace. Without honorLabels Prometheus
		// replaces it by cert-manager's own namespace.
		"prometheus": kube.Values{"servicemonitor": kube.Values{"enabled": monitored, "honorLabels": true}},
	}
}

// clusterIssuer lets users request public certificates by ACME. The challenge is answered over HTTP through the
// shared load balancer. An answer over DNS would need AWS permissions outside the control plane.
func (c certManager) clusterIssuer(certManager, loadBalancers pulumi.Resource) {
	if certManager == nil || loadBalancers == nil || c.cfg.DNS.Domain == "" {
		return
	}
	c.object("clusterissuer-letsencrypt", issuer(c.cfg.Addons.CertificateACME), needs(certManager, loadBalancers))
}

// challengeOrder puts the rule of a challenge before all other rules of the shared load balancer, with the lowest
// order that the controller accepts. Otherwise an Ingress that serves / of the same host would answer the challenge.
var challengeOrder = map[string]string{"alb.ingress.kubernetes.io/group.order": "-1000"}

func issuer(acme config.ACME) kube.ObjectArgs {
	account := kube.Values{
		"server":              acme.Server,
		"privateKeySecretRef": kube.Values{"name": "letsencrypt-account"},
		"solvers": []kube.Values{{
			"http01": kube.Values{"ingress": kube.Values{
				"ingressClassName": ingressClass,
				"serviceType":      "NodePort",
				"ingressTemplate":  kube.Values{"metadata": kube.Values{"annotations": challengeOrder}},
			}},
		}},
	}
	if acme.Email != "" {
		account["email"] = acme.Email
	}
	return kube.ObjectArgs{
		APIVersion: "cert-manager.io/v1",
		Kind:       "ClusterIssuer",
		Name:       "letsencrypt",
		Fields:     kube.Values{"spec": kube.Values{"acme": account}},
	}
}
