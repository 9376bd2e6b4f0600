package catalog

import "time"

const second = time.Second

const (
	calico     = "https://docs.tigera.io/calico/charts"
	prometheus = "https://prometheus-community.github.io/helm-charts"
	argo       = "https://argoproj.github.io/argo-helm"

	dataNamespace = "data"
)

// Addons are all add-ons, in the order in which verify and the documents go through them.
//
// Before the version of a chart changes, run addons/chart-facts.sh: the tests compare what the program sets with the
// keys that the chart has at exactly this version. Helm never upgrades the custom resource definitions in a chart's
// crds/. Those of RabbitMQ's operator and of the load balancer controller are objects of the program, in
// addons/definitions/; docs/addons.md says how to write them for another version.
//
// The checksums are those of the archives that the tests use. Helm does not compare them; tools/mirror/charts does
// (docs/addons.md).
//
// An Image is that of the servers which an operator starts from our objects. The operator's own default must not
// decide: RabbitMQ's sets none while its webhook is off, and CloudNativePG's is written into the Cluster once, when
// it is created. Another image restarts the servers of a running stack one after the other.
//
// The times are "seen" in public logs of Terraform and Pulumi runs unless a comment says otherwise: images, start and
// readiness for an installation; helm uninstall with wait for a deletion.
var Addons = []Addon{
	{
		Name: "calico", When: "(`cluster.cni`)",
		Does: "Calico by the Tigera operator, VXLAN, no BGP", Runs: "everywhere", Data: "no",
		Charts: []Chart{
			{
				Name: "crd.projectcalico.org.v1", Version: "v3.32.1", Repository: calico,
				SHA256:  "820cde36e818f22ee75298f6f4b97451ad820a0d59f564b5cfae419e835cd22e",
				Release: "calico-crds", Namespace: "tigera-operator", Fixed: true,
				Times: Times{6 * second, 0}, // 30 definitions of 1.5 MB together
				Model: Model{Podless: true, Kinds: []string{"Installation", "APIServer", "IPPool", "FelixConfiguration"}},
			},
			{
				Name: "tigera-operator", Version: "v3.32.1", Repository: calico,
				SHA256:  "a559900582ff48bf9f7e430394059381b99d08b6b1e11b2aaba0dd87564829cf",
				Release: "calico", Namespace: "tigera-operator", Fixed: true,
				Times: Times{4 * second, 0}, // not waited for: nodes-ready does
				// The chart passes this value on as the spec of an Installation.
				Facts: []string{"installation=crd.projectcalico.org.v1/templates/operator.tigera.io_installations.yaml"},
				Model: Model{Podless: true},
			},
		},
	},
	{
		Name: "cloud controller", When: "(always)",
		Does: "AWS cloud controller manager", Runs: "control plane", Data: "no",
		Charts: []Chart{{
			Name: "aws-cloud-controller-manager", Version: "0.0.11",
			Repository: "https://kubernetes.github.io/cloud-provider-aws",
			SHA256:     "bc3fb82e71b6ce738b2f215bd30d20058baeda507f8366d0bc740fb06dbf6822",
			Release:    "aws-cloud-controller-manager", Namespace: "kube-system", Fixed: true,
			Times: Times{4 * second, 0}, // not waited for: nodes-ready does
			Model: Model{Podless: true, Action: "ec2:DescribeInstances"},
		}},
	},
	{
		Name: "metrics-server", Key: "metricsServer",
		Does: "metrics-server", Runs: "workers", Data: "no",
		Charts: []Chart{{
			Name: "metrics-server", Version: "3.13.1", Repository: "https://kubernetes-sigs.github.io/metrics-server",
			SHA256:  "b47da3b1858e4044989184970ce9b2c929402060106e20d52ca84a69d3823034",
			Release: "metrics-server", Namespace: "kube-system",
			Times: Times{30 * second, 5 * second}, // docs: readiness after the first scrape, initialDelaySeconds 20
			Model: Model{Aggregates: true},
		}},
		Workloads: []string{"metrics-server"},
	},
	{
		Name: "interruption handler", When: "(a worker with `nodes[].spot`)",
		Does: "AWS Node Termination Handler: drains a spot worker when AWS announces that it takes the machine back",
		Runs: "spot workers", Data: "no",
		// The version is also that of the program in ../interruption, which a test runs.
		Image: "public.ecr.aws/aws-ec2/aws-node-termination-handler:v1.25.6",
	},
	{
		Name: "ebs csi", Key: "ebsCsi",
		Does: "EBS CSI driver, default class `gp3`: encrypted, expandable, made in the zone of the pod; snapshot controller, " +
			"default snapshot class `ebs` ([data.md](data.md#snapshots-of-volumes))",
		Runs: "control plane, agents everywhere", Data: "makes volumes and snapshots",
		Charts: []Chart{{
			Name: "aws-ebs-csi-driver", Version: "2.64.0", Repository: "https://kubernetes-sigs.github.io/aws-ebs-csi-driver",
			SHA256:  "e243111d6ad9c58294e0cdbb6f1f16b9d9b89184c0761cbb78e82225ba6d73b3",
			Release: "aws-ebs-csi-driver", Namespace: "kube-system",
			Times: Times{30 * second, 10 * second}, // six small images of public.ecr.aws
			Model: Model{Action: "ec2:DeleteVolume"},
		}},
		// The version is also that of the snapshot definitions and of the sidecar in the chart.
		Image:     "registry.k8s.io/sig-storage/snapshot-controller:v8.6.0",
		Workloads: []string{"aws-ebs-csi-driver"},
	},
	{
		Name: "cert-manager", Key: "certManager",
		Does: "cert-manager; with `dns.domain` the ClusterIssuer `letsencrypt`", Runs: "workers", Data: "no",
		Charts: []Chart{{
			Name: "cert-manager", Version: "v1.21.1", Repository: "https://charts.jetstack.io",
			SHA256:  "7a0315df06aa4dc7fa4758b08748bd19bd36c3ac94ff7a540f3afb79c3fab6ad",
			Release: "cert-manager", Namespace: "cert-manager",
			// Docs: the chart's startupapicheck job waits for the webhook; seen: 40 to 60 s.
			Times: Times{50 * second, 12 * second},
			Model: Model{
				Kinds:  []string{"Issuer", "ClusterIssuer", "Certificate"},
				Guards: []string{"Issuer", "ClusterIssuer", "Certificate"},
			},
		}},
		Workloads: []string{"cert-manager"},
	},
	{
		Name: "load balancer controller", Key: "loadBalancer",
		Does: "AWS Load Balancer Controller, ingress class `alb`", Runs: "control plane", Data: "no",
		Charts: []Chart{{
			Name: "aws-load-balancer-controller", Version: "3.5.0", Repository: "https://aws.github.io/eks-charts",
			SHA256:  "09ec0ce2e2a889756650ac7404fbd27089ef47fdab5ccd91f4891e938d4337fb",
			Release: "aws-load-balancer-controller", Namespace: "kube-system",
			Times: Times{30 * second, 8 * second},
			Model: Model{
				Kinds:     []string{"TargetGroupBinding", "IngressClassParams"},
				Guards:    []string{"Ingress", "TargetGroupBinding", "IngressClassParams"},
				Finalizes: []string{"Ingress", "Service", "TargetGroupBinding"},
				Action:    "elasticloadbalancing:DeleteLoadBalancer",
			},
		}},
		Workloads: []string{"aws-load-balancer-controller"},
		Objects: map[string]Times{
			// The controller writes the host name a few seconds after CreateLoadBalancer; the load balancer answers one to
			// three minutes later, which the provider does not wait for. Deletion waits for its network interfaces to go.
			"kubernetes:networking.k8s.io/v1:Ingress": {8 * second, 25 * second},
		},
	},
	{
		Name: "monitoring", Key: "monitoring",
		Does: "Prometheus, Alertmanager, Grafana, node exporter, kube-state-metrics", Runs: "storage node, agents everywhere",
		Data:  "20 + 1 + 2 GiB",
		Needs: []Need{{"ebsCsi", "metrics and dashboards are on volumes"}},
		Charts: []Chart{
			{
				Name: "prometheus-operator-crds", Version: "31.0.1", Repository: prometheus,
				SHA256:  "22a74d3ff04551bf0eef4b6ab48380218c25dbb201a8b939a14c68ff0fe5637c",
				Release: "prometheus-operator-crds", Namespace: "monitoring", Fixed: true,
				Times: Times{8 * second, 0}, // ten definitions, 4 MB
				Model: Model{Podless: true, Kinds: []string{
					"ServiceMonitor", "PodMonitor", "PrometheusRule", "Prometheus", "Alertmanager", "Probe", "AlertmanagerConfig",
				}},
			},
			{
				Name: "kube-prometheus-stack", Version: "88.5.3", Repository: prometheus,
				SHA256:  "c41954ce4feb697b00fcee4a4e9892b7cdbb9e59905c0361ea84192fb345499b",
				Release: "kube-prometheus-stack", Namespace: "monitoring",
				Times: Times{100 * second, 25 * second}, // eight images, two hook jobs, three volumes; seen: 90 to 120 s
				Facts: []string{"grafana/grafana.ini/**"},
				Model: Model{Claims: []Claim{
					{
						Name: "prometheus-db-prometheus-0", When: "prometheus.prometheusSpec.storageSpec",
						ClassAt:  "prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.storageClassName",
						PolicyAt: "prometheus.prometheusSpec.persistentVolumeClaimRetentionPolicy.whenDeleted",
					},
					{
						Name: "alertmanager-db-alertmanager-0", When: "alertmanager.alertmanagerSpec.storage",
						ClassAt:  "alertmanager.alertmanagerSpec.storage.volumeClaimTemplate.spec.storageClassName",
						PolicyAt: "alertmanager.alertmanagerSpec.persistentVolumeClaimRetentionPolicy.whenDeleted",
					},
					{Name: "grafana", When: "grafana.persistence.enabled", ClassAt: "grafana.persistence.storageClassName",
						Owned: true},
				}},
			},
		},
		Workloads: []string{"kube-prometheus-stack"},
		Conditions: []Condition{
			{"/apis/monitoring.coreos.com/v1/prometheuses", []string{"Available"}, "kubectl describe prometheus -A"},
			{"/apis/monitoring.coreos.com/v1/alertmanagers", []string{"Available"}, "kubectl describe alertmanager -A"},
		},
	},
	{
		Name: "logging", Key: "logging",
		Does: "Loki on S3, Fluent Bit (`values.loki`, `values.fluentBit`)", Runs: "control plane, agents everywhere",
		Data:  "10 GiB, and the log bucket",
		Needs: []Need{{"ebsCsi", "what is not in S3 yet is on a volume"}, {"monitoring", "Grafana is where logs are read"}},
		Charts: []Chart{
			{
				Name: "loki", Version: "18.11.0", Repository: "https://grafana-community.github.io/helm-charts",
				SHA256:  "b27c38231cbe04adc70c95013668862aa8845f9d422a38e37f2f468b4022e670",
				Release: "loki", Namespace: "logging", Section: "loki",
				Times: Times{60 * second, 20 * second},
				Facts: []string{"loki/storage/bucketNames/**", "loki/limits_config/**"},
				Model: Model{Claims: []Claim{{
					Name: "storage-loki-0", When: "singleBinary.persistence", ClassAt: "singleBinary.persistence.storageClass",
					PolicyAt: "singleBinary.persistence.whenDeleted",
				}}},
			},
			{
				Name: "fluent-bit", Version: "0.58.1", Repository: "https://fluent.github.io/helm-charts",
				SHA256:  "733a85eb9a52849c720b04a94e25b9b7bb66671616bc02fed45de55ac870d67d",
				Release: "fluent-bit", Namespace: "logging", Section: "fluentBit",
				Times: Times{25 * second, 8 * second},
			},
		},
		Workloads: []string{"loki", "fluent-bit"},
	},
	{
		Name: "rabbitmq", Key: "rabbitmq",
		Does: "cluster operator and one `RabbitmqCluster`", Runs: "storage node", Data: "`storageGiB` each",
		Needs: []Need{{"ebsCsi", "its queues are on a volume"}},
		Charts: []Chart{{
			Name: "rabbitmq-cluster-operator", Version: "0.6.5", Repository: "oci://registry-1.docker.io/cloudpirates",
			SHA256:  "b615424e5f31c7e17a947e1bcebf9e9d2c586f396968fbfaa02d9ae1b94d651c",
			Release: "rabbitmq-cluster-operator", Namespace: "rabbitmq-system",
			Times: Times{25 * second, 8 * second},
			Model: Model{
				Kinds: []string{"RabbitmqCluster"}, Finalizes: []string{"RabbitmqCluster"},
				Guards: []string{"RabbitmqCluster"}, GuardsAt: "clusterOperator.webhook.enabled",
			},
		}},
		// It follows the operator's own tests. The -alpine images are not supported by the RabbitMQ team.
		Image: "rabbitmq:4.3.5-management",
		Conditions: []Condition{{
			"/apis/rabbitmq.com/v1beta1/rabbitmqclusters", []string{"AllReplicasReady", "ClusterAvailable"},
			"kubectl -n data describe rabbitmqcluster rabbitmq; kubectl -n rabbitmq-system logs deploy/rabbitmq-cluster-operator",
		}},
		Objects: map[string]Times{
			// A volume is made and attached (docs: "typically a few seconds"; seen: 12 to 20 s), the image is 250 MB, and
			// RabbitMQ boots in 25 to 40 s; seen: 60 to 90 s. Deletion stops the broker and its volume is detached.
			"kubernetes:rabbitmq.com/v1beta1:RabbitmqCluster": {75 * second, 35 * second},
		},
	},
	{
		Name: "redis", Key: "redis",
		Does: "Valkey, which speaks the protocol of Redis", Runs: "storage node", Data: "`storageGiB`",
		Needs: []Need{{"ebsCsi", "its data is on a volume"}},
		Charts: []Chart{{
			Name: "valkey", Version: "0.11.0", Repository: "https://valkey.io/valkey-helm",
			SHA256:  "f6aab0632ff69c1668455f627cfc2d906926b0968afd1a495e56e44db398015d",
			Release: "valkey", Namespace: dataNamespace,
			Times: Times{40 * second, 20 * second}, // one image of 50 MB and a volume
			Model: Model{Claims: []Claim{
				{Name: "valkey", When: "dataStorage.enabled", ClassAt: "dataStorage.className", Owned: true},
				{
					Name: "valkey-data-valkey-0", When: "replica.enabled", ClassAt: "replica.persistence.className",
					PolicyAt: "replica.persistentVolumeClaimRetentionPolicy.whenDeleted",
				},
			}},
		}},
		Workloads: []string{"valkey"},
	},
	{
		Name: "postgresql", Key: "postgresql",
		Does: "CloudNativePG and one `Cluster`", Runs: "storage node", Data: "`storageGiB`",
		Needs: []Need{{"ebsCsi", "its data is on a volume"}},
		Charts: []Chart{{
			Name: "cloudnative-pg", Version: "0.29.0", Repository: "https://cloudnative-pg.github.io/charts",
			SHA256:  "5a65c7d99c98839f4f69d80b7ab1f57644b882d1ca0391cae8da9954eb9c9e7a",
			Release: "cloudnative-pg", Namespace: "cnpg-system",
			Times: Times{25 * second, 8 * second},
			Model: Model{
				Kinds:     []string{"Cluster", "Backup", "ScheduledBackup", "Database", "Publication", "Subscription"},
				Guards:    []string{"Cluster", "Backup", "ScheduledBackup", "Database"},
				Finalizes: []string{"Database", "Publication", "Subscription"},
			},
		}},
		// Its tag has to begin with the version, from which the operator reads the major version. The "system" images are
		// those that contain barman-cloud, which makes the backups. Another major version is migrated by pg_upgrade while the
		// database is down, and never goes back.
		Image: "ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie",
		Conditions: []Condition{{
			"/apis/postgresql.cnpg.io/v1/clusters", []string{"Ready"},
			"kubectl -n data describe cluster.postgresql.cnpg.io; kubectl -n cnpg-system logs deploy/cloudnative-pg",
		}},
		Objects: map[string]Times{
			// Like RabbitMQ, with a bootstrap job in between.
			"kubernetes:postgresql.cnpg.io/v1:Cluster": {80 * second, 30 * second},
		},
	},
	{
		Name: "argo cd", Key: "argocd",
		Does: "Argo CD; with `repoUrl` the Application `root`, which syncs `envs/<environment>`", Runs: "workers", Data: "no",
		Charts: []Chart{{
			Name: "argo-cd", Version: "10.1.1", Repository: argo,
			SHA256:  "84cad0c9bff2e0ff5faa50f49755bc89a30bb982d8acfdca2ed128ecd795f8a9",
			Release: "argo-cd", Namespace: "argocd",
			Times: Times{60 * second, 20 * second}, // seen: 45 to 75 s, the image is 180 MB
			Facts: []string{"configs/params/**"},
			Model: Model{Kinds: []string{"Application", "AppProject", "ApplicationSet"}, Finalizes: []string{"Application"}},
		}},
		Workloads: []string{"argo-cd"},
		Objects: map[string]Times{
			// docs: the finalizer cascades to what the Application made.
			"kubernetes:argoproj.io/v1alpha1:Application": {second, 30 * second},
		},
	},
	{
		Name: "argo rollouts", Key: "argoRollouts",
		Does: "Argo Rollouts", Runs: "workers", Data: "no",
		Charts: []Chart{{
			Name: "argo-rollouts", Version: "2.41.0", Repository: argo,
			SHA256:  "6687d714e5dc5f07319f1f2d9563b7837c16afe29dbc5d79be3738478e6dac42",
			Release: "argo-rollouts", Namespace: "argo-rollouts",
			Times: Times{25 * second, 8 * second},
			Model: Model{Kinds: []string{"Rollout", "AnalysisTemplate", "AnalysisRun", "Experiment", "ClusterAnalysisTemplate"}},
		}},
		Workloads: []string{"argo-rollouts"},
	},
}
