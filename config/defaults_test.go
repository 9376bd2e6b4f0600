package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// TestDefaults fixes all values of a stack with only the required settings.
func TestDefaults(t *testing.T) {
	c, err := loadText(t, "dev", "")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "environment": "dev",
 "owner": "platform",
 "cluster": {"name": "dev", "kubernetesVersion": "` + DefaultRelease().Version +
		`", "cni": "calico", "dnsDomain": "cluster.local"},
 "network": {"vpcCidr": "10.0.0.0/16", "zones": ["a", "b", "c"], "podCidr": "10.244.0.0/16", "serviceCidr": "10.96.0.0/16"},
 "access": {"adminCidrs": ["198.51.100.7/32"]},
 "image": {"os": "ubuntu-24.04", "ami": "", "generation": ""},
 "nodes": [
  {"name": "master", "role": "control-plane", "instanceType": "t3.large", "zone": 0, "volumeSize": 40, "generation": "", "spot": false, "labels": null, "taints": null, "count": 0, "zones": null, "without": null},
  {"name": "worker-1", "role": "worker", "instanceType": "t3.medium", "zone": 0, "volumeSize": 40, "generation": "", "spot": false, "labels": {"workload": "api"}, "taints": null, "count": 0, "zones": null, "without": null},
  {"name": "worker-2", "role": "worker", "instanceType": "t3.medium", "zone": 1, "volumeSize": 40, "generation": "", "spot": false, "labels": {"workload": "worker"}, "taints": null, "count": 0, "zones": null, "without": null},
  {"name": "storage", "role": "worker", "instanceType": "t3.large", "zone": 2, "volumeSize": 60, "generation": "", "spot": false, "labels": {"workload": "storage"},
   "taints": [{"key": "workload", "value": "storage", "effect": "NoSchedule"}], "count": 0, "zones": null, "without": null}
 ],
 "dns": {"domain": "", "createZone": false, "ingressHosts": null, "zoneId": ""},
 "identity": {"enabled": false, "issuer": "", "rotate": 0, "rotateHours": 25, "serviceAccounts": null},
 "backup": {"everyHours": 24, "retentionDays": 7, "keepBucket": false, "restoreFrom": ""},
 "repair": {"notReadyMinutes": 15, "maxUnhealthyPercent": 40},
 "maintenance": {"reboots": false, "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "02:00", "end": "05:00", "timeZone": "UTC"},
 "protection": {"protect": false, "volumes": "delete", "images": "delete"},
 "mirrors": {"kubernetesApt": "", "kubernetesAptKey": "", "containerdApt": "", "containerdAptKey": "", "etcd": "", "etcdSha256": "", "registries": null, "charts": null, "s3Endpoint": ""},
 "kubernetes": {"kubelet": null, "kubeProxy": null, "apiServer": null, "controllerManager": null, "scheduler": null,
  "ignorePreflightErrors": null, "containerd": ""},
 "addons": {
  "metricsServer": {"enabled": true, "values": null}, "ebsCsi": {"enabled": true, "values": null},
  "certManager": {"enabled": true, "values": null}, "loadBalancer": {"enabled": true, "values": null},
  "monitoring": {"enabled": true, "values": null}, "logging": {"enabled": false, "values": null},
  "rabbitmq": {"enabled": true, "values": null, "storageGiB": 10, "replicas": 1, "memoryMiB": 1024},
  "redis": {"enabled": true, "values": null, "storageGiB": 5, "maxMemoryMiB": 256},
  "postgresql": {"enabled": false, "values": null, "storageGiB": 10, "generation": "",
   "backup": {"enabled": true, "retentionDays": 14}, "restore": {"from": "", "targetTime": ""}},
  "argocd": {"enabled": true, "values": null, "repoUrl": "", "revision": "HEAD", "registry": "",
    "repoUsername": "git", "knownHosts": null, "githubApp": {"id": 0, "installationId": 0},
    "project": {"repositories": null, "namespaces": null, "kinds": null}},
  "argoRollouts": {"enabled": true, "values": null},
  "acme": {"email": "", "server": "https://acme-staging-v02.api.letsencrypt.org/directory"}
 },
 "notifications": {"receiver": "", "email": {"to": "", "from": "", "server": "", "username": ""}}
}`
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := decoded(t, string(text)), decoded(t, want); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s", text)
	}
}

func decoded(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDefaultsOfEnvironments fixes where production is more careful than development.
func TestDefaultsOfEnvironments(t *testing.T) {
	for env, want := range map[string]struct {
		hours            int
		retention        int
		keepBucket       bool
		protect          bool
		volumes          string
		logging, trusted bool
	}{
		Dev:     {24, 7, false, false, "delete", false, false},
		Staging: {6, 14, true, false, "delete", true, false},
		Prod:    {1, 30, true, true, "keep", true, true},
	} {
		c, err := loadText(t, "any", "environment: "+env)
		if err != nil {
			t.Fatal(err)
		}
		if c.Backup.EveryHours != want.hours || c.Backup.RetentionDays != want.retention ||
			*c.Backup.KeepBucket != want.keepBucket ||
			*c.Protection.Protect != want.protect || c.Protection.Volumes != want.volumes ||
			c.Addons.Logging.On() != want.logging || c.Addons.PostgreSQL.On() != want.logging ||
			(c.Addons.CertificateACME.Server == "https://acme-v02.api.letsencrypt.org/directory") != want.trusted {
			t.Errorf("%s: backup %+v, protection %+v", env, c.Backup, c.Protection)
		}
	}
}

// TestListedNodesGetDefaults covers the optional fields of a node.
func TestListedNodesGetDefaults(t *testing.T) {
	c, err := loadText(t, "dev", nodesWith("{name: x}"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Node{Name: "master", Role: ControlPlane, InstanceType: "t3.large", VolumeSize: 40}); !reflect.DeepEqual(
		c.Nodes[0], want) {
		t.Errorf("control plane = %+v", c.Nodes[0])
	}
	worker := Node{Name: "x", Role: Worker, InstanceType: "t3.medium", VolumeSize: 40, entry: 3}
	if !reflect.DeepEqual(c.Nodes[3], worker) {
		t.Errorf("worker = %+v", c.Nodes[3])
	}
}

func TestDerived(t *testing.T) {
	c, err := loadText(t, "blue",
		"cluster: {name: shop}\nnetwork: {vpcCidr: 10.7.0.0/16, zones: [b, a, d, e]}\nowner: web team")
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][2]any{
		"subnets": {c.SubnetCIDRs(), []string{"10.7.0.0/19", "10.7.32.0/19", "10.7.64.0/19", "10.7.96.0/19"}},
		"zone":    {c.AvailabilityZone(2), "eu-central-1d"},
		"api":     {c.APIName(), "api.shop.internal"},
		"master":  {c.ControlPlane().Name, "master"},
		"tags": {c.Tags(), map[string]string{
			"kubeadm-aws/cluster": "shop", "kubeadm-aws/stack": "blue", "kubeadm-aws/environment": "dev",
			"kubeadm-aws/owner": "web team",
		}},
		"mark": {c.PulumiTags()[TagManagedBy], "pulumi"},
	} {
		if !reflect.DeepEqual(got[0], got[1]) {
			t.Errorf("%s = %v, want %v", what, got[0], got[1])
		}
	}
	small, err := loadText(t, "dev", "network: {vpcCidr: 192.168.252.0/22}")
	if err != nil {
		t.Fatal(err)
	}
	if got := small.SubnetCIDRs(); !reflect.DeepEqual(got,
		[]string{"192.168.252.0/25", "192.168.252.128/25", "192.168.253.0/25"}) {
		t.Errorf("subnets of a /22 = %v", got)
	}
}

// TestFreeFormNumbers checks that Helm and the kubelet get 60 as a whole number, not as 60.0.
func TestFreeFormNumbers(t *testing.T) {
	c, err := loadText(t, "dev", "addons: {redis: {values: {maxPods: 60, nested: {list: [1, 2.5, a, true, ~]}}}}")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"maxPods": 60, "nested": map[string]any{"list": []any{1, 2.5, "a", true, nil}}}
	if !reflect.DeepEqual(c.Addons.Redis.Values, want) {
		t.Errorf("values = %#v", c.Addons.Redis.Values)
	}
}

// TestAGroupIsItsNodes compares an entry with a count with the list that it stands for.
func TestAGroupIsItsNodes(t *testing.T) {
	const master = "nodes: [{name: master, role: control-plane}, "
	for group, list := range map[string]string{
		"{name: worker, count: 2, labels: {workload: api}}": "{name: worker-1, labels: {workload: api}}, " +
			"{name: worker-2, labels: {workload: api}}",
		"{name: w, count: 4, zones: [2, 0], volumeSize: 50}": "{name: w-1, zone: 2, volumeSize: 50}, " +
			"{name: w-2, volumeSize: 50}, {name: w-3, zone: 2, volumeSize: 50}, {name: w-4, volumeSize: 50}",
		"{name: w, count: 1, zone: 1}, {name: spare, count: 0}": "{name: w-1, zone: 1}",
		"{name: w, count: 3, zones: [0, 1], without: [w-2]}":    "{name: w-1}, {name: w-3}, {name: w-4, zone: 1}",
		"{name: w, count: 2, without: [w-3, w-1]}":              "{name: w-2}, {name: w-4}",
		"{name: w, count: 2, without: [w-3]}":                   "{name: w-1}, {name: w-2}",
	} {
		grouped, err := loadText(t, "dev", master+group+"]")
		if err != nil {
			t.Fatal(err)
		}
		listed, err := loadText(t, "dev", master+list+"]")
		if err != nil {
			t.Fatal(err)
		}
		got, want := fmt.Sprint(withoutEntry(grouped.Nodes)), fmt.Sprint(withoutEntry(listed.Nodes))
		if got != want {
			t.Errorf("%s is %s, want %s", group, got, want)
		}
	}
}

func withoutEntry(nodes []Node) []Node {
	nodes = slices.Clone(nodes)
	for i := range nodes {
		nodes[i].entry = 0
	}
	return nodes
}
