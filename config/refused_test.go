package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// base has only the settings that a stack requires.
const base = "access: {adminCidrs: [198.51.100.7/32]}"

// settings converts YAML below the namespace to the form in which Pulumi passes it: bare text for scalars, JSON for
// the rest.
func settings(t testing.TB, text string) map[string]string {
	t.Helper()
	values := map[string]string{regionKey: "eu-central-1"}
	for _, doc := range []string{base, text} {
		var top map[string]any
		if err := yaml.Unmarshal([]byte(doc), &top); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		for name, value := range top {
			key := Namespace + ":" + name
			if strings.Contains(name, ":") {
				key = name
			}
			switch value := value.(type) {
			case map[string]any, []any:
				encoded, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				values[key] = string(encoded)
			case nil:
				delete(values, key)
			default:
				values[key] = fmt.Sprint(value)
			}
		}
	}
	return values
}

// withProject returns settings in which Git may do more.
func withProject(text string) string {
	return "addons: {argocd: {repoUrl: 'https://github.com/example/platform.git', project: {" + text + "}}}"
}

func loadText(t testing.TB, stack, text string) (*Config, error) {
	t.Helper()
	values := settings(t, text)
	get := func(key string) (string, bool) { v, ok := values[key]; return v, ok }
	return Load(stack, get, sortedKeys(values))
}

func faultsOf(t testing.TB, err error) Errors {
	t.Helper()
	var faults Errors
	if err != nil && !errors.As(err, &faults) {
		t.Fatalf("error is a %T: %v", err, err)
	}
	return faults
}

const (
	master = "{name: master, role: control-plane}"
	worker = "{name: worker-1}"
	store  = "{name: storage, labels: {workload: storage}, taints: [{key: workload, value: storage, effect: NoSchedule}]}"
)

// mailed is a complete email receiver.
const mailed = "notifications: {receiver: email, email: {to: ops@example.com, from: a@example.com, server: " +
	"'smtp.example.com:587'}}"

// nodesWith returns a node list with one additional node, at position 3.
func nodesWith(node string) string {
	return fmt.Sprintf("nodes: [%s, %s, %s, %s]", master, worker, store, node)
}

// identityWith returns identity with an issuer.
func identityWith(issuer string) string { return "identity: {enabled: true, issuer: '" + issuer + "'}" }

// accountsWith returns identity with roles for service accounts, and withPolicy with one role.
func accountsWith(list string) string {
	return "identity: {enabled: true, serviceAccounts: [" + list + "]}"
}

func withPolicy(policy string) string {
	return accountsWith("{namespace: apps, name: api, policy: " + policy + "}")
}

const (
	statementOK = "{Effect: Allow, Action: 's3:GetObject', Resource: '*'}"
	policyOK    = "{Statement: [" + statementOK + "]}"
	accountAt   = "identity.serviceAccounts[0]."
)

var refused = []struct {
	name   string
	yaml   string
	key    string // below the namespace, unless it has one
	reason string // a part of the reason
}{
	// Keys and types.
	{"misspelt key", "nodez: []", "nodez", "is not a setting"},
	{"misspelt nested key", "network: {vpcCIDR: 10.0.0.0/16}", "network.vpcCIDR", "is not a setting"},
	{"misspelt key of a node", nodesWith("{name: x, instancetype: t3.large}"), "nodes[3].instancetype",
		"is not a setting"},
	{"misspelt key of a taint", nodesWith("{name: x, taints: [{key: a, efect: NoSchedule, effect: NoSchedule}]}"),
		"nodes[3].taints[0].efect", "is not a setting"},
	{"key of an embedded struct misspelt", "addons: {rabbitmq: {storageGib: 5}}", "addons.rabbitmq.storageGib",
		"is not a setting"},
	{"unknown add-on", "addons: {istio: {enabled: true}}", "addons.istio", "is not a setting"},
	{"text where a list belongs", "nodes: master", "nodes", "must be a list"},
	{"list where a mapping belongs", "cluster: [dev]", "cluster", "must be a mapping of settings"},
	{"mapping where a list belongs", "access: {adminCidrs: {a: b}}", "access.adminCidrs", "must be a list"},
	{"list where text belongs", "cluster: {name: [a]}", "cluster.name", "must be text, not a list"},
	{"version as a number", "cluster: {kubernetesVersion: 1.36}", "cluster.kubernetesVersion",
		"must be text, not a number"},
	{"label that YAML takes for a boolean", nodesWith("{name: x, labels: {gpu: true}}"), "nodes[3].labels.gpu",
		"must be text, not true or false"},
	{"quoted number", nodesWith(`{name: x, volumeSize: "40"}`), "nodes[3].volumeSize", "must be a whole number, not text"},
	{"group with fewer than no nodes", nodesWith("{name: x, count: -1, zones: [0, 1], without: [x-2]}"), "nodes[3].count",
		"must be from 0 to 500"},
	{"fraction", nodesWith("{name: x, zone: 0.5}"), "nodes[3].zone", "must be a whole number"},
	{"quoted boolean", `protection: {protect: "yes"}`, "protection.protect", "must be true or false, not text"},
	{"labels as a list", nodesWith("{name: x, labels: [a]}"), "nodes[3].labels", "must be a mapping"},
	{"taint as text", nodesWith(`{name: x, taints: ["a=b:NoSchedule"]}`), "nodes[3].taints[0]",
		"must be a mapping of settings"},
	{"empty list item", "access: {adminCidrs: [9.9.9.9/32, ~]}", "access.adminCidrs[1]", "is empty"},
	{"section without a setting", `addons: ""`, "addons", "is empty"},
	{"list without an item", `nodes: ""`, "nodes", "is empty"},
	{"quotes in a text", `image: {generation: "\"20261124\""}`, "image.generation", "has quotes"},
	{"Helm values as a list", "addons: {monitoring: {values: [a]}}", "addons.monitoring.values", "must be a mapping"},

	// General.
	{"environment", "environment: production", "environment", "must be dev or staging or prod"},
	{"owner", "owner: 'a<b>'", "owner", "becomes an AWS tag"},
	{"no region", "aws:region: ~", "aws:region", "is not set"},
	{"zone as region", "aws:region: eu-central-1a", "aws:region", "not the name of an AWS region"},

	{"region that does not exist", "aws:region: eu-central-3", "aws:region", "not the name of an AWS region"},
	{"isolated region", "aws:region: us-iso-east-1", "aws:region", "isolated partition"},

	// The account.
	{"account as a number", "aws:allowedAccountIds: [123456789012]", "aws:allowedAccountIds[0]",
		"must be text, not a number"},
	{"account too short", `aws:forbiddenAccountIds: ["1234"]`, "aws:forbiddenAccountIds[0]", "12 digits"},
	{"accounts as text", `aws:allowedAccountIds: "123456789012"`, "aws:allowedAccountIds", "must be a list"},
	{"account allowed and forbidden",
		`{"aws:allowedAccountIds": ["123456789012"], "aws:forbiddenAccountIds": ["123456789012"]}`,
		"aws:forbiddenAccountIds[0]", "allowedAccountIds too"},
	{"profile", "aws:profile: '$(id)'", "aws:profile", "name of a profile"},
	{"role without an ARN", "aws:assumeRole: {externalId: abc}", "aws:assumeRole.roleArn", "is missing"},
	{"role by name", "aws:assumeRole: {roleArn: deploy}", "aws:assumeRole.roleArn", "not the ARN"},
	{"user instead of a role", "aws:assumeRole: {roleArn: 'arn:aws:iam::123456789012:user/deploy'}",
		"aws:assumeRole.roleArn", "not the ARN"},
	{"role of another partition", "aws:assumeRole: {roleArn: 'arn:aws-cn:iam::123456789012:role/deploy'}",
		"aws:assumeRole.roleArn", "is in the partition aws-cn"},
	{"role of a forbidden account",
		`{"aws:forbiddenAccountIds": ["123456789012"], "aws:assumeRole": {roleArn: "arn:aws:iam::123456789012:role/a"}}`,
		"aws:assumeRole.roleArn", "forbiddenAccountIds"},
	{"role of an account that is not allowed",
		`{"aws:allowedAccountIds": ["210987654321"], "aws:assumeRole": {roleArn: "arn:aws:iam::123456789012:role/a"}}`,
		"aws:assumeRole.roleArn", "not in aws:allowedAccountIds"},
	{"session name", "aws:assumeRole: {roleArn: 'arn:aws:iam::123456789012:role/a', sessionName: 'a b'}",
		"aws:assumeRole.sessionName", "2 to 64"},
	{"session too long", "aws:assumeRole: {roleArn: 'arn:aws:iam::123456789012:role/a', duration: 13h}",
		"aws:assumeRole.duration", "15m to 12h"},
	{"field of a role", "aws:assumeRole: {roleArn: 'arn:aws:iam::123456789012:role/a', policy: '{}'}",
		"aws:assumeRole.policy", "is not a setting"},
	{"several roles", "aws:assumeRoles: [{roleArn: 'arn:aws:iam::123456789012:role/a'}]", "aws:assumeRoles",
		"is not passed to the provider"},
	{"key of AWS misspelt", "aws:allowedAccounts: ['123456789012']", "aws:allowedAccounts", "is not a setting"},
	{"endpoints", "aws:endpoints: [{s3: 'https://s3.example.com'}]", "aws:endpoints", "is not passed to the provider"},
	{"access key", "aws:secretKey: abc", "aws:secretKey", "is not passed to the provider"},

	// Namespaces.
	{"wrong namespace", "kubeadm:protection: {protect: true}", "kubeadm:protection", "does not read"},
	{"namespace of another provider", "kubernetes:kubeconfig: x", "kubernetes:kubeconfig", "does not read"},
	{"names by Pulumi", "pulumi:autonaming: {mode: disabled}", "pulumi:autonaming", "is not a setting"},

	// Cluster.
	{"cluster name with capitals", "cluster: {name: Platform}", "cluster.name", "lowercase letter"},
	{"cluster name that begins with a digit", "cluster: {name: 1st}", "cluster.name",
		"must begin with a lowercase letter"},
	{"cluster name too long", "cluster: {name: a-very-long-cluster-name-indeed}", "cluster.name", "at most 28"},
	{"cluster name empty", `cluster: {name: ""}`, "cluster.name", "is empty"},
	{"cluster name of EC2", "cluster: {name: sg-dev}", "cluster.name", "AWS keeps"},
	{"owner of AWS", "owner: 'aws:me'", "owner", "keeps for its own"},
	{"cluster name of S3", "cluster: {name: xn--a}", "cluster.name", "AWS keeps"},
	{"minor version only", `cluster: {kubernetesVersion: "1.36"}`, "cluster.kubernetesVersion",
		"full release with its patch"},
	{"version with v", "cluster: {kubernetesVersion: v1.36.3}", "cluster.kubernetesVersion", "without the v"},
	{"version too old", "cluster: {kubernetesVersion: 1.34.2}", "cluster.kubernetesVersion", "made for 1.35 and 1.36"},
	{"version too new", "cluster: {kubernetesVersion: 1.37.1}", "cluster.kubernetesVersion", "is not supported"},
	{"patch that does not exist", "cluster: {kubernetesVersion: 1.36.99}", "cluster.kubernetesVersion", "does not exist"},
	{"service domain over AWS", "cluster: {dnsDomain: amazonaws.com}", "cluster.dnsDomain", "hides names of AWS"},
	{"service domain over a region", "cluster: {dnsDomain: eu-central-1.compute.internal}", "cluster.dnsDomain",
		"hides names of AWS"},
	{"pre-release", "cluster: {kubernetesVersion: 1.36.0-rc.1}", "cluster.kubernetesVersion", "full release"},
	{"unknown CNI", "cluster: {cni: cilium}", "cluster.cni", "must be calico or none"},
	{"service domain", "cluster: {dnsDomain: local}", "cluster.dnsDomain", "must have a dot"},
	{"service domain over the private zone", "cluster: {name: platform, dnsDomain: platform.internal}",
		"cluster.dnsDomain", "hides the private zone"},

	// Network.
	{"VPC that is not a range", "network: {vpcCidr: ten}", "network.vpcCidr", "is not an IPv4 address range"},
	{"VPC without bits", "network: {vpcCidr: 10.0.0.0}", "network.vpcCidr", "must be a range"},
	{"VPC in IPv6", `network: {vpcCidr: "fd00::/16"}`, "network.vpcCidr", "must be IPv4"},
	{"VPC not canonical", "network: {vpcCidr: 10.0.1.0/16}", "network.vpcCidr",
		"first address of the range, which is 10.0.0.0/16"},
	{"VPC too large", "network: {vpcCidr: 10.0.0.0/12}", "network.vpcCidr", "between /16 and /22"},
	{"VPC too small", "network: {vpcCidr: 10.0.0.0/24}", "network.vpcCidr", "between /16 and /22"},
	{"VPC with public addresses", "network: {vpcCidr: 8.8.0.0/16}", "network.vpcCidr", "could not be reached"},
	{"VPC link-local", "network: {vpcCidr: 169.254.0.0/16}", "network.vpcCidr", "link-local"},
	{"pods on loopback", "network: {podCidr: 127.0.0.0/16}", "network.podCidr", "loopback"},
	{"pods in multicast", "network: {podCidr: 224.0.0.0/16}", "network.podCidr", "multicast"},
	{"pods over the VPC", "network: {podCidr: 10.0.0.0/12}", "network.podCidr", "overlaps network.vpcCidr"},
	{"pods too few for the nodes", "network: {podCidr: 10.244.0.0/22}\n" + nodesWith("{name: x}, {name: y}"),
		"network.podCidr", "each of the 5 nodes takes a /24"},
	{"pod range too small", "network: {podCidr: 10.244.0.0/24}", "network.podCidr", "between /8 and /22"},
	{"services over the pods", "network: {serviceCidr: 10.244.128.0/20}", "network.serviceCidr",
		"overlaps network.podCidr"},
	{"services too large", "network: {podCidr: 192.168.0.0/16, serviceCidr: 10.0.0.0/8}", "network.serviceCidr",
		"between /12 and /24"},
	{"services too small", "network: {serviceCidr: 10.96.0.0/28}", "network.serviceCidr", "between /12 and /24"},
	{"VPC too small for the nodes of a zone", manyNodes(120), "network.vpcCidr", "its subnet has room for 115"},
	{"one zone", "network: {zones: [a]}\n" + nodesWith("{name: x}"), "network.zones", "a load balancer needs two"},
	{"zone with region", "network: {zones: [a, b, eu-central-1c]}", "network.zones[2]", "must be the letter"},
	{"zone twice", "network: {zones: [a, b, a]}", "network.zones[2]", "is already at network.zones[0]"},

	// Access.
	{"no administrator", "access: {adminCidrs: []}", "access.adminCidrs", "no machine could reach"},
	{"access absent", "access: ~", "access.adminCidrs", "no machine could reach"},
	{"administrator without bits", "access: {adminCidrs: [198.51.100.7]}", "access.adminCidrs[0]", "must be a range"},
	{"administrator in IPv6", `access: {adminCidrs: ["2001:db8::/32"]}`, "access.adminCidrs[0]", "must be IPv4"},
	{"world in prod", "environment: prod\naccess: {adminCidrs: [0.0.0.0/0]}", "access.adminCidrs[0]", "to the world"},
	{"half the world in prod", "environment: prod\naccess: {adminCidrs: [198.51.100.7/32, 128.0.0.0/1]}",
		"access.adminCidrs[1]", "to the world"},
	{"administrator on loopback", "access: {adminCidrs: [127.0.0.1/32]}", "access.adminCidrs[0]", "loopback"},
	{"administrator twice", "access: {adminCidrs: [198.51.100.0/24, 198.51.100.7/32]}", "access.adminCidrs[1]",
		"overlaps access.adminCidrs[0]"},

	{"51 administrators", "access: {adminCidrs: [" + manyRanges(51) + "]}", "access.adminCidrs", "at most 50 ranges"},

	// Image.
	{"system", "image: {os: ubuntu-22.04}", "image.os", "must be ubuntu-24.04 or debian-12"},
	{"image id", "image: {ami: ami-xyz}", "image.ami", "ami- and 8 or 17"},
	{"generation", "image: {generation: 'a*b'}", "image.generation", "must be at most 64"},
	{"generation of a node", "nodes: [{name: m, role: control-plane, generation: 'a*b'}, {name: w}]",
		"nodes[0].generation", "must be at most 64"},

	// Nodes.
	{"no node", "nodes: []\naddons: " + allOff, "nodes", "must have a node with role control-plane"},
	{"two control planes", nodesWith("{name: m2, role: control-plane}"), "nodes", "no more machines than 1"},
	{"four control planes", nodesWith("{name: m2, role: control-plane}, {name: m3, role: control-plane}, " +
		"{name: m4, role: control-plane}"), "nodes", "no more machines than 3"},
	{"seven control planes", nodesWith("{name: m2, role: control-plane}, {name: m3, role: control-plane}, " +
		"{name: m4, role: control-plane}, {name: m5, role: control-plane}, {name: m6, role: control-plane}, " +
		"{name: m7, role: control-plane}"), "nodes", "5 is the most"},
	{"no name", nodesWith("{role: worker}"), "nodes[3].name", "is missing"},
	{"name with a dot", nodesWith("{name: a.b}"), "nodes[3].name", "must be a host name"},
	{"name with a capital", nodesWith("{name: Worker}"), "nodes[3].name", "must be a host name"},
	{"name that ends in a dash", nodesWith("{name: worker-}"), "nodes[3].name", "must be a host name"},
	{"name too long", nodesWith("{name: " + strings.Repeat("n", 41) + "}"), "nodes[3].name", "at most 40"},
	{"name of digits", nodesWith(`{name: "12"}`), "nodes[3].name", "must have a letter"},
	{"name of a step", nodesWith("{name: nodes}"), "nodes[3].name", "is taken"},
	{"name localhost", nodesWith("{name: localhost}"), "nodes[3].name", "itself"},
	{"name twice", nodesWith("{name: worker-1}"), "nodes[3].name", "is the name of nodes[1] too"},
	{"role", nodesWith("{name: x, role: wroker}"), "nodes[3].role", "must be control-plane or worker"},
	{"instance type without size", nodesWith("{name: x, instanceType: t3}"), "nodes[3].instanceType",
		"name of an EC2 instance type"},
	{"instance type with a wrong size", nodesWith("{name: x, instanceType: t3.lrage}"), "nodes[3].instanceType",
		"name of an EC2 instance type"},
	{"a control plane with ARM",
		"nodes: [{name: m, role: control-plane, instanceType: t4g.large}, " + worker + ", " + store + "]", "nodes[0].instanceType", "a control plane needs x86"},
	{"a pinned image for ARM", "image: {ami: ami-0123456789abcdef0}\n" + nodesWith("{name: x, instanceType: m7gd.large}"),
		"nodes[3].instanceType", "image.ami pins an image for x86"},
	{"Mac", nodesWith("{name: x, instanceType: mac2.metal}"), "nodes[3].instanceType", "macOS"},
	{"worker too small", nodesWith("{name: x, instanceType: t3.micro}"), "nodes[3].instanceType", "at most 1 GiB"},
	{"control plane too small", "nodes: [{name: m, role: control-plane, instanceType: t3.small}, " + worker + ", " +
		store + "]", "nodes[0].instanceType", "2 GiB"},
	{"control plane with one processor", "nodes: [{name: m, role: control-plane, instanceType: m7a.medium}, " + worker +
		", " + store + "]", "nodes[0].instanceType", "1 vCPU"},
	{"control plane with one processor and much memory",
		"nodes: [{name: m, role: control-plane, instanceType: r8a.medium}, " + worker + ", " + store + "]",
		"nodes[0].instanceType", "1 vCPU"},
	{"first generation", nodesWith("{name: x, instanceType: m1.large}"), "nodes[3].instanceType", "cannot boot"},
	{"zone beyond the last", nodesWith("{name: x, zone: 3}"), "nodes[3].zone", "is not a position in network.zones"},
	{"negative zone", nodesWith("{name: x, zone: -1}"), "nodes[3].zone", "is not a position"},
	{"volume too small", nodesWith("{name: x, volumeSize: 0}"), "nodes[3].volumeSize", "from 20 to 16384"},
	{"volume too large", nodesWith("{name: x, volumeSize: 20000}"), "nodes[3].volumeSize", "from 20 to 16384"},
	{"label of Kubernetes", nodesWith("{name: x, labels: {kubernetes.io/hostname: y}}"),
		`nodes[3].labels["kubernetes.io/hostname"]`, "belongs to Kubernetes"},
	{"label below k8s.io", nodesWith("{name: x, labels: {eks.k8s.io/pool: y}}"), `nodes[3].labels["eks.k8s.io/pool"]`,
		"belongs to Kubernetes"},
	{"control plane's label", nodesWith(`{name: x, labels: {node-role.kubernetes.io/control-plane: ""}}`),
		`nodes[3].labels["node-role.kubernetes.io/control-plane"]`, "set by kubeadm"},
	{"label of a controller", nodesWith("{name: x, labels: {ebs.csi.aws.com/zone: y}}"),
		`nodes[3].labels["ebs.csi.aws.com/zone"]`, "belongs to a controller"},
	{"label with a bad key", nodesWith("{name: x, labels: {-a: y}}"), "nodes[3].labels.-a", "begin and end with a letter"},
	{"label with a bad prefix", nodesWith("{name: x, labels: {Example.com/a: y}}"), `nodes[3].labels["Example.com/a"]`,
		"must be a DNS name"},
	{"label with two slashes", nodesWith("{name: x, labels: {a/b/c: y}}"), "nodes[3].labels.a/b/c",
		"begin and end with a letter"},
	{"label with a bad value", nodesWith("{name: x, labels: {workload: a b}}"), "nodes[3].labels.workload", "at most 63"},
	{"label with a long value", nodesWith("{name: x, labels: {workload: " + strings.Repeat("v", 64) + "}}"),
		"nodes[3].labels.workload", "at most 63"},
	{"taint without key", nodesWith("{name: x, taints: [{value: a, effect: NoSchedule}]}"), "nodes[3].taints[0].key",
		"must be 1 to 63"},
	{"taint of Kubernetes", nodesWith("{name: x, taints: [{key: node.kubernetes.io/unreachable, effect: NoExecute}]}"),
		"nodes[3].taints[0].key", "belongs to Kubernetes"},
	{"taint of this program", nodesWith("{name: x, taints: [{key: kubeadm-aws/unconfigured, effect: NoSchedule}]}"),
		"nodes[3].taints[0].key", "belongs to a controller"},
	{"taint with a bad value", nodesWith("{name: x, taints: [{key: a, value: b=c, effect: NoSchedule}]}"),
		"nodes[3].taints[0].value", "at most 63"},
	{"taint without effect", nodesWith("{name: x, taints: [{key: a, value: b}]}"), "nodes[3].taints[0].effect",
		"must be NoSchedule or"},
	{"taint with a wrong effect", nodesWith("{name: x, taints: [{key: a, effect: noSchedule}]}"),
		"nodes[3].taints[0].effect", "must be NoSchedule or"},
	{"taint twice",
		nodesWith("{name: x, taints: [{key: a, value: b, effect: NoSchedule}, {key: a, value: c, effect: NoSchedule}]}"),
		"nodes[3].taints[1]", "one value for them only"},

	// DNS.
	{"domain without a dot", "dns: {domain: example}\naddons: {acme: {email: a@example.com}}", "dns.domain",
		"must have a dot"},
	{"domain as URL", "dns: {domain: 'https://example.com'}\naddons: {acme: {email: a@example.com}}", "dns.domain",
		"not a URL"},
	{"domain with a final dot", "dns: {domain: example.com.}\naddons: {acme: {email: a@example.com}}", "dns.domain",
		"must not end in a dot"},
	{"domain with capitals", "dns: {domain: Example.com}\naddons: {acme: {email: a@example.com}}", "dns.domain",
		"lowercase letters"},
	{"domain with an underscore", "dns: {domain: my_shop.com}\naddons: {acme: {email: a@example.com}}", "dns.domain",
		"is not a DNS label"},
	{"private domain", "dns: {domain: corp.internal}\naddons: {acme: {email: a@example.com}}", "dns.domain",
		"must be a public domain"},
	{"domain as an address", "dns: {domain: 203.0.113.9}\naddons: {acme: {email: a@example.com}}", "dns.domain",
		"not an address"},
	{"service domain that curl answers itself", "cluster: {dnsDomain: dev.localhost}", "cluster.dnsDomain", "must not end in .localhost"},
	{"service domain as an address", "cluster: {dnsDomain: 10.96.0.10}", "cluster.dnsDomain", "not an address"},
	{"reserved domain", "dns: {domain: shop.test}\naddons: {acme: {email: a@example.com}}", "dns.domain",
		"must be a public domain"},
	{"zone without a domain", "dns: {createZone: true}", "dns.createZone", "needs dns.domain"},
	{"zone id without a domain", "dns: {zoneId: Z1}", "dns.zoneId", "needs dns.domain"},
	{"zone id that is a name", withDomain("zoneId: example.com"), "dns.zoneId", "must be the id of a Route53 zone"},
	{"zone id with a path", withDomain("zoneId: /hostedzone/Z1"), "dns.zoneId", "must be the id of a Route53 zone"},
	{"zone id of a zone to be made",
		"dns: {domain: example.com, zoneId: Z0123456789ABC, createZone: true}\naddons: {acme: {email: a@example.com}}",
		"dns.zoneId", "makes another one"},
	{"hosts without a domain", "dns: {ingressHosts: [app.example.com]}", "dns.ingressHosts", "needs dns.domain"},
	{"domain too long", "dns: {domain: " + strings.Repeat("d", 54) + ".com}\naddons: {acme: {email: a@example.com}}",
		"dns.domain", "at most 57"},
	{"host is the zone", withDomain("ingressHosts: [example.com]"), "dns.ingressHosts[0]", "no alias there"},
	{"host elsewhere", withDomain("ingressHosts: [app.example.org]"), "dns.ingressHosts[0]", "is not below dns.domain"},
	{"host as a bare label", withDomain("ingressHosts: [app]"), "dns.ingressHosts[0]", "must have a dot"},
	{"host of the API", withDomain("ingressHosts: [api.example.com]"), "dns.ingressHosts[0]", "is the Kubernetes API"},
	{"host of an add-on", withDomain("ingressHosts: [app.example.com, grafana.example.com]"), "dns.ingressHosts[1]",
		"is Grafana"},
	{"host twice", withDomain("ingressHosts: [app.example.com, app.example.com]"), "dns.ingressHosts[1]", "is already at"},
	{"too many hosts",
		withDomain("ingressHosts: [a.example.com, b.example.com, c.example.com, d.example.com, e.example.com, " +
			"f.example.com, g.example.com, h.example.com, i.example.com]"), "dns.ingressHosts", "at most 8"},
	{"repositories of an earlier version", "registry: {repositories: [api]}", "registry", "image registry of the account"},

	// Identity.
	{"issuer without TLS", identityWith("http://oidc.example.com"), "identity.issuer", "must be https"},
	{"issuer with a port", identityWith("https://oidc.example.com:8443"), "identity.issuer", "without a port"},
	{"issuer with a query", identityWith("https://oidc.example.com/a?b=c"), "identity.issuer", "a query"},
	{"issuer with a fragment", identityWith("https://oidc.example.com/#a"), "identity.issuer", "a fragment"},
	{"issuer with a final slash", identityWith("https://oidc.example.com/"), "identity.issuer", "a final slash"},
	{"issuer without a domain", identityWith("https://oidc"), "identity.issuer", "is not an issuer that IAM accepts"},
	{"issuer by address", identityWith("https://192.0.2.1"), "identity.issuer", "a host name"},
	{"issuer that climbs", identityWith("https://oidc.example.com/../a"), "identity.issuer", "that IAM accepts"},
	{"issuer inside the cluster", identityWith("https://kubernetes.default.svc.cluster.local"), "identity.issuer",
		"a name inside the cluster"},
	{"issuer too long", identityWith("https://oidc.example.com/" + strings.Repeat("a", 231)), "identity.issuer",
		"at most 255 characters"},
	{"issuer of no identity", "identity: {issuer: 'https://oidc.example.com'}", "identity.issuer", "needs identity.enabled"},
	{"identity with a kubeadm that sorts", "identity: {enabled: true}\ncluster: {kubernetesVersion: 1.35.0}",
		"identity.enabled", "1.35.0, whose kubeadm sorts"},
	{"role for an account without a namespace", accountsWith("{name: api, policy: " + policyOK + "}"), accountAt + "namespace",
		"must be the name of a namespace"},
	{"role for a namespace with capitals", accountsWith("{namespace: Apps, name: api, policy: " + policyOK + "}"),
		accountAt + "namespace", "lowercase letters"},
	{"role for an account with a colon", accountsWith("{namespace: apps, name: 'a:b', policy: " + policyOK + "}"),
		accountAt + "name", "the name of a service account"},
	{"role for any account", accountsWith("{namespace: apps, name: '*', policy: " + policyOK + "}"), accountAt + "name",
		"the name of a service account"},
	{"two roles for an account", accountsWith("{namespace: a, name: b, policy: " + policyOK + "}, {namespace: a, name: b, policy: " +
		policyOK + "}"), "identity.serviceAccounts[1]", "already at identity.serviceAccounts[0]"},
	{"role for a controller of the platform", accountsWith("{namespace: kube-system, name: ebs-csi-controller-sa, policy: " +
		policyOK + "}"), "identity.serviceAccounts[0]", "of the platform, which has a role of its own"},
	{"negative number of a key", "identity: {rotate: -1}", "identity.rotate", "must be from 0 to 9999"},
	{"stages of minutes", "identity: {rotateHours: 1}", "identity.rotateHours", "is too short: kubelets renew"},
	{"stages of a day", "identity: {rotateHours: 24}", "identity.rotateHours", "is too short: kubelets renew"},
	{"stages of years", "identity: {rotateHours: 9000}", "identity.rotateHours", "must be from 0 to 8760"},
	{"roles without an issuer", "identity: {serviceAccounts: [{namespace: a, name: b, policy: " + policyOK + "}]}",
		"identity.serviceAccounts", "need identity.enabled"},
	{"role without a policy", accountsWith("{namespace: a, name: b}"), accountAt + "policy", "is missing"},
	{"policy by name", withPolicy("ReadOnlyAccess"), accountAt + "policy", "is not the ARN"},
	{"policy of another partition", withPolicy("'arn:aws-cn:iam::aws:policy/ReadOnlyAccess'"), accountAt + "policy",
		"in the partition aws-cn"},
	{"policy as a number", withPolicy("7"), accountAt + "policy", "must be a mapping"},
	{"policy with a date", withPolicy("{Version: '2012-10-17T00:00:00Z', Statement: [" + statementOK + "]}"),
		accountAt + "policy.Version", "must be the text 2012-10-17"},
	{"policy without statements", withPolicy("{Version: '2012-10-17'}"), accountAt + "policy.Statement", "must be a list"},
	{"policy with another part", withPolicy("{Statements: [], Statement: [" + statementOK + "]}"), accountAt + "policy.Statements",
		"is not a part of an IAM policy"},
	{"statement as text", withPolicy("{Statement: [Allow]}"), accountAt + "policy.Statement[0]", "must be a mapping"},
	{"statement without effect", withPolicy("{Statement: [{Action: '*', Resource: '*'}]}"),
		accountAt + "policy.Statement[0].Effect", "must be Allow or Deny"},
	{"statement with a principal", withPolicy("{Statement: [{Effect: Allow, Principal: '*', Action: '*', Resource: '*'}]}"),
		accountAt + "policy.Statement[0].Principal", "trust policy"},
	{"statement with a misspelt key", withPolicy("{Statement: [{Effect: Allow, Actions: a, Action: '*', Resource: '*'}]}"),
		accountAt + "policy.Statement[0].Actions", "is not a part of a statement"},
	{"statement without resource", withPolicy("{Statement: [{Effect: Allow, Action: '*'}]}"),
		accountAt + "policy.Statement[0].Resource", "is needed"},
	{"statement with both", withPolicy("{Statement: [{Effect: Allow, Action: '*', NotAction: '*', Resource: '*'}]}"),
		accountAt + "policy.Statement[0].Action", "not both"},
	{"action of no service", withPolicy("{Statement: [{Effect: Allow, Action: [s3:GetObject, Get], Resource: '*'}]}"),
		accountAt + "policy.Statement[0].Action", "IAM knows"},
	{"no action", withPolicy("{Statement: [{Effect: Allow, Action: [], Resource: '*'}]}"),
		accountAt + "policy.Statement[0].Action", "is empty"},
	{"resource by name", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: my-bucket}]}"),
		accountAt + "policy.Statement[0].Resource", "IAM knows"},
	{"two statements of one id", withPolicy("{Statement: [{Sid: A, Effect: Allow, Action: '*', Resource: '*'}, {Sid: A, Effect: " +
		"Allow, Action: '*', Resource: '*'}]}"), accountAt + "policy.Statement[1].Sid", "once in the policy"},
	{"incomplete resource of another partition", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: ['arn:aws-cn:s3']}]}"),
		accountAt + "policy.Statement[0].Resource", "in the partition aws-cn"},
	{"resource of another partition", withPolicy("{Statement: [{Effect: Deny, Action: '*', NotResource: 'arn:aws-cn:s3:::a'}]}"),
		accountAt + "policy.Statement[0].NotResource", "in the partition aws-cn"},
	{"resource in Korean", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: 'arn:aws:s3:::자료'}]}"),
		accountAt + "policy", "does not take"},
	{"condition with a misspelt operator", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: '*', " +
		"Condition: {StringEqual: {aws:SourceVpc: a}}}]}"), accountAt + "policy.Statement[0].Condition.StringEqual",
		"is not an operator"},
	{"null if it exists", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: '*', " +
		"Condition: {NullIfExists: {aws:SourceVpc: 'true'}}}]}"), accountAt + "policy.Statement[0].Condition.NullIfExists",
		"is not an operator"},
	{"operator without keys", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: '*', Condition: {Bool: true}}]}"),
		accountAt + "policy.Statement[0].Condition.Bool", "mapping of keys"},
	{"condition without a value", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: '*', " +
		"Condition: {StringEquals: {aws:SourceVpc: ~}}}]}"),
		accountAt + "policy.Statement[0].Condition.StringEquals.aws:SourceVpc", "must be text, a number"},
	{"condition with a list in a list", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: '*', " +
		"Condition: {StringEquals: {aws:SourceVpc: [a, [b]]}}}]}"),
		accountAt + "policy.Statement[0].Condition.StringEquals.aws:SourceVpc", "or a list of them"},
	{"condition as text", withPolicy("{Statement: [{Effect: Allow, Action: '*', Resource: '*', Condition: never}]}"),
		accountAt + "policy.Statement[0].Condition", "mapping of operators"},
	{"policy too long", withPolicy("{Statement: [{Effect: Allow, Action: 's3:" + strings.Repeat("a", 10240) + "', Resource: '*'}]}"),
		accountAt + "policy", "IAM takes 10240"},

	// Backup and protection.
	{"backup at hours that differ from day to day", "backup: {everyHours: 5}", "backup.everyHours",
		"1, 2, 3, 4, 6, 8, 12 or 24"},
	{"backup never", "backup: {everyHours: 0}", "backup.everyHours", "must be 1, 2"},
	{"backup every two days", "backup: {everyHours: 48}", "backup.everyHours", "12 or 24"},
	{"schedule of an earlier version", "backup: {schedule: hourly}", "backup.schedule",
		"was replaced by backup.everyHours"},
	{"retention", "backup: {retentionDays: 0}", "backup.retentionDays", "from 1 to 3650"},
	{"keepBucket", "backup: {keepBucket: 1}", "backup.keepBucket", "must be true or false"},
	{"restore from a URL", "backup: {restoreFrom: 's3://bucket/key'}", "backup.restoreFrom", "without the bucket"},
	{"restore from above", "backup: {restoreFrom: ../secret}", "backup.restoreFrom", "is not the key"},
	{"restore from a checksum", "backup: {restoreFrom: platform/etcd/x.db.sha256}", "backup.restoreFrom", "ends in .db"},
	{"restore from LATEST", "backup: {restoreFrom: LATEST}", "backup.restoreFrom", "lowercase letters"},
	{"repair during a restart", "repair: {notReadyMinutes: 5}", "repair.notReadyMinutes", "from 6 to 1440"},
	{"repair after two days", "repair: {notReadyMinutes: 2880}", "repair.notReadyMinutes", "from 6 to 1440"},
	{"reboots perhaps", "maintenance: {reboots: perhaps}", "maintenance.reboots", "true or false"},
	{"hours without reboots", "maintenance: {start: '01:00'}", "maintenance.start", "has no effect without maintenance.reboots"},
	{"reboots on no day", "maintenance: {reboots: true, days: []}", "maintenance.days", "no node would ever reboot"},
	{"a day in full", "maintenance: {reboots: true, days: [monday]}", "maintenance.days[0]", "must be mon or tue"},
	{"a day twice", "maintenance: {reboots: true, days: [sat, sun, sat]}", "maintenance.days[2]",
		"is already at maintenance.days[0]"},
	{"a start without minutes", "maintenance: {reboots: true, start: '2'}", "maintenance.start", "from 00:00 to 23:59"},
	{"a start at the end of the day", "maintenance: {reboots: true, start: '24:00'}", "maintenance.start",
		"from 00:00 to 23:59"},
	{"an end that is no time", "maintenance: {reboots: true, end: '5:60'}", "maintenance.end", "from 00:00 to 24:00"},
	{"ten minutes of maintenance", "maintenance: {reboots: true, start: '23:55', end: '00:05'}", "maintenance.end",
		"at least 30 minutes after maintenance.start (23:55)"},
	{"no maintenance, or all day", "maintenance: {reboots: true, start: '02:00', end: '02:00'}", "maintenance.end",
		"at least 30 minutes"},
	{"an unknown time zone", "maintenance: {reboots: true, timeZone: Europe/Bonn}", "maintenance.timeZone",
		"is not UTC or a time zone by region and city"},
	{"a time zone of an optional package", "maintenance: {reboots: true, timeZone: US/Pacific}", "maintenance.timeZone",
		"by region and city"},
	{"the time zone of the machine", "maintenance: {reboots: true, timeZone: Local}", "maintenance.timeZone",
		"by region and city"},
	{"repair of no worker", "repair: {maxUnhealthyPercent: 0}", "repair.maxUnhealthyPercent", "from 1 to 100"},
	{"repair of more than all", "repair: {maxUnhealthyPercent: 101}", "repair.maxUnhealthyPercent", "from 1 to 100"},
	{"volumes", "protection: {volumes: snapshot}", "protection.volumes", "must be delete or keep"},
	{"images", "protection: {images: \"yes\"}", "protection.images", "must be delete or keep"},

	// Mirrors.
	{"mirror without a scheme", "mirrors: {kubernetesApt: mirror.example.com}", "mirrors.kubernetesApt",
		"must begin with https://"},
	{"mirror with a slash", "mirrors: {containerdApt: 'https://mirror.example.com/docker/'}", "mirrors.containerdApt",
		"must not end with a slash"},
	{"mirror with a query", "mirrors: {etcd: 'https://mirror.example.com/etcd?x=1'}", "mirrors.etcd", "no ? and no #"},
	{"mirror with a password", "mirrors: {s3Endpoint: 'https://u:p@s3.example.com'}", "mirrors.s3Endpoint",
		"user or password"},
	{"mirror with a wrong port", "mirrors: {s3Endpoint: 'https://s3.example.com:99999'}", "mirrors.s3Endpoint",
		"no valid port"},
	{"mirror on the host itself", "mirrors: {kubernetesApt: 'http://127.0.0.1/k8s'}", "mirrors.kubernetesApt",
		"is the machine itself"},
	{"store on localhost", "mirrors: {s3Endpoint: 'https://localhost:5000'}", "mirrors.s3Endpoint",
		"is the machine itself"},
	{"mirror with an empty port", "mirrors: {s3Endpoint: 'https://s3.example.com:'}", "mirrors.s3Endpoint",
		"no valid port"},
	{"mirror with a shell command", `mirrors: {s3Endpoint: "https://s3.example.com/'$(id)'"}`, "mirrors.s3Endpoint",
		"letters, digits and any of"},
	{"mirror with a quote", `mirrors: {registries: {quay.io: 'https://m.example.com/a"b'}}`,
		`mirrors.registries["quay.io"]`, "letters, digits and any of"},
	{"mirror with braces", "mirrors: {etcd: 'https://m.example.com/{a,b}'}", "mirrors.etcd", "letters, digits and any of"},
	{"registry with a wrong port", "mirrors: {registries: {'localhost:99999': 'https://m.example.com'}}",
		`mirrors.registries.localhost:99999`, "host of a registry"},
	{"address of Docker Hub", "mirrors: {registries: {registry-1.docker.io: 'https://m.example.com'}}",
		`mirrors.registries["registry-1.docker.io"]`, "docker.io"},
	{"chart repository that no chart uses", "mirrors: {charts: {'https://no.such.repo/charts': 'https://m.example.com'}}",
		`mirrors.charts["https://no.such.repo/charts"]`, "not one that the program installs"},
	{"registry with a scheme", "mirrors: {registries: {'https://quay.io': 'https://m.example.com'}}",
		`mirrors.registries["https://quay.io"]`, "host of a registry"},
	{"registry to a bare host", "mirrors: {registries: {quay.io: m.example.com}}", `mirrors.registries["quay.io"]`,
		"must begin with https://"},
	{"key without a mirror", "mirrors: {kubernetesAptKey: " + strings.Repeat("A", 40) + "}", "mirrors.kubernetesAptKey",
		"which is not set"},
	{"key by its short name", "mirrors: {containerdApt: 'https://m.example.com', containerdAptKey: 0EBFCD88}",
		"mirrors.containerdAptKey", "40 hexadecimal digits"},
	{"checksum without a mirror", "mirrors: {etcdSha256: " + strings.Repeat("a", 64) + "}", "mirrors.etcdSha256",
		"which is not set"},
	{"checksum of another kind", "mirrors: {etcd: 'https://m.example.com', etcdSha256: " + strings.Repeat("a", 40) + "}",
		"mirrors.etcdSha256", "64 hexadecimal digits"},
	{"registry without a URL", "mirrors: {registries: {quay.io: {ca: " + pemCA + "}}}", `mirrors.registries["quay.io"]`,
		"must begin with https://"},
	{"login with a blank", "mirrors: {registries: {quay.io: {url: 'https://m.example.com', username: 'robot ', password: a}}}",
		`mirrors.registries["quay.io"].username`, "no spaces"},
	{"registry without verification", "mirrors: {registries: {quay.io: {url: 'https://m.example.com', skipVerify: true}}}",
		`mirrors.registries["quay.io"].skipVerify`, "is not a setting"},
	{"authority in one line", "mirrors: {registries: {quay.io: {url: 'https://m.example.com', ca: MIIB}}}",
		`mirrors.registries["quay.io"].ca`, "certificates in PEM"},
	{"authority with its key", "mirrors: {registries: {quay.io: {url: 'https://m.example.com', ca: " + pemKey + "}}}",
		`mirrors.registries["quay.io"].ca`, "EC PRIVATE KEY"},
	{"authority for http", "mirrors: {registries: {quay.io: {url: 'http://m.example.com', ca: " + pemCA + "}}}",
		`mirrors.registries["quay.io"].ca`, "shows no certificate"},
	{"login without a password", "mirrors: {registries: {quay.io: {url: 'https://m.example.com', username: a}}}",
		`mirrors.registries["quay.io"]`, "go together"},
	{"login of two lines",
		`mirrors: {registries: {quay.io: {url: 'https://m.example.com', username: "a:b", password: c}}}`,
		`mirrors.registries["quay.io"].username`, "no spaces and no colon"},
	{"login in clear text", "mirrors: {registries: {quay.io: {url: 'http://m.example.com', username: a, password: b}}}",
		`mirrors.registries["quay.io"].url`, "clear text"},
	{"password as a number",
		"mirrors: {registries: {quay.io: {url: 'https://m.example.com', username: a, password: 12345}}}",
		`mirrors.registries["quay.io"].password`, "must be text"},
	{"chart by name", "mirrors: {charts: {argo-cd: 'https://m.example.com'}}", "mirrors.charts.argo-cd",
		"repository before the colon"},
	{"chart to a file", "mirrors: {charts: {'https://charts.jetstack.io': 'file:///charts'}}",
		`mirrors.charts["https://charts.jetstack.io"]`, "must begin with https:// or"},

	// Kubernetes.
	{"kubelet's cgroup driver", "kubernetes: {kubelet: {cgroupDriver: cgroupfs}}", "kubernetes.kubelet.cgroupDriver",
		"containerd uses"},
	{"kubelet's DNS", "kubernetes: {kubelet: {clusterDNS: [10.0.0.10]}}", "kubernetes.kubelet.clusterDNS",
		"follows from network.serviceCidr"},
	{"kubelet flag instead of field", "kubernetes: {kubelet: {max-pods: 50}}", "kubernetes.kubelet.max-pods",
		"is not a field of kubelet"},
	{"proxy's range", "kubernetes: {kubeProxy: {clusterCIDR: 10.0.0.0/8}}", "kubernetes.kubeProxy.clusterCIDR",
		"is network.podCidr"},
	{"node ports that no load balancer reaches", "kubernetes: {kubeProxy: {nodePortAddresses: [127.0.0.0/8]}}",
		"kubernetes.kubeProxy.nodePortAddresses", "on which load balancers reach them"},
	{"node ports of one zone", "kubernetes: {kubeProxy: {nodePortAddresses: [10.0.0.0/20, 127.0.0.0/8]}}",
		"kubernetes.kubeProxy.nodePortAddresses", "closes the ports of Services"},
	{"node ports of half a zone", "kubernetes: {kubeProxy: {nodePortAddresses: [10.0.0.0/20, 10.0.32.0/19, 10.0.64.0/19]}}",
		"kubernetes.kubeProxy.nodePortAddresses", "closes the ports of Services"},
	{"proxy mode against Calico", "kubernetes: {kubeProxy: {mode: ipvs}}", "kubernetes.kubeProxy.mode",
		"must be iptables"},
	{"cloud provider of the API server", "kubernetes: {apiServer: {cloud-provider: external}}",
		"kubernetes.apiServer.cloud-provider", "would not start"},
	{"PKI of the API server", "kubernetes: {apiServer: {etcd-servers: 'https://x'}}", "kubernetes.apiServer.etcd-servers",
		"cluster's PKI"},
	{"flag with dashes", `kubernetes: {apiServer: {--v: "2"}}`, "kubernetes.apiServer.--v", "without the dashes"},
	{"flag value as a number", "kubernetes: {apiServer: {v: 2}}", "kubernetes.apiServer.v", "must be text, not a number"},
	{"flag of the controller manager", "kubernetes: {controllerManager: {cluster-cidr: 10.0.0.0/8}}",
		"kubernetes.controllerManager.cluster-cidr", "is network.podCidr"},
	{"flag of the scheduler", "kubernetes: {scheduler: {Config: x}}", "kubernetes.scheduler.Config",
		"is not the name of a flag"},
	{"flag of two lines", `kubernetes: {scheduler: {v: "2\n3"}}`, "kubernetes.scheduler.v", "must be one line"},
	{"server's own TLS version", "kubernetes: {apiServer: {tls-min-version: VersionTLS10}}",
		"kubernetes.apiServer.tls-min-version", "VersionTLS12 or VersionTLS13"},
	{"insecure cipher suite", "kubernetes: {apiServer: {tls-cipher-suites: TLS_RSA_WITH_RC4_128_SHA}}",
		"kubernetes.apiServer.tls-cipher-suites", "insecure"},
	{"profiling", `kubernetes: {apiServer: {profiling: "true"}}`, "kubernetes.apiServer.profiling", "must be false"},
	{"anonymous requests", `kubernetes: {apiServer: {anonymous-auth: "false"}}`, "kubernetes.apiServer.anonymous-auth",
		"probes"},
	{"MutatingAdmissionPolicy off", "kubernetes: {apiServer: {disable-admission-plugins: MutatingAdmissionPolicy}}",
		"kubernetes.apiServer.disable-admission-plugins", "the AWS role of their service account"},
	{"NodeRestriction off", "kubernetes: {apiServer: {disable-admission-plugins: NodeRestriction}}",
		"kubernetes.apiServer.disable-admission-plugins", "editing other nodes"},
	{"admission that refuses all", "kubernetes: {apiServer: {enable-admission-plugins: AlwaysDeny}}",
		"kubernetes.apiServer.enable-admission-plugins", "refuses everything"},
	{"admission by a file", "kubernetes: {apiServer: {enable-admission-plugins: ImagePolicyWebhook}}",
		"kubernetes.apiServer.enable-admission-plugins", "not on the host"},
	{"authorization by a file", "kubernetes: {apiServer: {authorization-config: /etc/x}}",
		"kubernetes.apiServer.authorization-config", "decided by kubeadm"},
	{"audit by a file", "kubernetes: {apiServer: {audit-webhook-config-file: /etc/x}}",
		"kubernetes.apiServer.audit-webhook-config-file", "not on the host"},
	{"tracing by a file", "kubernetes: {apiServer: {tracing-config-file: /etc/x}}",
		"kubernetes.apiServer.tracing-config-file", "not on the host"},
	{"tokens from a file", "kubernetes: {apiServer: {token-auth-file: /etc/x}}", "kubernetes.apiServer.token-auth-file",
		"not on the host"},
	{"issuer of tokens", "kubernetes: {apiServer: {service-account-issuer: 'https://x.example.com'}}",
		"kubernetes.apiServer.service-account-issuer", "tokens of all pods"},
	{"node ports", "kubernetes: {apiServer: {service-node-port-range: 20000-22767}}",
		"kubernetes.apiServer.service-node-port-range", "30000-32767"},
	{"other version emulated", `kubernetes: {apiServer: {emulated-version: "1.35"}}`,
		"kubernetes.apiServer.emulated-version", "cluster.kubernetesVersion"},
	{"API switched off", "kubernetes: {apiServer: {runtime-config: api/all=false}}", "kubernetes.apiServer.runtime-config",
		"must not switch off"},
	{"API switched half off", "kubernetes: {apiServer: {runtime-config: api/beta=maybe}}",
		"kubernetes.apiServer.runtime-config", "true or false"},
	{"OpenID Connect without a client", "kubernetes: {apiServer: {oidc-issuer-url: 'https://login.example.com'}}",
		"kubernetes.apiServer.oidc-issuer-url", "needs oidc-client-id"},
	{"OpenID Connect without an issuer", "kubernetes: {apiServer: {oidc-username-claim: email}}",
		"kubernetes.apiServer.oidc-username-claim", "needs oidc-issuer-url"},
	{"OpenID Connect without TLS", "kubernetes: {apiServer: {oidc-issuer-url: 'http://x.example.com', oidc-client-id: k}}",
		"kubernetes.apiServer.oidc-issuer-url", "https://"},
	{"flag misspelt", `kubernetes: {apiServer: {max-request-inflight: "9"}}`, "kubernetes.apiServer.max-request-inflight",
		"is not a flag of kube-apiserver"},
	{"range of pods per node", `kubernetes: {controllerManager: {node-cidr-mask-size: "26"}}`,
		"kubernetes.controllerManager.node-cidr-mask-size", "must stay 24"},
	{"grace period of nodes too short", "kubernetes: {controllerManager: {node-monitor-grace-period: 5s}}",
		"kubernetes.controllerManager.node-monitor-grace-period", "are considered lost"},
	{"reports of nodes too rare", "kubernetes: {kubelet: {nodeStatusUpdateFrequency: 5m}}",
		"kubernetes.controllerManager.node-monitor-grace-period", "are considered lost"},
	{"loop without a pause", "kubernetes: {controllerManager: {pvclaimbinder-sync-period: 0s}}",
		"kubernetes.controllerManager.pvclaimbinder-sync-period", "1s or more"},
	{"no requests at all", "kubernetes: {apiServer: {max-requests-inflight: '0', max-mutating-requests-inflight: '0'}}",
		"kubernetes.apiServer.max-requests-inflight", "their sum"},
	{"size of logs", "kubernetes: {kubelet: {containerLogMaxSize: big}}", "kubernetes.kubelet.containerLogMaxSize",
		"must be an amount"},
	{"reserved CPUs", "kubernetes: {kubelet: {reservedSystemCPUs: first}}", "kubernetes.kubelet.reservedSystemCPUs",
		"numbers of CPUs"},
	{"containerd's key misspelt",
		"kubernetes: {containerd: \"[plugins.'io.containerd.cri.v1.runtime']\\nenable_cdii = true\"}",
		"kubernetes.containerd", "is not a key"},
	{"containerd's key of another type",
		"kubernetes: {containerd: \"[plugins.'io.containerd.cri.v1.images']\\nmax_concurrent_downloads = 'many'\"}",
		"kubernetes.containerd", "must be a whole number"},
	{"containerd's old plugin", "kubernetes: {containerd: \"[plugins.'io.containerd.grpc.v1.cri']\\nenable_cdi = true\"}",
		"kubernetes.containerd", "containerd 1"},
	{"containerd's level", "kubernetes: {containerd: \"[debug]\\nlevel = 'loud'\"}", "kubernetes.containerd",
		"level of [debug] must be"},
	{"mail address with two dots", "addons: {acme: {email: a..b@example.com}}", "addons.acme.email", "not a mail address"},
	{"no workers", `kubernetes: {controllerManager: {concurrent-endpoint-syncs: "0"}}`,
		"kubernetes.controllerManager.concurrent-endpoint-syncs", "from 1 to 1000"},
	{"scheduler that ends", "kubernetes: {scheduler: {write-config-to: /tmp/x}}", "kubernetes.scheduler.write-config-to",
		"would end the scheduler"},
	{"soft threshold without a period", "kubernetes: {kubelet: {evictionSoft: {memory.available: 10%}}}",
		`kubernetes.kubelet.evictionSoft["memory.available"]`, "no grace period"},
	{"threshold of no signal", "kubernetes: {kubelet: {evictionHard: {memory: 10%}}}",
		"kubernetes.kubelet.evictionHard.memory", "is not a name"},
	{"threshold of no amount", "kubernetes: {kubelet: {evictionHard: {memory.available: some}}}",
		`kubernetes.kubelet.evictionHard["memory.available"]`, "must be an amount"},
	{"audit log larger than a disk", "kubernetes: {apiServer: {audit-log-maxsize: '1000', audit-log-maxbackup: '100'}}",
		"kubernetes.apiServer.audit-log-maxbackup", "which etcd writes to, has 40 GiB"},
	{"audit log larger than the smallest disk", "kubernetes: {apiServer: {audit-log-maxsize: '1000', audit-log-maxbackup: " +
		"'60'}}\nnodes: [{name: a, role: control-plane, volumeSize: 200}, {name: b, role: control-plane, zone: 1}, {name: c, " +
		"role: control-plane, zone: 2, volumeSize: 200}, {name: w, labels: {workload: storage}}]",
		"kubernetes.apiServer.audit-log-maxbackup", "the disk of b, which etcd writes to, has 40 GiB"},
	{"audit log without a limit", "kubernetes: {apiServer: {audit-log-maxbackup: '0'}}",
		"kubernetes.apiServer.audit-log-maxbackup", "0 means no limit"},
	{"threshold of nothing", "kubernetes: {kubelet: {evictionHard: {memory.available: 0Mi}}}",
		`kubernetes.kubelet.evictionHard["memory.available"]`, "does not start"},
	{"threshold larger than a disk", "kubernetes: {kubelet: {evictionHard: {nodefs.available: 500Gi}}}",
		`kubernetes.kubelet.evictionHard["nodefs.available"]`, "of the 40 GiB of the disk of master"},
	{"soft threshold larger than a disk", "kubernetes: {kubelet: {evictionSoft: {imagefs.available: 90%}, " +
		"evictionSoftGracePeriod: {imagefs.available: 90s}}}", `kubernetes.kubelet.evictionSoft["imagefs.available"]`,
		"of the disk"},
	{"reserves that together fill a disk", "kubernetes: {kubelet: {systemReserved: {ephemeral-storage: 25Gi}, kubeReserved: " +
		"{ephemeral-storage: 20Gi}}}", "kubernetes.kubelet.systemReserved.ephemeral-storage", "45 of the 40 GiB"},
	{"logs larger than a disk", "kubernetes: {kubelet: {containerLogMaxSize: 500Gi}}",
		"kubernetes.kubelet.containerLogMaxSize", "fill the disk"},
	{"a count below zero", "nodes: [{name: master, role: control-plane}, {name: w, count: -1}, {name: x}]",
		"nodes[1].count", "must be from 0 to 500"},
	{"a count beyond all limits", "nodes: [{name: master, role: control-plane}, {name: w, count: 1000000000}]",
		"nodes[1].count", "must be from 0 to 500"},
	{"several control planes by a count", "nodes: [{name: master, role: control-plane, count: 1}, {name: w}]",
		"nodes[0].count", "is for workers"},
	{"zones of one node", "nodes: [{name: master, role: control-plane}, {name: w, zones: [0, 1]}]",
		"nodes[1].zones", "is for an entry with a count"},
	{"a zone and zones", "nodes: [{name: master, role: control-plane}, {name: w, count: 2, zone: 1, zones: [0, 1]}]",
		"nodes[1].zone", "goes against zones"},
	{"no zones", "nodes: [{name: master, role: control-plane}, {name: w, count: 2, zones: []}]",
		"nodes[1].zones", "is empty"},
	{"zones that are not there", "nodes: [{name: master, role: control-plane}, {name: w, count: 2, zones: [0, 3]}]",
		"nodes[1].zones[1]", "is not a position in network.zones"},
	{"a zone twice", "nodes: [{name: master, role: control-plane}, {name: w, count: 2, zones: [0, 0]}]",
		"nodes[1].zones[1]", "is there twice"},
	{"a group without a name", "nodes: [{name: master, role: control-plane}, {count: 2}]",
		"nodes[1].name", "is missing"},
	{"a group with a long name", "nodes: [{name: master, role: control-plane}, {name: wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww, count: 2}]",
		"nodes[1].name", "at most 40"},
	{"a node with the name of a group's", "nodes: [{name: master, role: control-plane}, {name: w, count: 3}, {name: w-2}]",
		"nodes[2].name", "is the name of nodes[1] too"},
	{"a taint that keeps the controllers off", "nodes: [{name: m, role: control-plane, taints: [{key: a, effect: NoExecute}]}" +
		", {name: w, labels: {workload: storage}}]", "nodes[0].taints[0].effect", "keeps the cloud controller off"},
	{"a control plane with the name of a backup", "nodes: [{name: etcd, role: control-plane}, {name: n, role: control-plane, " +
		"zone: 1}, {name: m, role: control-plane, zone: 2}, {name: w, labels: {workload: storage}}]", "nodes[0].name",
		"a step of the backup is called etcd-backup"},
	{"memory of Valkey twice", "addons: {redis: {values: {valkeyConfig: 'MaxMemory 1gb'}}}",
		"addons.redis.values.valkeyConfig", "is decided by addons.redis.maxMemoryMiB"},
	{"memory of Valkey in thousands", "addons: {redis: {values: {valkeyConfig: 'maxmemory 256m'}}}",
		"addons.redis.values.valkeyConfig", "is decided by addons.redis.maxMemoryMiB"},
	{"memory of Valkey without an end", "addons: {redis: {values: {valkeyConfig: 'maxmemory 0'}}}",
		"addons.redis.values.valkeyConfig", "is decided by addons.redis.maxMemoryMiB"},
	{"memory of Valkey in no unit", "addons: {redis: {values: {valkeyConfig: 'maxmemory mbmb'}}}",
		"addons.redis.values.valkeyConfig", "is decided by addons.redis.maxMemoryMiB"},
	{"Valkey without its log", `addons: {redis: {values: {valkeyConfig: "hz 20\n appendonly no"}}}`,
		"addons.redis.values.valkeyConfig", "a crash loses up to an hour"},
	{"Valkey behind TLS", "addons: {redis: {values: {valkeyConfig: tls-port 6379}}}",
		"addons.redis.values.valkeyConfig", "would close the port"},
	{"lines of Valkey as a mapping", "addons: {redis: {values: {valkeyConfig: {maxmemory-policy: allkeys-lru}}}}",
		"addons.redis.values.valkeyConfig", "one directive on each line"},
	{"memory that RabbitMQ does not start with", "addons: {rabbitmq: {memoryMiB: 64}}", "addons.rabbitmq.memoryMiB",
		"from 512 to"},
	{"a size that a setting decides", "addons: {redis: {values: {dataStorage: {requestedSize: 20Gi}}}}",
		"addons.redis.values.dataStorage.requestedSize", "is decided by addons.redis.storageGiB"},
	{"a control plane that AWS may take back",
		"nodes: [{name: m, role: control-plane, spot: true}, " + worker + ", " + store + "]", "nodes[0].spot", "is for workers"},
	{"a storage node that AWS may take back", "nodes: [{name: m, role: control-plane}, " + worker +
		", {name: s, spot: true, labels: {workload: storage}}]", "nodes[2].spot", "run pods with volumes"},
	{"volumes on nodes that AWS may take back",
		"nodes: [{name: m, role: control-plane}, " + worker + ", {name: s, count: 2, spot: true}]", "nodes[2].spot",
		"run pods with volumes"},
	{"the label of the lifecycle", nodesWith(`{name: x, spot: true, labels: {node.kubernetes.io/lifecycle: spot}}`),
		`nodes[3].labels["node.kubernetes.io/lifecycle"]`, "belongs to Kubernetes"},
	{"names left out of one node", "nodes: [{name: master, role: control-plane}, {name: w, without: [w-1]}]",
		"nodes[1].without", "is for an entry with a count"},
	{"another group's node left out", "nodes: [{name: master, role: control-plane}, {name: w, count: 3, without: [v-2]}]",
		"nodes[1].without[0]", "is not the name of a node of this group: they are w-1"},
	{"a number left out", "nodes: [{name: master, role: control-plane}, {name: w, count: 3, without: ['2']}]",
		"nodes[1].without[0]", "is not the name of a node of this group"},
	{"a number with a zero left out", "nodes: [{name: master, role: control-plane}, {name: w, count: 3, without: [w-02]}]",
		"nodes[1].without[0]", "is not the name of a node of this group"},
	{"a node left out twice", "nodes: [{name: master, role: control-plane}, {name: w, count: 3, without: [w-2, w-2]}]",
		"nodes[1].without[1]", "is there twice"},
	{"a node left out that is not reached", "nodes: [{name: master, role: control-plane}, {name: w, count: 3, without: [w-22]}]",
		"nodes[1].without[0]", "does not reach beyond w-4"},
	{"a wrong type of no node", "nodes: [{name: master, role: control-plane}, {name: w, count: 0, instanceType: big}, {name: x}]",
		"nodes[1].instanceType", ""},
	{"a label of a group", "nodes: [{name: master, role: control-plane}, {name: w, count: 2, labels: {kubernetes.io/x: y}}]",
		"nodes[1].labels[\"kubernetes.io/x\"]", ""},
	{"an administrator in the range of the pods", "access: {adminCidrs: [10.244.3.0/24]}", "access.adminCidrs[0]",
		"within network.podCidr = 10.244.0.0/16"},
	{"an administrator in the range of the Services", "access: {adminCidrs: [198.51.100.7/32, 10.96.0.9/32]}",
		"access.adminCidrs[1]", "within network.serviceCidr"},
	{"fewer pods than the platform has on a node", "kubernetes: {kubelet: {maxPods: 1}}", "kubernetes.kubelet.maxPods",
		"25 or more"},
	{"quota period without its gate", "cluster: {kubernetesVersion: 1.35.4}\nkubernetes: {kubelet: {cpuCFSQuotaPeriod: 10ms}}",
		"kubernetes.kubelet.cpuCFSQuotaPeriod", "CustomCPUCFSQuotaPeriod"},
	{"log query without its gate", "cluster: {kubernetesVersion: 1.35.4}\nkubernetes: {kubelet: {enableSystemLogHandler: true, " +
		"enableSystemLogQuery: true}}", "kubernetes.kubelet.enableSystemLogQuery", "NodeLogQuery"},
	{"no processes in a pod", "kubernetes: {kubelet: {podPidsLimit: 1}}", "kubernetes.kubelet.podPidsLimit",
		"256 or more"},
	{"reserved CPUs backwards", "kubernetes: {kubelet: {reservedSystemCPUs: 5-2}}", "kubernetes.kubelet.reservedSystemCPUs",
		"numbers of CPUs"},
	{"reserve of no resource", "kubernetes: {kubelet: {systemReserved: {ram: 1Gi}}}",
		"kubernetes.kubelet.systemReserved.ram", "is not a name"},
	{"static CPUs without a reserve", "kubernetes: {kubelet: {cpuManagerPolicy: static, systemReserved: {cpu: '0'}}}",
		"kubernetes.kubelet.cpuManagerPolicy", "CPUs that are reserved"},
	{"static memory without a reserve", "kubernetes: {kubelet: {memoryManagerPolicy: Static}}",
		"kubernetes.kubelet.memoryManagerPolicy", "reservedMemory"},
	{"seccomp off", "kubernetes: {kubelet: {seccompDefault: false}}", "kubernetes.kubelet.seccompDefault", "must be true"},
	{"weak TLS of the kubelet", "kubernetes: {kubelet: {tlsMinVersion: VersionTLS11}}", "kubernetes.kubelet.tlsMinVersion",
		"VersionTLS12"},
	{"insecure cipher of the kubelet", "kubernetes: {kubelet: {tlsCipherSuites: [TLS_RSA_WITH_RC4_128_SHA]}}",
		"kubernetes.kubelet.tlsCipherSuites", "insecure"},
	{"static pods from elsewhere", "kubernetes: {kubelet: {staticPodURL: 'http://x'}}", "kubernetes.kubelet.staticPodURL",
		"cannot be set here"},
	{"field of a list misspelt", "kubernetes: {kubelet: {logging: {vmodule: [{file: x, filePattern: y}]}}}",
		"kubernetes.kubelet.logging.vmodule[].file", "is not a field"},
	{"proxy's local mode without its interface", "kubernetes: {kubeProxy: {detectLocalMode: BridgeInterface}}",
		"kubernetes.kubeProxy.detectLocalMode", "needs detectLocal.bridgeInterface"},
	{"containerd's TOML broken", "kubernetes: {containerd: '[plugins'}", "kubernetes.containerd", "is not TOML: line 1"},
	{"containerd's TOML broken later", "kubernetes: {containerd: \"[debug]\\nlevel = 'debug'\\n\\nx = = 1\"}",
		"kubernetes.containerd", "is not TOML: line 4"},
	{"containerd's key twice", "kubernetes: {containerd: \"[debug]\\nlevel = 'a'\\nlevel = 'b'\"}",
		"kubernetes.containerd", "line 3"},
	{"containerd's table misspelt", "kubernetes: {containerd: \"[debugg]\\nlevel = 'a'\"}", "kubernetes.containerd",
		"is not a table"},
	{"containerd's socket", "kubernetes: {containerd: \"[grpc]\\naddress = '/run/x'\"}", "kubernetes.containerd",
		"where the kubelet looks"},
	{"containerd's registries",
		"kubernetes: {containerd: \"[plugins.'io.containerd.cri.v1.images'.registry.configs.x]\\na = 1\"}",
		"kubernetes.containerd", "use mirrors.registries"},
	{"containerd's runtime", "kubernetes: {containerd: " +
		"\"[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\\nSystemdCgroup = false\"}",
		"kubernetes.containerd", "written by this program"},
	{"all preflight checks", "kubernetes: {ignorePreflightErrors: [all]}", "kubernetes.ignorePreflightErrors[0]",
		"hide every fault"},
	{"preflight check that kubeadm lacks", "kubernetes: {ignorePreflightErrors: [NumCPUs]}",
		"kubernetes.ignorePreflightErrors[0]", "the name of a kubeadm check"},
	{"leader election of the scheduler off", "nodes: [" + master + ", {name: b, role: control-plane, zone: 1}, {name: c, role: control-plane, zone: 2}, " + worker +
		"]\nkubernetes: {scheduler: {leader-elect: 'false'}}",
		"kubernetes.scheduler.leader-elect", "must be true"},
	{"leader election of the controller manager off", "nodes: [" + master + ", {name: b, role: control-plane, zone: 1}, {name: c, role: control-plane, zone: 2}, " + worker +
		"]\nkubernetes: {controllerManager: {leader-elect: 'F'}}",
		"kubernetes.controllerManager.leader-elect", "must be true"},
	{"sysctl of the whole machine", "kubernetes: {kubelet: {allowedUnsafeSysctls: [net.core.somaxconn, kernel.panic]}}",
		"kubernetes.kubelet.allowedUnsafeSysctls[1]", "the kubelet does not start with it"},
	{"sysctl with a blank", "kubernetes: {kubelet: {allowedUnsafeSysctls: ['bad sysctl']}}",
		"kubernetes.kubelet.allowedUnsafeSysctls[0]", "the kubelet does not start with it"},
	{"preflight check with a blank", "kubernetes: {ignorePreflightErrors: [Num CPU]}",
		"kubernetes.ignorePreflightErrors[0]", "name of a kubeadm check"},
	{"containerd without a table", "kubernetes: {containerd: 'oom_score = -999'}", "kubernetes.containerd",
		"before the first table"},
	{"containerd with a second table", "kubernetes: {containerd: \"[plugins.'io.containerd.cri.v1.images'.registry]\"}",
		"kubernetes.containerd", "written by this program"},

	// Add-ons.
	{"RabbitMQ without volumes",
		"addons: {ebsCsi: {enabled: false}, redis: {enabled: false}, monitoring: {enabled: false}}", "addons.ebsCsi.enabled",
		"addons.rabbitmq needs it"},
	{"logging without monitoring", "addons: {logging: {enabled: true}, monitoring: {enabled: false}}",
		"addons.monitoring.enabled", "addons.logging needs it"},
	{"domain without load balancer", withDomain("createZone: true") +
		"\naddons: {acme: {email: a@example.com}, loadBalancer: {enabled: false}}", "addons.loadBalancer.enabled",
		"dns.domain needs it"},
	{"storage node that repels", "nodes: [" + master + ", " + worker +
		", {name: s, labels: {workload: storage}, taints: [{key: a, effect: NoExecute}]}]", "nodes[2].labels.workload",
		"binds addons.rabbitmq to nodes that do not take its pods"},
	{"control plane as storage node", "nodes: [{name: m, role: control-plane, labels: {workload: storage}}, " + worker +
		"]\naddons: {rabbitmq: {enabled: false}}", "nodes[0].labels.workload", "binds addons.redis"},
	{"storage taint without its label", nodesWith("{name: x, taints: [{key: workload, value: storage, effect: " +
		"NoSchedule}]}"), "nodes[3].taints[0]", "without the label"},
	{"storage taint with another label", "nodes: [" + master + ", " + worker +
		", {name: s, labels: {workload: api}, taints: [{key: workload, value: storage, effect: NoSchedule}]}]",
		"nodes[2].taints[0]", "without the label"},
	{"every worker repels", "nodes: [" + master + ", " + store + "]", "nodes", "must have a worker without"},
	{"no storage", "addons: {postgresql: {storageGiB: 0}}", "addons.postgresql.storageGiB", "from 2 to 16384"},
	{"storage of Redis", "addons: {redis: {storageGiB: -1}}", "addons.redis.storageGiB", "from 1 to 16384"},
	{"backups for no day", "addons: {postgresql: {backup: {retentionDays: 0}}}", "addons.postgresql.backup.retentionDays",
		"from 1 to"},
	{"an empty generation", "addons: {postgresql: {generation: '2'}}", "addons.postgresql.restore.from", "would be empty"},
	{"a restore into the same", "addons: {postgresql: {restore: {from: postgresql}}}", "addons.postgresql.generation",
		"is a new generation"},
	{"a restore from a path", "addons: {postgresql: {generation: '2', restore: {from: 's3://x/y'}}}",
		"addons.postgresql.restore.from", "is not the archive"},
	{"a generation with a quote", "addons: {postgresql: {generation: \"a'b\", restore: {from: postgresql}}}",
		"addons.postgresql.generation", "lower-case"},
	{"a restore without backups",
		"addons: {postgresql: {generation: '2', restore: {from: postgresql}, backup: {enabled: false}}}",
		"addons.postgresql.backup.enabled", "credentials"},
	{"a time without a zone",
		"addons: {postgresql: {generation: '2', restore: {from: postgresql, targetTime: '2026-11-25 01:30'}}}",
		"addons.postgresql.restore.targetTime", "RFC 3339"},
	{"a time that has not come",
		"addons: {postgresql: {generation: '2', restore: {from: postgresql, targetTime: '2999-01-01T00:00:00Z'}}}",
		"addons.postgresql.restore.targetTime", "has not come yet"},
	{"a time of nothing", "addons: {postgresql: {restore: {targetTime: '2026-11-25T01:30:00Z'}}}",
		"addons.postgresql.restore.targetTime", "needs"},
	{"memory of Redis", "addons: {redis: {maxMemoryMiB: 1}}", "addons.redis.maxMemoryMiB", "from 32 to"},
	{"storage of RabbitMQ", "addons: {rabbitmq: {storageGiB: 99999}}", "addons.rabbitmq.storageGiB", "from 3 to 16384"},
	{"storage that blocks RabbitMQ", "addons: {rabbitmq: {storageGiB: 2}}", "addons.rabbitmq.storageGiB",
		"takes no message"},
	{"even replicas", "addons: {rabbitmq: {replicas: 2}}", "addons.rabbitmq.replicas", "must be an odd number"},
	{"Git repository by path", "addons: {argocd: {repoUrl: /srv/git}}", "addons.argocd.repoUrl",
		"must begin with https:// or ssh://"},
	{"Git repository over SSH without a user", "addons: {argocd: {repoUrl: 'ssh://github.com/a/b.git'}}",
		"addons.argocd.repoUrl", "must name the user"},
	{"Git repository over SSH with a password", "addons: {argocd: {repoUrl: 'ssh://git:x@github.com/a/b.git'}}",
		"addons.argocd.repoUrl", "must not hold a password"},
	{"Git repository over SSH without a path", "addons: {argocd: {repoUrl: 'ssh://git@github.com'}}",
		"addons.argocd.repoUrl", "has no path"},
	{"Git repository without a path", "addons: {argocd: {repoUrl: 'https://github.com'}}", "addons.argocd.repoUrl",
		"has no path"},
	{"Git revision that Git refuses", "addons: {argocd: {revision: a..b}}", "addons.argocd.revision", "a branch, a tag"},
	{"service domain over the Git server",
		"cluster: {dnsDomain: github.com}\naddons: {argocd: {repoUrl: 'git@github.com:a/b.git'}}\nargocdRepositoryKey: " +
			deployKey(""), "cluster.dnsDomain",
		"hides github.com"},
	{"service domain over the ACME server", "cluster: {dnsDomain: letsencrypt.org}", "cluster.dnsDomain",
		"hides acme-staging-v02.api.letsencrypt.org"},
	{"service domain of addresses", "cluster: {dnsDomain: in-addr.arpa}", "cluster.dnsDomain", "names for addresses"},
	{"Git repository with a token", "addons: {argocd: {repoUrl: 'https://token@github.com/a/b.git'}}",
		"addons.argocd.repoUrl", "user or password"},
	{"image registry with a scheme", "addons: {argocd: {registry: 'https://registry.example.com'}}", "addons.argocd.registry", "without https://"},
	{"image registry with a slash at the end", "addons: {argocd: {registry: registry.example.com/team/}}", "addons.argocd.registry", "without a slash"},
	{"user of the repository", withRepository("https://github.com/a/b.git", ", repoUsername: 'a b'"),
		"addons.argocd.repoUsername", "must be made of"},
	{"known host without a key", onServer(", knownHosts: [git.example.com, '" + knownHost + "']"),
		"addons.argocd.knownHosts[0]", "is not a line"},
	{"known host behind a hash", onServer(", knownHosts: ['|1|a2V5|aG9zdA== " +
		strings.TrimPrefix(knownHost, "git.example.com ") + "', '" + knownHost + "']"),
		"addons.argocd.knownHosts[0]", "hides its host"},
	{"known host that is revoked", onServer(", knownHosts: ['@revoked " + knownHost + "', '" + knownHost + "']"),
		"addons.argocd.knownHosts[0]", "has a mark"},
	{"known host over HTTPS", withRepository("https://git.example.com/a/b.git", ", knownHosts: ['"+knownHost+"']"),
		"addons.argocd.knownHosts", "is not used"},
	{"GitHub App by name", withApp("{id: -1}"), "addons.argocd.githubApp.id", "must be the number"},
	{"no installation", withApp("{id: 1, installationId: 0}"), "addons.argocd.githubApp.installationId",
		"must be the number"},
	{"installation of no App", withRepository("https://github.com/a/b.git", ", githubApp: {installationId: 1}"),
		"addons.argocd.githubApp.id", "is not set"},
	{"what Git may do, without Git", "addons: {argocd: {project: {kinds: [cert-manager.io/Certificate]}}}",
		"addons.argocd.project", "is not used"},
	{"any repository", withProject("repositories: ['*']"), "addons.argocd.project.repositories[0]", "must begin with https://"},
	{"chart repository without TLS", withProject("repositories: ['http://charts.example.com']"),
		"addons.argocd.project.repositories[0]", "must begin with https://"},
	{"chart repository with a token", withProject("repositories: ['https://token@charts.example.com']"),
		"addons.argocd.project.repositories[0]", "user or password"},
	{"namespace of Kubernetes for applications", withProject("namespaces: {kube-system: restricted}"),
		"addons.argocd.project.namespaces.kube-system", "could change the platform"},
	{"namespace of Argo CD for applications", withProject("namespaces: {argocd: restricted}"),
		"addons.argocd.project.namespaces.argocd", "could change the platform"},
	{"namespace of the data services for applications", withProject("namespaces: {data: restricted}"),
		"addons.argocd.project.namespaces.data", "could change the platform"},
	{"namespace that applications have", withProject("namespaces: {apps: baseline}"),
		"addons.argocd.project.namespaces.apps", "is always one"},
	{"all namespaces", withProject("namespaces: {'*': restricted}"), "addons.argocd.project.namespaces.*", "is not the name"},
	{"applications that may take a node", withProject("namespaces: {shop: privileged}"),
		"addons.argocd.project.namespaces.shop", "must be restricted or baseline"},
	{"all kinds", withProject("kinds: ['*/*']"), "addons.argocd.project.kinds[0]", "must be group/Kind"},
	{"kind with a version", withProject("kinds: [cert-manager.io/v1/Certificate]"), "addons.argocd.project.kinds[0]",
		"must be group/Kind"},
	{"cluster-wide kind", withProject("kinds: [rbac.authorization.k8s.io/ClusterRole]"), "addons.argocd.project.kinds[0]",
		"cluster-wide"},
	{"namespaces from Git", withProject("kinds: [Namespace]"), "addons.argocd.project.kinds[0]", "cluster-wide"},
	{"Git revision", "addons: {argocd: {revision: 'a b'}}", "addons.argocd.revision", "a branch, a tag"},
	{"no mail address for ACME", "dns: {domain: example.com}", "addons.acme.email", "is not set"},
	{"mail address", "addons: {acme: {email: admin}}", "addons.acme.email", "is not a mail address"},
	{"ACME without TLS", "addons: {acme: {server: 'http://acme.example.com'}}", "addons.acme.server",
		"must begin with https://"},
	{"ACME without its directory", "addons: {acme: {server: 'https://acme.example.com'}}", "addons.acme.server",
		"has no path"},
	{"switch as text", "addons: {metricsServer: {enabled: 'on'}}", "addons.metricsServer.enabled",
		"must be true or false"},
	{"log values of no chart", "addons: {logging: {values: {fluentbit: {}}}}", "addons.logging.values",
		"must be loki or fluentBit"},
	{"Helm value without a key", "addons: {redis: {values: {'': 1}}}", "addons.redis.values", "key without a name"},

	// Notifications.
	{"unknown receiver", "notifications: {receiver: slak}", "notifications.receiver",
		"must be slack or discord or webhook or email"},
	{"receiver without its address", "notifications: {receiver: slack}", "notificationsUrl", "is not set"},
	{"address of the pod itself", "notifications: {receiver: webhook}\nnotificationsUrl: http://localhost:8080/x",
		"notificationsUrl", "is the pod"},
	{"mail server of the pod itself",
		"notifications: {receiver: email, email: {to: a@example.com, from: a@example.com, server: '127.0.0.1:25'}}",
		"notifications.email.server", "is the pod"},
	{"address without a receiver", "notificationsUrl: https://hooks.example.com/x", "notificationsUrl", "is not used"},
	{"address together with email", mailed + "\nnotificationsUrl: https://hooks.example.com/x", "notificationsUrl",
		"is not used"},
	{"address without TLS", "notifications: {receiver: slack}\nnotificationsUrl: http://hooks.example.com/x",
		"notificationsUrl", "must begin with https://"},
	{"address without a host", "notifications: {receiver: webhook}\nnotificationsUrl: https:///x", "notificationsUrl",
		"has no valid host name"},
	{"address with a wrong port", "notifications: {receiver: webhook}\nnotificationsUrl: https://h.example.com:0/x",
		"notificationsUrl", "has no valid port"},
	{"address that is not a URL", "notifications: {receiver: discord}\nnotificationsUrl: 'https://h.example.com/a b'",
		"notificationsUrl", "is not a URL"},
	{"email without a recipient",
		"notifications: {receiver: email, email: {from: a@example.com, server: 'm.example.com:587'}}",
		"notifications.email.to", "is not set"},
	{"email without a sender", "notifications: {receiver: email, email: {to: a@example.com, server: 'm.example.com:587'}}",
		"notifications.email.from", "is not set"},
	{"sender that is not a mail address",
		"notifications: {receiver: email, email: {to: a@example.com, from: me, server: 'm.example.com:587'}}",
		"notifications.email.from", "is not a mail address"},
	{"recipient that is not a mail address",
		"notifications: {receiver: email, email: {to: me, from: a@example.com, server: 'm.example.com:587'}}",
		"notifications.email.to", "is not a mail address"},
	{"email without a server", "notifications: {receiver: email, email: {to: a@example.com, from: a@example.com}}",
		"notifications.email.server", "is not set"},
	{"mail server without a port",
		"notifications: {receiver: email, email: {to: a@example.com, from: a@example.com, server: m.example.com}}",
		"notifications.email.server", "must be a host and a port"},
	{"mail server with a wrong name",
		"notifications: {receiver: email, email: {to: a@example.com, from: a@example.com, server: 'm_x.example.com:25'}}",
		"notifications.email.server", "no valid host name"},
	{"mail server with a wrong port",
		"notifications: {receiver: email, email: {to: a@example.com, from: a@example.com, server: 'm.example.com:99999'}}",
		"notifications.email.server", "no valid port"},
	{"mail user with a space", "notifications: {receiver: email, email: {to: a@example.com, from: a@example.com, " +
		"server: 'm.example.com:25', username: 'a b'}}\nnotificationsPassword: secret", "notifications.email.username",
		"without spaces"},
	{"mail user without a password", "notifications: {receiver: email, email: {to: a@example.com, from: a@example.com, " +
		"server: 'm.example.com:25', username: a}}", "notificationsPassword", "is not set"},
	{"mail password without a user", mailed + "\nnotificationsPassword: secret", "notificationsPassword", "is not used"},
	{"mail settings for slack",
		"notifications: {receiver: slack, email: {to: a@example.com}}\nnotificationsUrl: https://hooks.example.com/x",
		"notifications.email", "is not used"},

	// Secrets.
	{"password too short", "redisPassword: abc", "redisPassword", "at least 8"},
	{"password too long", "argocdPassword: " + strings.Repeat("x", 73), "argocdPassword", "at most 72"},
	{"password with a blank", "grafanaPassword: correct horse", "grafanaPassword", "connection URLs"},
	{"password with a slash", "rabbitmqPassword: correct/horse", "rabbitmqPassword", "connection URLs"},
}

const allOff = "{metricsServer: {enabled: false}, ebsCsi: {enabled: false}, certManager: {enabled: false}, " +
	"loadBalancer: {enabled: false}, monitoring: {enabled: false}, logging: {enabled: false}, rabbitmq: {enabled: " +
	"false}, redis: {enabled: false}, postgresql: {enabled: false}, argocd: {enabled: false}, argoRollouts: {enabled: " +
	"false}}"

// manyRanges returns n single addresses.
func manyRanges(n int) string {
	var ranges []string
	for i := range n {
		ranges = append(ranges, fmt.Sprintf("9.9.%d.9/32", i))
	}
	return strings.Join(ranges, ", ")
}

// manyNodes returns a stack with the smallest VPC and n workers in its first zone.
func manyNodes(n int) string {
	var more []string
	for i := range n {
		more = append(more, fmt.Sprintf("{name: w%d}", i))
	}
	return nodesWith(strings.Join(more, ", ")) + "\nnetwork: {vpcCidr: 10.0.0.0/22}"
}

// withDomain returns a stack with a domain and one more setting of dns.
func withDomain(setting string) string {
	text := "dns: {domain: example.com, " + setting + "}"
	if !strings.Contains(setting, "createZone") {
		text += "\naddons: {acme: {email: a@example.com}}"
	}
	return text
}

func TestRefused(t *testing.T) {
	names := map[string]bool{}
	for _, c := range refused {
		if names[c.name] {
			t.Errorf("two cases are called %q", c.name)
		}
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			got, err := loadText(t, "dev", c.yaml)
			faults := faultsOf(t, err)
			if got != nil || len(faults) != 1 {
				t.Fatalf("want one fault, got %d: %v", len(faults), err)
			}
			key := c.key
			if top, _, _ := strings.Cut(key, "."); !strings.Contains(top, ":") {
				key = Namespace + ":" + key
			}
			f := faults[0]
			if f.Key != key {
				t.Errorf("key\n got %s\nwant %s", f.Key, key)
			}
			if !strings.Contains(f.Reason, c.reason) {
				t.Errorf("reason\n got %s\nwant %s", f.Reason, c.reason)
			}
			if f.Example == "" {
				t.Error("no example of what to write instead")
			}
		})
	}
}

// TestAllFaultsAtOnce puts faults of every kind into one stack.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := loadText(t, "dev", `
aws:region: nowhere
environment: test
colour: red
cluster: {name: X, kubernetesVersion: 1}
network: {vpcCidr: 1.2.3.4, zones: [a]}
nodes: [{name: A, zone: 9, labels: {a b: c}}, {zone: 0, instanceType: big}]
addons: {rabbitmq: {replicas: 4, enable: true}}
`)
	var got []string
	for _, f := range faultsOf(t, err) {
		got = append(got, strings.TrimPrefix(f.Key, Namespace+":"))
	}
	want := []string{
		"aws:region", "environment", "cluster.kubernetesVersion", "cluster.name", "network.vpcCidr", "network.zones",
		"nodes", "nodes[0].name", "nodes[0].zone", "nodes[0].labels.a b", "nodes[1].name", "nodes[1].instanceType",
		"addons.rabbitmq.enable", "addons.rabbitmq.replicas", "colour",
	}
	for _, key := range want {
		if !slices.Contains(got, key) {
			t.Errorf("no fault for %s", key)
		}
	}
	if slices.Index(got, "aws:region") != 0 || slices.Index(got, "colour") != len(got)-1 {
		t.Errorf("faults are not in the order of the settings: %v", got)
	}
}

func TestSuggestions(t *testing.T) {
	for wrong, want := range map[string]string{
		"nodez: []":                                  "did you mean nodes?",
		"Nodes: []":                                  "did you mean nodes?",
		"grafanapassword: x":                         "did you mean grafanaPassword?",
		"network: {podCIDR: x}":                      "did you mean podCidr?",
		"network: {cidr: x}":                         "one of podCidr, serviceCidr, vpcCidr, zones",
		"cluster: {version: x}":                      "did you mean kubernetesVersion?",
		"addons: {rabbitmq: {enable: true}}":         "did you mean enabled?",
		"addons: {rabbitMQ: {enabled: true}}":        "did you mean rabbitmq?",
		"cluster: {cni: Calico}":                     "did you mean calico?",
		"environment: production":                    "did you mean prod?",
		"cluster: {colour: x}":                       "one of cni, dnsDomain, kubernetesVersion, name",
		nodesWith("{name: x, role: controlplane}"):   "did you mean control-plane?",
		nodesWith("{name: x, instance: t3.medium}"):  "did you mean instanceType?",
		nodesWith("{name: x, taints: [{effct: a}]}"): "did you mean effect?",
	} {
		_, err := loadText(t, "dev", wrong)
		if !slices.ContainsFunc(faultsOf(t, err), func(f FieldError) bool { return f.Example == want }) {
			t.Errorf("%s\n got %v\nwant %s", wrong, err, want)
		}
	}
}

// TestFaultShowsKeyValueReasonExample fixes the text that a person reads.
func TestFaultShowsKeyValueReasonExample(t *testing.T) {
	_, err := loadText(t, "dev", nodesWith("{name: x, labels: {workload: a b}}")+"\nnetwork: {vpcCidr: 10.0.1.0/16}")
	want := `2 settings are refused, nothing was created:

  kubeadm-aws:network.vpcCidr = "10.0.1.0/16"
      must begin with the first address of the range, which is 10.0.0.0/16
      instead: 10.0.0.0/16

  kubeadm-aws:nodes[3].labels.workload = "a b"
      must be at most 63 letters, digits, dashes, underscores or dots that begin and end with a letter or digit
      instead: workload: api`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// TestPasswordsAreNotShown sets every secret to a password that is refused and searches for it in the message.
func TestPasswordsAreNotShown(t *testing.T) {
	for _, name := range Secrets {
		_, err := loadText(t, "dev", name+": hunter 2 hunter")
		if err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryFieldIsRefusedOnce lists the settings that no case above sets to a wrong value. A new field needs a rule
// and a case.
func TestEveryFieldIsRefusedOnce(t *testing.T) {
	covered, all := map[string]bool{}, leaves()
	position := regexp.MustCompile(`\[[0-9]+\]`)
	for _, c := range refused {
		key := position.ReplaceAllString(c.key, "[]")
		for _, field := range all {
			if within(key, field) {
				covered[field] = true
			}
		}
	}
	// Any value of the right type is valid here.
	for _, free := range []string{
		"addons.*.enabled", "addons.*.values",
	} {
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(free), `\*`, `[a-zA-Z]+`) + "$")
		for _, field := range all {
			if pattern.MatchString(field) {
				covered[field] = true
			}
		}
	}
	for _, field := range all {
		if !covered[field] {
			t.Errorf("%s: no case makes it wrong", field)
		}
	}
}

// leaves returns the key paths of all settings without fields of their own, with [] for list positions.
func leaves() []string {
	var paths []string
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		switch {
		case t.Kind() == reflect.Struct:
			for _, name := range sortedKeys(fieldsOf(t)) {
				field, _ := t.FieldByName(fieldByTag(t, name))
				walk(strings.TrimPrefix(path+"."+name, "."), field.Type)
			}
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
			walk(path+"[]", t.Elem())
		default:
			paths = append(paths, path)
		}
	}
	walk("", reflect.TypeFor[Config]())
	return paths
}

func fieldByTag(t reflect.Type, tag string) string {
	for _, f := range reflect.VisibleFields(t) {
		if f.Tag.Get("json") == tag {
			return f.Name
		}
	}
	return ""
}
