package config

import (
	"strings"
	"testing"
)

// TestAccepted checks that the rules do not refuse settings that work.
func TestAccepted(t *testing.T) {
	for _, text := range []string{
		"environment: staging\nnetwork: {zones: [a, b]}\n" + "nodes: [" + master + ", " + worker + ", " + store + "]",
		"access: {adminCidrs: [0.0.0.0/0]}",
		"environment: prod\naccess: {adminCidrs: [10.0.0.0/8, 198.51.100.0/24, 203.0.113.7/32]}",
		"cluster: {cni: none, kubernetesVersion: 1.35.4, dnsDomain: cluster.example.org}",
		"kubernetes: {kubeProxy: {mode: nftables}}\ncluster: {cni: none}",
		"network: {vpcCidr: 172.17.0.0/16, podCidr: 100.64.0.0/10, serviceCidr: 192.168.0.0/20, zones: [d, b, f, a, c, e, " +
			"g, h]}",
		"network: {vpcCidr: 10.0.0.0/22}",
		"identity: {enabled: true, serviceAccounts: [{namespace: a, name: b, policy: {Statement: {Effect: Allow, Action: '*', " +
			"Resource: ['arn:aws:s3:::é/${aws:PrincipalTag/team}', 'arn:*:sqs:*:*:x'], Condition: {" +
			"'ForAnyValue:StringLikeIfExists': {aws:PrincipalTag/a: [b]}, bool: {aws:SecureTransport: 'true'}}}}}]}",
		"image: {os: debian-12, ami: ami-0123456789abcdef0, generation: 2026-11}",
		"image: {ami: ami-12345678}",
		"nodes: [" + master + ", " + worker + "]\naddons: {rabbitmq: {enabled: false}, redis: {enabled: false}}",
		"nodes: [" + master + "]\naddons: " + allOff,
		"nodes: [" + master + ", {name: s, labels: {workload: storage}}]",
		"nodes: [" + master + ", " + worker + "]",
		"addons: {certManager: {enabled: false}, logging: {enabled: true, values: {loki: {}, fluentBit: {a: 1}}}}",
		nodesWith("{name: x, labels: {node-role.kubernetes.io/gpu: '', node-restriction.kubernetes.io/tenant: a, " +
			"node.kubernetes.io/exclude-from-external-load-balancers: 'true', example.com/Tier_1.x: B}}"),
		nodesWith(
			"{name: x, taints: [{key: example.com/gpu, effect: NoExecute}, {key: example.com/gpu, effect: NoSchedule}]}"),
		nodesWith("{name: 7th, zone: 2, volumeSize: 20}, {name: x" + strings.Repeat("y", 39) + "}"),
		withDomain("ingressHosts: ['*.example.com', a.b.example.com]"),
		"dns: {domain: example.com}\naddons: {certManager: {enabled: false}, rabbitmq: {enabled: false}}",
		"mirrors: {registries: {quay.io: 'http://127.0.0.1:30020'}, charts: {'https://charts.jetstack.io': " +
			"'http://localhost:8080'}}",
		"kubernetes: {kubelet: {podPidsLimit: 0}, apiServer: {audit-log-truncate-max-event-size: '10485760'}}",
		"cluster: {cni: none}\nkubernetes: {kubelet: {maxPods: 17}}",
		"identity: {enabled: true}\ncluster: {kubernetesVersion: 1.35.1}",
		"identity: {enabled: false}\ncluster: {kubernetesVersion: 1.35.0}",
		identityWith("https://d111111abcdef8.cloudfront.net"), identityWith("https://oidc.example.com/platform/_dev~1.x"),
		accountsWith("{namespace: apps, name: api, policy: 'arn:aws:iam::123456789012:policy/team/api'}, " +
			"{namespace: apps, name: api.v2, policy: 'arn:aws:iam::aws:policy/ReadOnlyAccess'}, {namespace: a, name: api, " +
			"policy: {Version: '2012-10-17', Id: x, Statement: [{Sid: One, Effect: Allow, Action: [s3:Get*, '*'], Resource: '*'}, " +
			"{Sid: Two, Effect: Deny, NotAction: s3:GetObject, NotResource: ['arn:aws:s3:::b/*'], Condition: {Bool: " +
			"{aws:SecureTransport: false}}}]}}"),
		accountsWith("{namespace: apps, name: api, policy: {Statement: {Effect: Allow, Action: s3:GetObject, Resource: '*'}}}"),
		"backup: {restoreFrom: latest}",
		"maintenance: {reboots: true}",
		"maintenance: {reboots: true, days: [sat, sun], start: '22:00', end: '04:00', timeZone: America/New_York}",
		"maintenance: {reboots: true, start: '00:00', end: '24:00', timeZone: Asia/Seoul}",
		"backup: {restoreFrom: platform/etcd/2026-11-23T03:00:00Z.db, retentionDays: 3650, keepBucket: true}",
		"mirrors: {kubernetesApt: 'http://10.0.0.9:8080/k8s', s3Endpoint: 'http://minio.example.com:9000', registries: " +
			"{'localhost:5000': 'http://10.0.0.9:5000', docker.io: 'https://m.example.com/v2/hub'}, charts: " +
			"{'https://charts.jetstack.io': 'oci://m.example.com/charts'}}",
		"mirrors: {registries: {docker.io: {url: 'https://harbor.example.com/v2/hub', username: robot$nodes, password: " +
			"'a\"b$(c)', ca: " + pemCA + "}, quay.io: {url: 'https://m.example.com'}}}",
		"mirrors: {kubernetesApt: 'https://m.example.com', kubernetesAptKey: " + strings.Repeat("aB", 20) +
			", etcd: 'https://m.example.com', etcdSha256: " + strings.Repeat("a1", 32) + "}",
		"kubernetes: {kubelet: {maxPods: 60, evictionHard: {memory.available: 5%}, tlsMinVersion: ~}, kubeProxy: " +
			"{conntrack: {min: 1000}}, apiServer: {max-requests-inflight: '600', audit-log-maxage: '90'}, controllerManager: " +
			"{v: '4'}, scheduler: {v: '4'}, ignorePreflightErrors: [NumCPU, mem, Port-10250, " +
			"FileContent--proc-sys-net-bridge-bridge-nf-call-iptables]}",
		"kubernetes: {containerd: \"# more\\n[debug]\\nlevel = " +
			"'debug'\\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.gvisor]\\nruntime_type = " +
			"'io.containerd.runsc.v1'\"}",
		"kubernetes: {kubelet: {allowedUnsafeSysctls: [kernel.sem, 'kernel.shm*', kernel/msgmax, 'net.*', 'net.ipv4.*', " +
			"net/ipv4/conf/all/rp_filter, fs.mqueue.msg_max]}, scheduler: {leader-elect: 'true'}}",
		"kubernetes: {kubeProxy: {nodePortAddresses: [10.0.0.0/20, 10.0.16.0/20, 10.0.32.0/19, 10.0.64.0/18, 127.0.0.0/8]}}",
		"kubernetes: {kubeProxy: {nodePortAddresses: [127.0.0.0/8]}}\naddons: {loadBalancer: {enabled: false}}",
		"nodes: [" + master + ", " + worker +
			"]\nnetwork: {zones: [a, b]}\nkubernetes: {kubeProxy: {nodePortAddresses: [10.0.0.0/19]}}",
		"nodes: [{name: master, role: control-plane, zone: 1}, {name: w, zone: 2}]\n" +
			"kubernetes: {kubeProxy: {nodePortAddresses: [10.0.64.0/20, 10.0.80.0/20]}}",
		"kubernetes: {scheduler: {leader-elect: 'false'}, controllerManager: {leader-elect: '0'}}",
		`addons: {redis: {values: {valkeyConfig: "appendonly yes\nmaxmemory 256mb\nmaxmemory 268435456\nMaxMemory '262144KB'"}}}`,
		`addons: {redis: {maxMemoryMiB: 2048, values: {valkeyConfig: "AppendOnly Yes\nmaxmemory 2gb"}}}`,
		withPolicy("{Statement: [{Effect: Allow, Action: 'sqs:*', Resource: ['arn:aws:sqs', 'arn:aws:s3:my-bucket', '*']}]}"),
		"kubernetes: {kubelet: {featureGates: {}, systemReserved: {cpu: ~, memory: 512Mi}}, apiServer: " +
			"{disable-admission-plugins: DefaultTolerationSeconds}}",
		"kubernetes: {containerd: \"[debug]\\nlevel = " +
			"'debug'\\n[plugins.'io.containerd.cri.v1.runtime']\\nrestrict_oom_score_adj = true\"}",
		withProject("repositories: ['https://charts.example.com', 'oci://registry.example.com/charts', " +
			"registry.example.com/charts, 'git@github.com:example/other.git', 'ssh://git@github.com/example/more.git']"),
		withProject("namespaces: {shop: restricted, tools: baseline}, kinds: [cert-manager.io/Certificate, LimitRange]"),
		"addons: {argocd: {repoUrl: 'git@github.com:example/platform.git', revision: release/1.x}, acme: {email: " +
			"ops+k8s@mail.example.com}}\nargocdRepositoryKey: " + deployKey(""),
		"addons: {argocd: {repoUrl: 'ssh://git@github.com:22/example/platform.git'}}\nargocdRepositoryKey: " + deployKey(""),
		"access: {adminCidrs: [" + manyRanges(50) + "]}",
		"addons: {argocd: {repoUrl: 'https://github.com/example/platform.git'}, rabbitmq: {replicas: 3, values: {a: [1, " +
			"2.5, ~]}}}",
		"addons: " + allOff,
		"addons: ~\nnodes: ~",
		"cluster: {name: a--b}",
		"nodes: [{name: m, role: control-plane, instanceType: t3a.medium}, {name: w, instanceType: c7a.medium}]",
		"nodes: [" + master + ", " + worker +
			", {name: s, taints: [{key: workload, value: storage, effect: NoSchedule}]}]\naddons: " + allOff,
		"kubernetes: {kubelet: {evictionHard: {memory.available: 100%, nodefs.available: 0%, imagefs.available: 15%}, " +
			"podPidsLimit: -1, maxPods: 500, reservedSystemCPUs: '0,2-3', systemReserved: {ephemeral-storage: 5Gi}}}",
		"addons: {rabbitmq: {storageGiB: 3}, postgresql: {storageGiB: 2}, redis: {storageGiB: 1}}",
		"backup: {everyHours: 1}", "backup: {everyHours: 12}", "backup: {everyHours: 24}",
		"redisPassword: correct-horse-battery",
		mailed,
		"notifications: {receiver: email, email: {to: a@example.com, from: a@example.com, server: '10.0.0.9:465', " +
			"username: 'AKIA+/='}}\nnotificationsPassword: 'a b $(c)'",
		"notifications: {receiver: slack}\nnotificationsUrl: https://hooks.slack.com/services/T0/B0/x",
		"notifications: {receiver: discord}\nnotificationsUrl: https://discord.com/api/webhooks/1/x",
		"notifications: {receiver: webhook}\nnotificationsUrl: http://bridge.apps.svc:8080/alerts?token=x",
		`{"aws:profile": "my profile", "aws:allowedAccountIds": ["123456789012"], "aws:forbiddenAccountIds": ["210987654321"]}`,
		`{"aws:assumeRole": {roleArn: "arn:aws:iam::123456789012:role/ci/deploy", sessionName: ci, externalId: "a/b:c", duration: 2h}}`,
		`{"aws:region": "cn-north-1", "aws:assumeRole": {roleArn: "arn:aws-cn:iam::123456789012:role/deploy"}}`,
		`{"pulumi:disable-default-providers": ["*"], "pulumi:tags": {team: a}}`,
	} {
		if _, err := loadText(t, "dev", text); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

func TestInstanceTypes(t *testing.T) {
	for _, right := range []string{"t3.medium", "m7i-flex.large", "c5d.metal", "m5.metal", "x2iedn.32xlarge",
		"u-6tb1.56xlarge", "g4dn.xlarge", "gr6.4xlarge", "g6e.12xlarge", "p5en.48xlarge", "i7ie.metal-24xl", "hpc6a.48xlarge",
		"t2.medium"} {
		cfg, err := loadText(t, "dev", nodesWith("{name: x, instanceType: "+right+"}"))
		if err != nil {
			t.Errorf("%s: %v", right, err)
		} else if got := cfg.Nodes[3].Architecture(); got != AMD64 {
			t.Errorf("%s is taken for %s", right, got)
		}
	}
	for _, graviton := range []string{"a1.large", "t4g.medium", "m6gd.large", "c7gn.16xlarge", "im4gn.large",
		"is4gen.large", "x2gd.large", "g5g.xlarge", "hpc7g.4xlarge", "r8g.metal-24xl",
		"p6e-gb200.36xlarge"} {
		cfg, err := loadText(t, "dev", nodesWith("{name: x, instanceType: "+graviton+"}"))
		if err != nil {
			t.Errorf("%s: %v", graviton, err)
		} else if got := cfg.Nodes[3].Architecture(); got != ARM64 {
			t.Errorf("%s is taken for %s", graviton, got)
		}
	}
}

// TestRegions checks the table of regions with names that exist, names of isolated regions and names that do not
// exist.
func TestRegions(t *testing.T) {
	for region, want := range map[string]string{
		"eu-central-1": "aws", "us-gov-west-1": "aws-us-gov", "ap-southeast-7": "aws", "cn-northwest-1": "aws-cn",
		"il-central-1": "aws", "mx-central-1": "aws", "eusc-de-east-1": "aws-eusc",
	} {
		if got := partitionOf(region).name; got != want {
			t.Errorf("%s is in partition %q, want %s", region, got, want)
		}
		if _, err := loadText(t, "dev", "aws:region: "+region); err != nil {
			t.Errorf("%s: %v", region, err)
		}
	}
	for _, wrong := range []string{
		"eu", "eu-central", "eu-central-1a", "EU-central-1", "eu_central_1", "eu-central-10", "eu-central-3", "us-iso-east-1",
		"us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1", "us-east-3", "[eu-central-1]",
	} {
		if _, err := loadText(t, "dev", "aws:region: '"+wrong+"'"); err == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
}
