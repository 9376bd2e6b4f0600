package infra

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

const threeNodes = `[
	{"name":"master","role":"control-plane"},
	{"name":"worker-1","role":"worker"},
	{"name":"storage","role":"worker","zone":2,"labels":{"workload":"storage"},"taints":[{"key":"workload","value":"storage","effect":"NoSchedule"}]}]`

// The same nodes and two more, in a different order.
const fiveNodes = `[
	{"name":"early","role":"worker","zone":1},
	{"name":"storage","role":"worker","zone":2,"labels":{"workload":"storage"},"taints":[{"key":"workload","value":"storage","effect":"NoSchedule"}]},
	{"name":"master","role":"control-plane"},
	{"name":"worker-1","role":"worker"},
	{"name":"late","role":"worker","zone":1}]`

func TestEveryInstanceIsHard(t *testing.T) {
	w := deploy(t, "dev", nil)
	if got := len(w.all("Instance")); got != 4 {
		t.Fatalf("%d instances, want 4", got)
	}
	for name, r := range w.all("Instance") {
		if got := r.at("metadataOptions", "httpTokens").StringValue(); got != "required" {
			t.Errorf("%s: IMDS tokens %s", name, got)
		}
		if got := r.at("metadataOptions", "httpPutResponseHopLimit").NumberValue(); got != 1 {
			t.Errorf("%s: hop limit %v", name, got)
		}
		if got := r.at("metadataOptions", "instanceMetadataTags").StringValue(); got != "disabled" {
			t.Errorf("%s: metadata tags %s", name, got)
		}
		if !r.at("rootBlockDevice", "encrypted").BoolValue() || r.at("rootBlockDevice", "volumeType").StringValue() != "gp3" {
			t.Errorf("%s: root volume %v", name, r.at("rootBlockDevice"))
		}
		if !r.at("associatePublicIpAddress").BoolValue() {
			t.Errorf("%s: no public address at boot", name)
		}
		if got := r.at("tags", "kubernetes.io/cluster/dev"); !got.IsString() || got.StringValue() != "owned" {
			t.Errorf("%s: cluster tag %v", name, got)
		}
		if !r.at("userData").IsSecret() {
			t.Errorf("%s: user data holds a private key and is not secret", name)
		}
	}
}

func TestExactlyOneTaggedGroupPerInstance(t *testing.T) {
	w := deploy(t, "dev", nil)
	tagged := map[string]bool{}
	for name, g := range w.all("SecurityGroup") {
		for key := range g.at("tags").ObjectValue() {
			if strings.HasPrefix(string(key), "kubernetes.io/cluster/") {
				tagged[name+"-id"] = true
			}
		}
	}
	// The Load Balancer Controller may change every tagged group, so no other group has the tag.
	if len(tagged) != 1 {
		t.Errorf("groups with the cluster's tag: %v", tagged)
	}
	for name, r := range w.all("Instance") {
		n := 0
		for _, id := range r.at("vpcSecurityGroupIds").ArrayValue() {
			if tagged[id.StringValue()] {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s has %d groups with the cluster's tag, want 1", name, n)
		}
	}
}

func TestDefaultTagsMarkNoGroup(t *testing.T) {
	tags := deploy(t, "dev", nil).one("aws", "aws").at("defaultTags")
	text := tags.String()
	if strings.Contains(text, "kubernetes.io/cluster") {
		t.Errorf("default tags would mark every security group: %s", text)
	}
	for _, key := range []string{config.TagCluster, config.TagStack, config.TagOwner, config.TagManagedBy} {
		if !strings.Contains(text, key) {
			t.Errorf("default tags lack %s: %s", key, text)
		}
	}
}

func TestRunningNodesAreLeftAlone(t *testing.T) {
	for _, c := range []struct {
		name    string
		over    settings
		ignored []string
		trigger string
	}{
		{"newest image", nil, []string{"associatePublicIpAddress", "userData", "ami"}, "ubuntu-24.04/"},
		{"pinned image", settings{"image": `{"ami":"ami-0123456789abcdef0"}`},
			[]string{"associatePublicIpAddress", "userData"}, "ubuntu-24.04/"},
		{"generation", settings{"image": `{"os":"debian-12","generation":"2026-11"}`},
			[]string{"associatePublicIpAddress", "userData", "ami"}, "debian-12/2026-11"},
		{"generation of one node",
			settings{"nodes": `[{"name":"master","role":"control-plane","generation":"2"},{"name":"worker-1"}]`},
			[]string{"associatePublicIpAddress", "userData", "ami"}, "ubuntu-24.04/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, r := range deploy(t, "dev", c.over).all("Instance") {
				ignored, trigger := c.ignored, c.trigger
				// The image's generation does not apply to the control plane, through which the workers leave the
				// cluster.
				if name == "master" {
					ignored = []string{"associatePublicIpAddress", "userData", "ami"}
					trigger = strings.TrimSuffix(trigger, "2026-11")
					if c.name == "generation of one node" {
						trigger += "/2"
					}
				}
				if got := r.RegisterRPC.GetIgnoreChanges(); !slices.Equal(got, ignored) {
					t.Errorf("%s ignores %v, want %v", name, got, ignored)
				}
				if got := r.RegisterRPC.GetReplacementTrigger().GetStringValue(); got != trigger {
					t.Errorf("%s is replaced by %q, want %q", name, got, trigger)
				}
				if !r.RegisterRPC.GetDeleteBeforeReplace() {
					t.Errorf("%s would run next to its successor", name)
				}
			}
		})
	}
}

func TestImages(t *testing.T) {
	for os, want := range map[string]struct{ ami, user string }{
		"ubuntu-24.04": {"ami of /aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
			"ubuntu"},
		"debian-12": {"ami of /aws/service/debian/release/12/latest/amd64", "admin"},
	} {
		w := deploy(t, "dev", settings{"image": `{"os":"` + os + `"}`})
		for name, r := range w.all("Instance") {
			if got := r.at("ami").StringValue(); got != want.ami {
				t.Errorf("%s boots from %q, want %q", name, got, want.ami)
			}
		}
		if got := w.infra.Nodes[0].User; got != want.user {
			t.Errorf("%s: user %s, want %s", os, got, want.user)
		}
	}
	mixed := deploy(t, "dev", settings{"nodes": `[{"name":"master","role":"control-plane"},{"name":"x"},
		{"name":"arm","instanceType":"m7g.large","generation":"2"}]`})
	for name, want := range map[string][2]string{"master": {"amd64", "ubuntu-24.04/"}, "x": {"amd64", "ubuntu-24.04/"},
		"arm": {"arm64", "ubuntu-24.04-arm64//2"}} {
		r := mixed.one("Instance", name)
		if got := r.at("ami").StringValue(); !strings.Contains(got, "/"+want[0]+"/") {
			t.Errorf("%s boots from %q, want %s", name, got, want[0])
		}
		if got := r.RegisterRPC.GetReplacementTrigger().GetStringValue(); got != want[1] {
			t.Errorf("%s is replaced by %q, want %q", name, got, want[1])
		}
	}
	spot := deploy(t, "dev", settings{"nodes": `[{"name":"master","role":"control-plane"},{"name":"x"},
		{"name":"s","spot":true,"taints":[{"key":"spot","effect":"NoSchedule"}]}]`})
	for name, want := range map[string]bool{"master": false, "x": false, "s": true} {
		if market := spot.one("Instance", name).at("instanceMarketOptions", "marketType"); market.IsString() != want {
			t.Errorf("%s: market %v, want spot: %v", name, market, want)
		}
	}
	pinned := deploy(t, "dev", settings{"image": `{"ami":"ami-0123456789abcdef0"}`})
	if _, asked := pinned.calls["aws:ssm/getParameter:getParameter"]; asked {
		t.Error("a pinned image is looked up")
	}
	if got := pinned.one("Instance", "master").at("ami").StringValue(); got != "ami-0123456789abcdef0" {
		t.Errorf("ami = %s", got)
	}
}

func TestEveryConfigurableImageIsKnown(t *testing.T) {
	for os := range images {
		load(t, "dev", settings{"image": `{"os":"` + os + `"}`}) // fails if validation refuses it
	}
	if len(images) != 2 {
		t.Errorf("%d images, but validation knows ubuntu-24.04 and debian-12", len(images))
	}
}

func TestAddingANodeRenamesNothing(t *testing.T) {
	before, after := deploy(t, "dev", settings{"nodes": threeNodes}), deploy(t, "dev", settings{"nodes": fiveNodes})
	for urn, r := range before.resources {
		now, ok := after.resources[urn]
		if !ok {
			t.Errorf("%s is missing", r)
			continue
		}
		if r.Custom && !r.Inputs.DeepEquals(now.Inputs) {
			t.Errorf("%s changed:\n%v\n%v", r, r.Inputs, now.Inputs)
		}
	}
	var added []string
	for urn, r := range after.resources {
		if _, ok := before.resources[urn]; !ok {
			added = append(added, r.String())
		}
	}
	slices.Sort(added)
	want := []string{
		"aws:ec2/instance:Instance early", "aws:ec2/instance:Instance late",
		"tls:index/privateKey:PrivateKey ssh-host-early", "tls:index/privateKey:PrivateKey ssh-host-late",
	}
	if !slices.Equal(added, want) {
		t.Errorf("two nodes add %v, want %v", added, want)
	}
}

func TestNodeFacts(t *testing.T) {
	w := deploy(t, "dev", nil)
	var names []string
	for _, n := range w.infra.Nodes {
		names = append(names, n.Name)
	}
	if want := []string{"master", "worker-1", "worker-2", "storage"}; !slices.Equal(names, want) {
		t.Fatalf("nodes %v, want %v in the order of the configuration", names, want)
	}
	master, storage := w.infra.Nodes[0], w.infra.Nodes[3]
	for what, got := range map[string][2]string{
		"the control plane is reached by its Elastic IP":  {await[string](t, master.PublicIP), "elastic-ip-of-master"},
		"a worker is reached by the address it booted by": {await[string](t, storage.PublicIP), "public-ip-of-storage"},
		"private address":            {await[string](t, master.PrivateIP), "private-ip-of-master"},
		"provider id":                {await[string](t, storage.ProviderID), "aws:///eu-central-1c/storage-id"},
		"host key without a newline": {await[string](t, storage.HostKey), "ssh-ed25519 ssh-host-storage"},
		"zone":                       {storage.Zone, "eu-central-1c"},
		"endpoint without a domain":  {await[string](t, w.infra.APIPublicEndpoint), "elastic-ip-of-master"},
		"subnet of the storage node": {w.one("Instance", "storage").at("subnetId").StringValue(), "public-c-id"},
		"profile of a worker":        {w.one("Instance", "storage").at("iamInstanceProfile").StringValue(), "dev-worker"},
		"profile of the control plane": {w.one("Instance", "master").at("iamInstanceProfile").StringValue(),
			"dev-control-plane"},
		"the association is undone before the address goes": {w.one("EipAssociation", "master").RegisterRPC.GetDeletedWith(),
			""},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %q, want %q", what, got[0], got[1])
		}
	}
	if got := len(w.all("Eip")); got != 1 {
		t.Errorf("%d Elastic IPs, want one for the control plane", got)
	}
}

// An address cannot be released while a machine has it. A machine has it until it is terminated.
func TestAddressIsTakenFromTheMachineFirst(t *testing.T) {
	association := deploy(t, "dev", nil).one("EipAssociation", "master")
	if with := association.RegisterRPC.GetDeletedWith(); with != "" {
		t.Errorf("the association is only forgotten, with %s", with)
	}
}

// The whole table of what each environment protects, keeps and empties, so that every change of it is visible.
func TestProtection(t *testing.T) {
	for stack, want := range map[string]struct {
		protected  []string
		keepBucket bool
		force      bool
	}{
		"dev":     {nil, false, true},
		"staging": {nil, true, true},
		"prod": {[]string{
			"aws:ec2/eip:Eip master", "aws:ec2/instance:Instance master",
			"aws:route53/zone:Zone public", "aws:s3/bucketV2:BucketV2 prod-backups", "aws:s3/bucketV2:BucketV2 prod-logs",
		}, true, false},
	} {
		t.Run(stack, func(t *testing.T) {
			w := deploy(t, stack, settings{"environment": stack, "dns": `{"domain":"example.com","createZone":true}`,
				"addons": acme})
			var protected []string
			for _, r := range w.resources {
				if r.RegisterRPC.GetProtect() {
					protected = append(protected, r.String())
				}
			}
			slices.Sort(protected)
			if !slices.Equal(protected, want.protected) {
				t.Errorf("protected %v, want %v", protected, want.protected)
			}
			for _, kind := range []string{
				"BucketV2", "BucketVersioningV2", "BucketPolicy", "BucketPublicAccessBlock", "BucketOwnershipControls",
				"BucketServerSideEncryptionConfigurationV2",
			} {
				name := "backups"
				if kind == "BucketV2" {
					name = stack + "-backups"
				}
				if got := w.one(kind, name).RegisterRPC.GetRetainOnDelete(); got != want.keepBucket {
					t.Errorf("%s is kept: %v, want %v", kind, got, want.keepBucket)
				}
			}
			if got := w.one("BucketV2", stack+"-backups").at("forceDestroy").BoolValue(); got == want.keepBucket {
				t.Errorf("backups emptied: %v", got)
			}
			for _, r := range w.all("Repository") {
				if got := r.at("forceDelete").BoolValue(); got != want.force {
					t.Errorf("%s deleted with its images: %v, want %v", r, got, want.force)
				}
			}
			if got := w.one("Zone", "public").at("forceDestroy").BoolValue(); got != want.force {
				t.Errorf("public zone deleted with its records: %v, want %v", got, want.force)
			}
		})
	}
}

func TestFewResourcesPerNode(t *testing.T) {
	dev := deploy(t, "dev", nil)
	for _, n := range slices.Sorted(maps.Keys(dev.all("Instance"))) {
		if got := len(dev.one("Instance", n).RegisterRPC.GetDependencies()); got > 8 {
			t.Errorf("%s depends on %d resources; 100 nodes make a large state of that", n, got)
		}
	}
}
