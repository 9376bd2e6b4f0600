package addons

import (
	_ "embed"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// dataNamespace is the namespace of the data services.
const dataNamespace = "data"

// rabbitmqDefinition has to be that of the operator in the chart.
//
//go:embed definitions/rabbitmqclusters.rabbitmq.com.yaml
var rabbitmqDefinition []byte

// rabbitMQ is the add-on of the message broker.
type rabbitMQ struct{ *builder }

// install installs the operator, and one cluster: the operator with its definitions, then the cluster, then its
// pods. On destroy the gate deletes the cluster while the operator runs, because only the operator removes the
// cluster's finalizer.
func (r rabbitMQ) install(data, monitors pulumi.Resource, vol volumes) {
	settings := r.cfg.Addons.RabbitMQ
	if !settings.On() {
		return
	}
	namespace := r.namespace("rabbitmq-system", baseline)
	definition := r.definition(rabbitmqDefinition)
	operator := r.release("rabbitmq-cluster-operator", kube.ReleaseArgs{
		Values:   rabbitmqOperatorValues(r.cfg).Merge(settings.Values),
		SkipCRDs: true,
	}, needs(r.root.NodesReady, namespace, definition))
	password := r.password("rabbitmq")
	credentials := r.secret("rabbitmq-credentials",
		secretArgs{namespace: dataNamespace, data: rabbitmqCredentials(password)}, needs(data))
	gate := r.customResourcesGate("rabbitmq", "rabbitmq-system/deployment/rabbitmq-cluster-operator",
		[]string{"rabbitmqclusters.rabbitmq.com"}, needs(operator, vol.gate, credentials))
	r.customResourceGates = append(r.customResourceGates, gate)
	servers := r.deletedByGate(gate, "rabbitmq", rabbitmqCluster(r.cfg), needs(vol.class, vol.gate, credentials))
	r.applyPassword("rabbitmq", rabbitmqUser, password, servers)
	r.backup(servers)
	if n := r.cfg.Addons.RabbitMQ.Replicas; n > 1 && len(r.cfg.DataNodes()) >= n {
		r.object("budget-rabbitmq", rabbitmqBudget(), needs(data))
	}
	r.podMonitor("rabbitmq", "prometheus", map[string]string{"app.kubernetes.io/name": "rabbitmq"}, needs(monitors, data))
}

// rabbitmqBudget keeps the majority of the servers while nodes are drained: the next server may be evicted when the
// last one has returned. The operator creates no budget. If two servers share a node, the program creates none either:
// the first evicted server could only return to the same node, so a drain would never end.
func rabbitmqBudget() kube.ObjectArgs {
	return kube.ObjectArgs{
		APIVersion: "policy/v1",
		Kind:       "PodDisruptionBudget",
		Name:       "rabbitmq",
		Namespace:  dataNamespace,
		Fields: kube.Values{"spec": kube.Values{
			"maxUnavailable": 1,
			"selector":       kube.Values{"matchLabels": kube.Values{"app.kubernetes.io/name": "rabbitmq"}},
		}},
	}
}

func rabbitmqOperatorValues(cfg *config.Config) kube.Values {
	return kube.Values{
		"clusterDomain": cfg.Cluster.DNSDomain,
		"clusterOperator": kube.Values{
			"resources": requests("20m", "64Mi"),
			// The operator's webhook needs certificates. It would only set the image, which the cluster below sets
			// itself.
			"webhook": kube.Values{"enabled": false},
			"pdb":     kube.Values{"create": false},
		},
		// Users, queues and bindings as custom resources would need a second operator, which the platform does not
		// use.
		"msgTopologyOperator": kube.Values{"enabled": false},
	}
}

const rabbitmqUser = "platform"

// rabbitmqCredentials creates the Secret in the operator's own form: what the server reads, and what clients bind to.
func rabbitmqCredentials(password pulumi.StringOutput) map[string]pulumi.StringInput {
	host := "rabbitmq." + dataNamespace + ".svc"
	return map[string]pulumi.StringInput{
		"default_user.conf": pulumi.Sprintf("default_user = %s\ndefault_pass = %s\n", rabbitmqUser, password),
		"connection_string": pulumi.Sprintf("amqp://%s:%s@%s:5672/", rabbitmqUser, password, host),
		"username":          pulumi.String(rabbitmqUser),
		"password":          password,
		"host":              pulumi.String(host),
		"port":              pulumi.String("5672"),
		"provider":          pulumi.String("rabbitmq"),
		"type":              pulumi.String("rabbitmq"),
	}
}

func rabbitmqCluster(cfg *config.Config) kube.ObjectArgs {
	settings := cfg.Addons.RabbitMQ
	memory := mebibytes(settings.MemoryMiB)
	spec := kube.Values{
		"image":    catalog.Get("rabbitmq").Image,
		"replicas": settings.Replicas,
		"secretBackend": kube.Values{
			"externalSecret": kube.Values{"name": "rabbitmq-credentials"},
		},
		"persistence": kube.Values{
			"storageClassName": storageClass,
			"storage":          gibibytes(settings.StorageGiB),
		},
		// RabbitMQ blocks publishers at a share of its memory limit, so it needs a limit, equal to its request.
		"resources": kube.Values{
			"requests": kube.Values{"cpu": "100m", "memory": memory},
			"limits":   kube.Values{"memory": memory},
		},
		// The default is a week, for queues that must drain to other members.
		"terminationGracePeriodSeconds": 60,
	}
	affinity := kube.Values{"podAntiAffinity": apart("app.kubernetes.io/name", "rabbitmq")}
	if place := storagePlacement(cfg); place != nil {
		affinity["nodeAffinity"] = place.affinity()
		spec["tolerations"] = place.tolerations
	}
	spec["affinity"] = affinity
	return kube.ObjectArgs{
		APIVersion: "rabbitmq.com/v1beta1",
		Kind:       "RabbitmqCluster",
		Name:       "rabbitmq",
		Namespace:  dataNamespace,
		Fields:     kube.Values{"spec": spec},
		// The first condition is true once the operator has processed this generation: the provider compares it with
		// status.observedGeneration. The other two stay true from the generation before, even if a change is refused.
		WaitFor: []string{"condition=ReconcileSuccess", "condition=AllReplicasReady", "condition=ClusterAvailable"},
	}
}
