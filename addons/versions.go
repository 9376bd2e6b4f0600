package addons

import "strings"

// chart is a Helm chart at one version.
type chart struct {
	// name is the chart's name in its repository.
	name       string
	version    string
	repository string
}

// Every chart that the platform installs. Before a version changes, run addons/chart-facts.sh: the tests compare what
// the program sets with the keys that the chart has at exactly this version. Helm never upgrades the custom resource
// definitions in a chart's crds/. RabbitMQ's are an object of the program: with another version of its operator, change
// operators/go.mod too. For those of the load balancer controller docs/addons.md has the command.
var (
	calicoCRDsChart   = chart{"crd.projectcalico.org.v1", "v3.32.1", "https://docs.tigera.io/calico/charts"}
	calicoChart       = chart{"tigera-operator", "v3.32.1", "https://docs.tigera.io/calico/charts"}
	cloudChart        = chart{"aws-cloud-controller-manager", "0.0.11", "https://kubernetes.github.io/cloud-provider-aws"}
	metricsChart      = chart{"metrics-server", "3.13.1", "https://kubernetes-sigs.github.io/metrics-server"}
	ebsChart          = chart{"aws-ebs-csi-driver", "2.64.0", "https://kubernetes-sigs.github.io/aws-ebs-csi-driver"}
	certManagerChart  = chart{"cert-manager", "v1.21.1", "https://charts.jetstack.io"}
	loadBalancerChart = chart{"aws-load-balancer-controller", "3.5.0", "https://aws.github.io/eks-charts"}
	promCRDsChart     = chart{"prometheus-operator-crds", "31.0.1", "https://prometheus-community.github.io/helm-charts"}
	monitoringChart   = chart{"kube-prometheus-stack", "88.5.3", "https://prometheus-community.github.io/helm-charts"}
	lokiChart         = chart{"loki", "18.11.0", "https://grafana-community.github.io/helm-charts"}
	fluentBitChart    = chart{"fluent-bit", "0.58.1", "https://fluent.github.io/helm-charts"}
	rabbitmqChart     = chart{"rabbitmq-cluster-operator", "0.6.5", "oci://registry-1.docker.io/cloudpirates"}
	valkeyChart       = chart{"valkey", "0.11.0", "https://valkey.io/valkey-helm"}
	postgresqlChart   = chart{"cloudnative-pg", "0.29.0", "https://cloudnative-pg.github.io/charts"}
	argocdChart       = chart{"argo-cd", "10.1.1", "https://argoproj.github.io/argo-helm"}
	rolloutsChart     = chart{"argo-rollouts", "2.41.0", "https://argoproj.github.io/argo-helm"}
)

// Images of the servers that operators start from our objects. An operator's own default must not decide: RabbitMQ's gives
// none while its webhook is off, and CloudNativePG's is written into the Cluster once, when it is created. Raising a row
// restarts the servers of a running stack one after the other. PostgreSQL of another major version is migrated by
// pg_upgrade while it is down, and never goes back.
const (
	// rabbitmqImage follows the operator's own tests; the -alpine images are not supported by the RabbitMQ team.
	rabbitmqImage = "rabbitmq:4.3.5-management"
	// postgresqlImage has to begin its tag with the version, from which the operator reads the major version. The
	// "system" images are those that contain barman-cloud, which makes the backups.
	postgresqlImage = "ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie"
)

// from is where the chart comes from: its repository, or the mirror that the configuration names for it. Helm wants a
// chart in an OCI registry as one reference, without a repository.
func (c chart) from(mirrors map[string]string) (reference, repository string) {
	repository = c.repository
	if mirror, ok := mirrors[repository]; ok {
		repository = strings.TrimSuffix(mirror, "/")
	}
	if strings.HasPrefix(repository, "oci://") {
		return repository + "/" + c.name, ""
	}
	return c.name, repository
}
