package stack_test

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/sandbox"
)

// kubelet returns a stack with one field of the kubelet.
func kubelet(field string, value any) map[string]any {
	return map[string]any{"kubeadm-aws:kubernetes.kubelet": map[string]any{field: value}}
}

// TestAnAccountThatCannotHoldTheStack checks that the program refuses, before the first resource and in a preview
// too, what AWS would refuse later.
func TestAnAccountThatCannotHoldTheStack(t *testing.T) {
	for _, c := range []struct {
		name     string
		limits   sandbox.Limits
		settings map[string]any
		wants    []string
	}{
		{"a region with other zones", sandbox.Limits{}, map[string]any{"aws:region": "ap-northeast-1"},
			[]string{"kubeadm-aws:network.zones[1] = \"b\"", "no zone ap-northeast-1b", "a, c, d"}},
		{"a zone that is missing", sandbox.Limits{Zones: []string{"a", "b"}}, nil,
			[]string{"kubeadm-aws:network.zones[2] = \"c\"", "two or more of a, b"}},
		{"a type that a zone does not offer", sandbox.Limits{NotOffered: map[string][]string{"t3.medium": {"b"}}}, nil,
			[]string{"kubeadm-aws:nodes[2].instanceType = \"t3.medium\"", "is not offered in eu-central-1b",
				"a zone of eu-central-1a, eu-central-1c"}},
		{"a type that the region does not offer",
			sandbox.Limits{NotOffered: map[string][]string{"t3.large": {"a", "b", "c"}}}, nil,
			[]string{"kubeadm-aws:nodes[0].instanceType = \"t3.large\"", "kubeadm-aws:nodes[3].instanceType",
				"is not offered in eu-central-1"}},
		{"a type that does not exist", sandbox.Limits{}, map[string]any{"kubeadm-aws:nodes": []any{
			map[string]any{"name": "master", "role": "control-plane"},
			map[string]any{"name": "w", "instanceType": "m6i.77xlarge"}}},
			[]string{"kubeadm-aws:nodes[1].instanceType = \"m6i.77xlarge\"", "is not offered in eu-central-1"}},
		{"too few vCPUs", sandbox.Limits{Quotas: map[string]float64{"L-1216C47A": 5}}, nil,
			[]string{"need 8 vCPUs, and this account may run 5", "--quota-code L-1216C47A --desired-value 8"}},
		{"no Elastic IP left", sandbox.Limits{Quotas: map[string]float64{"L-0263D0A3": 0}}, nil,
			[]string{"need 1 Elastic IP", "L-0263D0A3"}},
		{"no VPC left", sandbox.Limits{Quotas: map[string]float64{"L-F678F1CE": 0}}, nil,
			[]string{"needs a VPC", "L-F678F1CE"}},
		{"more memory for Redis than its node has", sandbox.Limits{}, map[string]any{"kubeadm-aws:addons.redis.maxMemoryMiB": 5000},
			[]string{"kubeadm-aws:addons.redis.maxMemoryMiB = 5000", "storage (t3.large), has 8192", "2048, or a larger"}},
		{"more memory for RabbitMQ than its node has", sandbox.Limits{}, map[string]any{"kubeadm-aws:addons.rabbitmq.memoryMiB": 9000},
			[]string{"kubeadm-aws:addons.rabbitmq.memoryMiB = 9000", "storage (t3.large), has 8192", "4096, or a larger"}},
		{"more memory for Redis than the nodes have that take its pod", sandbox.Limits{}, map[string]any{
			"kubeadm-aws:addons.redis.maxMemoryMiB": 3000, "kubeadm-aws:nodes": []any{
				map[string]any{"name": "master", "role": "control-plane"},
				map[string]any{"name": "w", "instanceType": "t3.medium"},
				map[string]any{"name": "big", "instanceType": "t3.large",
					"taints": []any{map[string]any{"key": "gpu", "effect": "NoSchedule"}}}}},
			[]string{"kubeadm-aws:addons.redis.maxMemoryMiB = 3000", "w (t3.medium), has 4096"}},
		{"more memory for the system than a node has", sandbox.Limits{}, kubelet("systemReserved", map[string]any{"memory": "100Gi"}),
			[]string{"kubeadm-aws:kubernetes.kubelet.systemReserved.memory = \"100Gi\"", "master (t3.large)"}},
		{"a threshold that leaves a worker no memory", sandbox.Limits{}, kubelet("evictionHard", map[string]any{"memory.available": "85%"}),
			[]string{"kubeadm-aws:kubernetes.kubelet.evictionHard[\"memory.available\"] = \"85%\"", "8192 MiB of memory"}},
		{"fewer pods for each CPU than the platform has", sandbox.Limits{}, map[string]any{
			"kubeadm-aws:kubernetes.kubelet": map[string]any{"podsPerCore": 5}},
			[]string{"kubeadm-aws:kubernetes.kubelet.podsPerCore = 5", "10 pods on its 2 CPUs", "6 or more"}},
		{"more CPUs for Kubernetes than a node has", sandbox.Limits{}, kubelet("kubeReserved", map[string]any{"cpu": "1900m"}),
			[]string{"kubeadm-aws:kubernetes.kubelet.kubeReserved.cpu = \"1900m\"", "2 of the 2 CPUs"}},
		{"a reserve on a type that does not exist", sandbox.Limits{}, map[string]any{
			"kubeadm-aws:kubernetes.kubelet": map[string]any{"kubeReserved": map[string]any{"cpu": "200m"}},
			"kubeadm-aws:nodes": []any{
				map[string]any{"name": "master", "role": "control-plane"},
				map[string]any{"name": "w", "instanceType": "m6i.77xlarge"}}},
			[]string{"kubeadm-aws:nodes[1].instanceType = \"m6i.77xlarge\"", "is not offered in eu-central-1"}},
		{"CPUs that a node does not have", sandbox.Limits{}, kubelet("reservedSystemCPUs", "0-3"),
			[]string{"kubeadm-aws:kubernetes.kubelet.reservedSystemCPUs = \"0-3\"", "names CPU 3"}},
		{"an image of another region", sandbox.Limits{Images: map[string]sandbox.Image{}},
			map[string]any{"kubeadm-aws:image.ami": "ami-0123456789abcdef0"},
			[]string{"kubeadm-aws:image.ami = \"ami-0123456789abcdef0\"", "is not an image of eu-central-1"}},
		{"an image for ARM",
			sandbox.Limits{Images: map[string]sandbox.Image{"ami-0123456789abcdef0": {Architecture: "arm64"}}},
			map[string]any{"kubeadm-aws:image.ami": "ami-0123456789abcdef0"},
			[]string{"kubeadm-aws:image.ami", "is for arm64"}},
		{"an image larger than a disk",
			sandbox.Limits{Images: map[string]sandbox.Image{"ami-0123456789abcdef0": {RootGiB: 50}}},
			map[string]any{"kubeadm-aws:image.ami": "ami-0123456789abcdef0"},
			[]string{"kubeadm-aws:nodes[0].volumeSize = 40", "which has 50 GiB"}},
		{"a policy of another account", sandbox.Limits{}, map[string]any{"kubeadm-aws:identity": map[string]any{
			"enabled": true, "serviceAccounts": []any{map[string]any{"namespace": "apps", "name": "api",
				"policy": "arn:aws:iam::999999999999:policy/api"}}}},
			[]string{"kubeadm-aws:identity.serviceAccounts[0].policy", "is a policy of the account 999999999999"}},
		{"an account that is not allowed", sandbox.Limits{AccountID: "210987654321"},
			map[string]any{"aws:allowedAccountIds": []any{"123456789012"}},
			[]string{"aws:allowedAccountIds = [\"123456789012\"]", "do not hold the account 210987654321", "AWS_PROFILE"}},
		{"an account that is forbidden", sandbox.Limits{AccountID: "210987654321"},
			map[string]any{"aws:forbiddenAccountIds": []any{"210987654321"}},
			[]string{"aws:forbiddenAccountIds = [\"210987654321\"]", "hold the account 210987654321"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := simulate(t, "dev", c.settings)
			r.allowing(c.limits)
			r.mustSay(t, r.preview(), append(c.wants, "nothing was created")...)
		})
	}
}

// mustSay expects an operation to fail with the texts and without a change in the account.
func (r *simulation) mustSay(t *testing.T, o outcome, wants ...string) {
	t.Helper()
	if o.err == nil {
		t.Fatal("it is accepted")
	}
	for _, want := range wants {
		if !strings.Contains(o.printed, want) {
			t.Errorf("want %q in\n%s", want, tail(o.printed, 3000))
		}
	}
	for _, op := range r.box.Operations() {
		if slices.Contains([]string{"create", "update", "delete"}, op.Verb) {
			t.Errorf("%s %s", op.Verb, op.URN)
		}
	}
}

// TestWithoutPermissionToAsk continues with warnings, because the checks are optional.
func TestWithoutPermissionToAsk(t *testing.T) {
	denied := []string{
		"aws:index/getAvailabilityZones:getAvailabilityZones", "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings",
		"aws:ec2/getInstances:getInstances", "aws:ec2/getVpcs:getVpcs", "aws:ec2/getEips:getEips",
		"aws:servicequotas/getServiceQuota:getServiceQuota",
	}
	r := simulate(t, "dev", small())
	r.allowing(sandbox.Limits{Denied: denied})
	printed := r.preview().must(t).printed
	for _, what := range []string{"the availability zones could", "the instance types could",
		"other clusters of this name could", "VPCs could", "Elastic IPs could"} {
		if !strings.Contains(printed, what+" not be checked ahead") {
			t.Errorf("no warning of %s:\n%s", what, tail(printed, 3000))
		}
	}
}

// TestANamesake expects a refusal before the first resource of a new stack, and next to a running stack.
func TestANamesake(t *testing.T) {
	r := simulate(t, "dev", nil)
	r.box.AWS.CreateNamesake("platform-dev", "vpc-other", "i-other")
	r.mustSay(t, r.up(), "kubeadm-aws:cluster.name = \"platform-dev\"", "is the name of a cluster in vpc-other (i-other)",
		"the VPC of this stack does not exist yet", "nothing was created")
	r.with(map[string]any{"kubeadm-aws:cluster": map[string]any{"name": "platform-dev2"}}).preview().must(t)

	running := madeBefore(t, "made-by-3fdc37a", "dev")
	running.box.AWS.CreateNamesake("platform-dev", "vpc-other", "i-other")
	running.mustSay(t, running.up(), "is the name of a cluster in vpc-other (i-other)", "this stack is in vpc-",
		"nothing was changed")
}

// TestADomainOfAnotherStack expects a refusal before the first resource, and none for the records of the stack itself.
func TestADomainOfAnotherStack(t *testing.T) {
	settings := map[string]any{"kubeadm-aws:dns.domain": "shop.org", "kubeadm-aws:addons.acme.email": "a@shop.org",
		"kubeadm-aws:dns.ingressHosts": []any{"*.shop.org"}}
	for name, kind := range map[string]string{"api.shop.org": "A", "argocd.shop.org": "CNAME", "*.shop.org": "A"} {
		r := simulate(t, "dev", settings)
		r.box.AWS.CreateRecord("shop.org", name, kind)
		r.mustSay(t, r.preview(), "kubeadm-aws:dns.domain = \"shop.org\"", name+" ("+kind+")", "nothing was created")
	}
	r := simulate(t, "dev", settings)
	r.box.AWS.CreateRecord("shop.org", "www.shop.org", "A")
	r.box.AWS.CreateRecord("shop.org", "argocd.shop.org", "TXT")
	r.up().must(t)
	r.preview().must(t)
}

// TestARunningStackIsAskedAboutNewMachinesOnly checks that existing machines need neither an offer nor a quota.
func TestARunningStackIsAskedAboutNewMachinesOnly(t *testing.T) {
	r := madeBefore(t, "made-by-3fdc37a", "dev")
	nothing := map[string]float64{"L-1216C47A": 0, "L-0263D0A3": 0, "L-F678F1CE": 0}
	r.allowing(sandbox.Limits{Zones: []string{"a"}, NotOffered: map[string][]string{"t3.large": {"a", "b", "c"}},
		Quotas: nothing})
	r.preview().must(t)
	r.allowing(sandbox.Limits{AccountID: "210987654321"})
	r.mustSay(t, r.preview(), "the stack runs in the account 123456789012 (vpc-", "the credentials belong to 210987654321")
}

// TestAWithdrawnImageOfRunningNodes expects no refusal of an image that all nodes run already.
func TestAWithdrawnImageOfRunningNodes(t *testing.T) {
	settings := small()
	settings["kubeadm-aws:image.ami"] = "ami-0123456789abcdef0"
	r := simulate(t, "dev", settings)
	r.up().must(t)
	r.allowing(sandbox.Limits{Images: map[string]sandbox.Image{}})
	r.preview().must(t)
}

// TestVolumesKeepTheirZone refuses a change that leaves volumes in a zone without a node for them.
func TestVolumesKeepTheirZone(t *testing.T) {
	r := simulate(t, "dev", nil)
	r.up().must(t)
	worker := func(name string, zone int, more string) map[string]any {
		// The types are those of the running workers: another one for several at once is refused.
		typ := map[bool]string{true: "t3.large", false: "t3.medium"}[more == "storage"]
		return map[string]any{"name": name, "zone": zone, "volumeSize": 60, "instanceType": typ,
			"labels": map[string]any{"workload": more}}
	}
	master := map[string]any{"name": "master", "role": "control-plane"}
	for name, c := range map[string]struct {
		nodes   []any
		refused bool
	}{
		"moved": {[]any{master, worker("worker-1", 0, "api"), worker("worker-2", 1, "worker"),
			worker("storage", 0, "storage")}, true},
		"without label": {[]any{master, worker("worker-1", 0, "api"), worker("worker-2", 1, "worker")}, true},
		"another in place": {[]any{master, worker("worker-1", 0, "api"), worker("worker-2", 1, "worker"),
			worker("storage-2", 2, "storage")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := r.with(map[string]any{"kubeadm-aws:nodes": c.nodes}).preview()
			if refused := strings.Contains(o.printed,
				"leave no node for pods with volumes in eu-central-1c, and vol-"); refused != c.refused ||
				(o.err != nil) != c.refused {
				t.Errorf("refused: %v, error: %v\n%s", refused, o.err, tail(o.printed, 2000))
			}
		})
	}
}
