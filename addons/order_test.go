package addons

import (
	"strings"
	"testing"

	"kubeadm-aws/config"
)

// Each pair names a resource that must exist until the other is deleted, and the reason.
var mustOutlive = []struct{ lasting, going, why string }{
	{"nodes-ready", "metrics-server", "nothing runs without nodes"},
	{"storage-node", "nodes-ready", "a node that is drained under its pods leaves volumes attached"},
	{"worker-1-node", "nodes-ready", "a node that is drained under its pods leaves volumes attached"},
	{"calico", "nodes-ready", "no node is Ready without a network"},
	{"aws-cloud-controller-manager", "nodes-ready", "no node takes pods before it is initialised"},
	{"calico-crds", "calico", "the operator's custom resources are part of its chart"},

	{"controller-policy", "aws-ebs-csi-driver", "without permissions the driver deletes no volume"},
	{"controller-policy", "aws-load-balancer-controller", "without permissions the controller deletes no load balancer"},
	{"controller-policy", "loki", "without permissions Loki writes no logs"},
	{"nodes-ready", "aws-ebs-csi-driver", "the driver runs on nodes"},

	{"aws-ebs-csi-driver", "release-gate-volumes", "the driver deletes the volumes and snapshots that the gate waits for"},
	{"snapshot-controller", "release-gate-volumes", "the controller removes the finalizers of VolumeSnapshots"},
	{"snapshot-controller-ClusterRoleBinding", "snapshot-controller",
		"without permissions the controller removes no finalizer"},
	{"snapshot-controller-RoleBinding", "snapshot-controller", "without permissions the controller elects no leader"},
	{"nodes-ready", "snapshot-controller", "the controller runs on nodes"},
	{"definition-volumesnapshots.snapshot.storage.k8s.io", "snapshot-controller",
		"the controller ends without its definitions"},
	{"definition-volumesnapshotcontents.snapshot.storage.k8s.io", "aws-ebs-csi-driver",
		"the driver's sidecar ends without its definitions"},
	{"definition-volumesnapshotclasses.snapshot.storage.k8s.io", "snapshotclass-ebs",
		"it is one of these custom resources"},
	{"release-gate-volumes", "kube-prometheus-stack", "its claims have to be deleted while the driver runs"},
	{"release-gate-volumes", "loki", "its claim has to be deleted while the driver runs"},
	{"release-gate-volumes", "valkey", "its claim has to be deleted while the driver runs"},
	{"release-gate-volumes", "rabbitmq", "its claims have to be deleted while the driver runs"},
	{"release-gate-volumes", "postgresql", "its claims have to be deleted while the driver runs"},
	{"release-gate-volumes", "release-gate-applications", "Applications have claims"},
	{"release-gate-volumes", "release-gate-rabbitmq", "clusters of users have claims"},

	{"definition-targetgroupbindings.elbv2.k8s.aws", "aws-load-balancer-controller",
		"the controller ends without its definitions"},
	{"definition-ingressclassparams.elbv2.k8s.aws", "ingressclassparams-alb", "it is one of these custom resources"},
	{"aws-load-balancer-controller", "release-gate-load-balancers",
		"the controller deletes the load balancers that the gate waits for"},
	{"ingressclass-alb", "release-gate-load-balancers", "the controller knows its Ingresses by their class"},
	{"release-gate-load-balancers", "ingress-shared", "an Ingress that is made after the gate let go stays"},
	{"release-gate-load-balancers", "ingress-argocd", "an Ingress that is made after the gate let go stays"},
	{"release-gate-load-balancers", "ingress-grafana", "an Ingress that is made after the gate let go stays"},
	{"release-gate-load-balancers", "release-gate-applications", "Applications have Ingresses"},
	{"release-gate-load-balancers", "clusterissuer-letsencrypt", "challenges are answered by Ingresses"},
	{"argo-cd", "ingress-argocd", "the Ingress points to its Service"},
	{"kube-prometheus-stack", "ingress-grafana", "the Ingress points to its Service"},
	{"ingress-shared", "argocd.example.com", "the record points to its load balancer"},
	{"ingress-shared", "shop.example.com", "the record points to its load balancer"},

	{"argo-cd", "release-gate-applications", "Argo CD deletes what Applications deployed"},
	{"release-gate-applications", "root-application", "Argo CD would deploy again what the gate removes"},
	{"argo-cd", "project-dev", "it is one of these custom resources"},
	{"project-dev", "release-gate-applications", "Argo CD deletes only what the project of an Application allows"},
	{"project-root", "release-gate-applications", "Argo CD deletes no Application of a project that is gone"},
	{"project-default", "root-application", "an Application of Git could use its rights before they are taken"},

	{definitionOfRabbitMQ, "rabbitmq-cluster-operator", "the operator watches its custom resources"},
	{"rabbitmq-cluster-operator", "release-gate-rabbitmq", "the operator removes the finalizer of clusters"},
	{"release-gate-rabbitmq", "rabbitmq", "the operator removes the finalizer"},
	{"release-gate-rabbitmq", "release-gate-applications", "Applications have clusters"},
	{"cloudnative-pg", "release-gate-postgresql", "the operator's webhook answers for clusters"},
	{"release-gate-postgresql", "postgresql", "the operator's webhook answers for clusters"},

	{"cert-manager", "release-gate-applications", "its webhook answers for the certificates of Applications"},
	{"cert-manager", "clusterissuer-letsencrypt", "its webhook answers for issuers"},
	{"prometheus-operator-crds", "kube-prometheus-stack", "its custom resources are part of its chart"},
	{"prometheus-operator-crds", "podmonitor-rabbitmq", "it is one of these custom resources"},
	{"prometheus-operator-crds", "prometheusrule-redis", "it is one of these custom resources"},
	{"prometheus-operator-crds", "argo-cd", "its chart brings monitors"},
	{"secret-grafana-admin", "kube-prometheus-stack", "Grafana reads its password there"},
	{"secret-argocd-secret", "argo-cd", "Argo CD reads its password there"},
	{"secret-rabbitmq-credentials", "rabbitmq", "RabbitMQ reads its password there"},
	{"secret-valkey-users", "valkey", "Valkey reads its password there"},
	{"namespace-data", "valkey", "it is in this namespace"},
	{"loki", "fluent-bit", "it has no server to send to"},
}

func TestWhatMustOutliveWhat(t *testing.T) {
	r := install(t, nil, everything)
	for _, pair := range mustOutlive {
		r.find(t, pair.lasting)
		r.find(t, pair.going)
		if !r.outlives(pair.lasting, pair.going) {
			t.Errorf("%s can be deleted before %s: %s", pair.lasting, pair.going, pair.why)
		}
	}
}

// Resources that do not depend on each other start together. A dependency between these pairs would have no reason.
func TestNothingWaitsWithoutACause(t *testing.T) {
	r := install(t, nil, everything)
	for _, pair := range [][2]string{
		{"calico", "aws-cloud-controller-manager"},
		{"aws-cloud-controller-manager", "calico"},
		{"nodes-ready", "prometheus-operator-crds"},
		{"argo-cd", "kube-prometheus-stack"},
		{"kube-prometheus-stack", "argo-cd"},
		{"cert-manager", "rabbitmq"},
		{"aws-load-balancer-controller", "argo-cd"},
		{"aws-load-balancer-controller", "kube-prometheus-stack"},
		{"aws-ebs-csi-driver", "argo-cd"},
		{"aws-ebs-csi-driver", "rabbitmq-cluster-operator"},
		{"metrics-server", "argo-cd"},
		{"kube-prometheus-stack", "loki"},
		{"valkey", "rabbitmq"},
		{"rabbitmq", "valkey"},
	} {
		if r.outlives(pair[0], pair[1]) {
			t.Errorf("%s waits for %s without a cause", pair[1], pair[0])
		}
	}
}

func TestOnlyWhatDiesWithItsNodesIsDropped(t *testing.T) {
	dropped := map[string]bool{
		"namespace-tigera-operator": true, "calico-crds": true, "calico": true,
		"aws-cloud-controller-manager": true, "prometheus-operator-crds": true,
	}
	for _, entry := range install(t, nil, everything).resources {
		// Deleting a definition would delete its custom resources.
		want := dropped[entry.name] || strings.HasPrefix(entry.name, "definition-")
		if strings.HasPrefix(entry.kind, "kubernetes:") && entry.retained != want {
			t.Errorf("%s: dropped on destroy is %v, want %v", entry.name, entry.retained, want)
		}
	}
}

// A gate that is skipped because its machine is deleted as well would release nothing.
func TestGatesAreNotSkippedWithTheirMachine(t *testing.T) {
	r := install(t, nil, everything)
	for _, subject := range []string{"applications", "load-balancers", "volumes", "rabbitmq", "postgresql"} {
		gate := r.find(t, "release-gate-"+subject)
		if gate.deletedWith != "" {
			t.Errorf("%s is dropped without its delete, together with %s", gate.name, gate.deletedWith)
		}
		create, remove := gate.inputs["create"].StringValue(), gate.inputs["delete"].StringValue()
		if !strings.Contains(create, "ACTION='hold'") || !strings.Contains(remove, "ACTION='release'") {
			t.Errorf("%s: creating it must hold and deleting it release, got:\n%.200s\n%.200s", gate.name, create, remove)
		}
	}
	volumes := r.find(t, "release-gate-volumes").inputs["delete"].StringValue()
	if !strings.Contains(volumes, "VOLUMES='delete'") {
		t.Errorf("the gate of volumes does not say what becomes of them:\n%.300s", volumes)
	}
}

// The engine does not delete objects that only a controller can release: it could only wait if the controller does
// not run. It deletes everything else, which would otherwise be left behind.
func TestObjectsThatNeedAControllerAreDeletedByTheirGate(t *testing.T) {
	gates := map[string]string{
		"rabbitmq": "release-gate-rabbitmq", "postgresql": "release-gate-postgresql",
		"root-application": "release-gate-applications",
		"ingress-shared":   "release-gate-load-balancers", "ingress-argocd": "release-gate-load-balancers",
		"ingress-grafana": "release-gate-load-balancers",
	}
	seen := 0
	for _, entry := range install(t, nil, everything).resources {
		if !strings.HasPrefix(entry.kind, "kubernetes:") || strings.HasSuffix(entry.kind, ":Namespace") {
			continue
		}
		if entry.deletedWith != gates[entry.name] {
			t.Errorf("%s is deleted with %q, want %q", entry.name, entry.deletedWith, gates[entry.name])
		}
		if entry.deletedWith != "" {
			seen++
		}
	}
	if seen != len(gates) {
		t.Errorf("%d objects are deleted by their gate, want %d", seen, len(gates))
	}
}

// The gate removes these objects some time after the engine has dropped them, so their dependencies wait for the
// gate.
func TestWhatAnObjectNeedsOutlivesItsGate(t *testing.T) {
	r := install(t, nil, everything)
	for _, pair := range [][2]string{
		{"secret-rabbitmq-credentials", "release-gate-rabbitmq"},
		{"namespace-data", "release-gate-rabbitmq"},
		{"secret-postgresql-app", "release-gate-postgresql"},
		{"namespace-data", "release-gate-postgresql"},
		{"namespace-ingress", "release-gate-load-balancers"},
		{"secret-connections", "release-gate-applications"},
		{"namespace-apps", "release-gate-applications"},
	} {
		if !r.outlives(pair[0], pair[1]) {
			t.Errorf("%s can be deleted before %s has removed what needs it", pair[0], pair[1])
		}
	}
}

func TestAddonsThatAreOffLeaveNothing(t *testing.T) {
	off := false
	for name, test := range map[string]struct {
		change func(*config.Config)
		gone   []string
	}{
		"metrics-server": {func(c *config.Config) { c.Addons.MetricsServer.Enabled = &off }, []string{"metrics-server"}},
		"storage": {func(c *config.Config) {
			a := &c.Addons
			for _, addon := range []*config.Addon{&a.EBSCSI, &a.Monitoring, &a.RabbitMQ.Addon, &a.Redis.Addon,
				&a.PostgreSQL.Addon, &a.Logging} {
				addon.Enabled = &off
			}
		}, []string{"aws-ebs-csi-driver", "storageclass-gp3", "snapshotclass-ebs", "snapshot-controller",
			"release-gate-volumes", "namespace-data", "namespace-monitoring"}},
		"cert-manager": {func(c *config.Config) { c.Addons.CertManager.Enabled = &off },
			[]string{"cert-manager", "clusterissuer-letsencrypt"}},
		"load balancer": {func(c *config.Config) { c.Addons.LoadBalancer.Enabled = &off },
			[]string{"aws-load-balancer-controller", "ingressclass-alb", "ingress-shared", "argocd.example.com",
				"release-gate-load-balancers"}},
		"monitoring": {func(c *config.Config) { c.Addons.Monitoring.Enabled = &off },
			[]string{"kube-prometheus-stack", "prometheus-operator-crds", "grafana-password", "podmonitor-rabbitmq",
				"prometheusrule-redis", "ingress-grafana", "grafana.example.com"}},
		"logging": {func(c *config.Config) { c.Addons.Logging.Enabled = &off },
			[]string{"loki", "fluent-bit", "namespace-logging"}},
		"rabbitmq": {func(c *config.Config) { c.Addons.RabbitMQ.Enabled = &off },
			[]string{"rabbitmq-cluster-operator", "rabbitmq", "release-gate-rabbitmq", "rabbitmq-password",
				"prometheusrule-rabbitmq"}},
		"redis": {func(c *config.Config) { c.Addons.Redis.Enabled = &off },
			[]string{"valkey", "redis-password", "secret-valkey-users", "prometheusrule-redis"}},
		"postgresql": {func(c *config.Config) { c.Addons.PostgreSQL.Enabled = &off },
			[]string{"cloudnative-pg", "postgresql", "release-gate-postgresql"}},
		"argocd": {func(c *config.Config) { c.Addons.ArgoCD.Enabled = &off },
			[]string{"argo-cd", "root-application", "project-dev", "release-gate-applications", "ingress-argocd", "argocd.example.com"}},
		"rollouts": {func(c *config.Config) { c.Addons.ArgoRollouts.Enabled = &off }, []string{"argo-rollouts"}},
		"calico": {func(c *config.Config) { c.Cluster.CNI = "none" },
			[]string{"calico", "calico-crds", "namespace-tigera-operator"}},
		"domain": {func(c *config.Config) { c.DNS = config.DNS{} },
			[]string{"ingress-shared", "ingress-argocd", "clusterissuer-letsencrypt", "argocd.example.com",
				"namespace-ingress"}},
		"a repo": {func(c *config.Config) { c.Addons.ArgoCD.RepoURL = "" },
			[]string{"root-application", "project-root", "project-dev", "project-default"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := install(t, nil, everything)
			r := install(t, nil, func(c *config.Config) { everything(c); test.change(c) })
			for _, gone := range test.gone {
				if !all.has(gone) {
					t.Errorf("%s is not registered in the first place", gone)
				}
				if r.has(gone) {
					t.Errorf("%s is still registered", gone)
				}
			}
		})
	}
}
