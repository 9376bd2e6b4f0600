package addons

import (
	"bytes"
	_ "embed"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// ingressClass is the class of Ingresses that the shared load balancer serves.
const ingressClass = "alb"

// loadBalancerDefinitions are the definitions in the chart's crds/, without descriptions.
//
//go:embed definitions/aws-load-balancer-controller.yaml
var loadBalancerDefinitions []byte

// loadBalancer is the add-on of the AWS Load Balancer Controller.
type loadBalancer struct{ *builder }

// install installs the controller, which turns Ingresses into rules of one shared load balancer. It returns the gate
// that whatever makes a load balancer depends on, or nil when the add-on is off.
func (l loadBalancer) install() pulumi.Resource {
	settings := l.cfg.Addons.LoadBalancer
	if !settings.On() {
		return nil
	}
	tls := l.webhookCertificate("aws-load-balancer-webhook-service", "kube-system")
	var definitions []pulumi.Resource
	for _, text := range bytes.Split(loadBalancerDefinitions, []byte("\n---\n")) {
		definitions = append(definitions, l.definition(text))
	}
	controller := l.release("aws-load-balancer-controller", kube.ReleaseArgs{
		Values:   loadBalancerValues(l.cfg, l.args, tls).Merge(loadBalancerIdentity(l.args)).Merge(settings.Values),
		SkipCRDs: true,
	}, l.outlived(definitions...))
	class := l.ingressClass(controller)
	namespace := ingresses(l).ingressNamespace()
	return l.loadBalancersGate(needs(controller, class, namespace))
}

func loadBalancerValues(cfg *config.Config, args Args, tls webhookTLS) kube.Values {
	return kube.Values{
		"clusterName": cfg.Cluster.Name,
		"cluster":     kube.Values{"dnsDomain": cfg.Cluster.DNSDomain},
		// With these two the controller never asks the metadata service where it is.
		"region": cfg.Region,
		"vpcId":  args.VPCID,
		// Addresses of pods are not addresses of the VPC, so targets are nodes.
		"defaultTargetType": "instance",
		// Otherwise no Service can be made anywhere in the cluster while the controller is down.
		"enableServiceMutatorWebhook": false,
		// The group belongs to the program, so the controller leaves none behind.
		"backendSecurityGroup": args.BackendGroup,
		"webhookTLS":           kube.Values{"caCert": tls.ca, "cert": tls.cert, "key": tls.key},
		// The classes are objects of the program: they name the certificate, which is issued later than the
		// controller can start.
		"createIngressClassResource": false,
		"enableShield":               false,
		"enableWaf":                  false,
		"enableWafv2":                false,
		"defaultTags":                controllerTags(cfg, args),
		"replicaCount":               1,
		"hostNetwork":                true,
		"nodeSelector":               controlPlaneSelector,
		"tolerations":                controlPlaneTolerations,
		// On the host's network a second pod finds its ports taken, so the first has to go before.
		"updateStrategy": kube.Values{"rollingUpdate": kube.Values{"maxSurge": 0, "maxUnavailable": 1}},
		// Its metrics are not read: the port is the control plane's, and the firewall has no hole for it.
		"resources": requests("50m", "96Mi"),
	}
}

// loadBalancerIdentity returns the values with which the controller uses its own role, or nil if it has none.
func loadBalancerIdentity(args Args) kube.Values {
	token := args.webIdentity(config.LoadBalancerAccount)
	if token == nil {
		return nil
	}
	return kube.Values{
		"hostNetwork":       false,
		"serviceAccount":    kube.Values{"name": config.LoadBalancerAccount.Name},
		"env":               token.variables(),
		"extraVolumes":      token.volumes(),
		"extraVolumeMounts": token.mounts(),
	}
}

// ingressClass makes the class of Ingresses. Its parameters hold for every Ingress of the class, so that users cannot
// make a second load balancer, or one without TLS, by forgetting an annotation.
func (l loadBalancer) ingressClass(controller pulumi.Resource) pulumi.Resource {
	params := l.object("ingressclassparams-"+ingressClass, kube.ObjectArgs{
		APIVersion: "elbv2.k8s.aws/v1beta1",
		Kind:       "IngressClassParams",
		Name:       ingressClass,
		Fields:     kube.Values{"spec": ingressParameters(l.cfg, l.args)},
	}, needs(controller))
	return l.object("ingressclass-"+ingressClass, kube.ObjectArgs{
		APIVersion:  "networking.k8s.io/v1",
		Kind:        "IngressClass",
		Name:        ingressClass,
		Annotations: map[string]string{"ingressclass.kubernetes.io/is-default-class": "true"},
		// For people to read, and so that the groups outlive every load balancer that is in them.
		DynamicAnnotations: map[string]pulumi.StringInput{"kubeadm-aws/security-groups": l.securityGroups()},
		Fields: kube.Values{"spec": kube.Values{
			"controller": "ingress.k8s.aws/alb",
			"parameters": kube.Values{"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": ingressClass},
		}},
	}, needs(params))
}

// ingressParameters names the subnets. By itself the controller looks for subnets only when it creates a load balancer.
// It would not use a zone that is added, and AWS would not delete the subnet of one that is removed.
func ingressParameters(cfg *config.Config, args Args) kube.Values {
	params := kube.Values{
		"scheme":     "internet-facing",
		"group":      kube.Values{"name": cfg.Cluster.Name},
		"targetType": "instance",
		"subnets":    kube.Values{"ids": args.SubnetIDs},
	}
	if certificate := args.CertificateARN; certificate != nil {
		params["certificateArn"] = []any{certificate}
		params["sslPolicy"] = "ELBSecurityPolicy-TLS13-1-2-2021-06"
		params["sslRedirectPort"] = "443"
	}
	return params
}

// securityGroups returns those of the shared load balancer.
func (l loadBalancer) securityGroups() pulumi.StringInput {
	return pulumi.Sprintf("%s,%s", l.args.LoadBalancerGroup, l.args.BackendGroup)
}
