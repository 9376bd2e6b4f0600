package infra

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rule is a line of the table: "group <- source protocol ports".
func rule(r registered, arrow, remote string) string {
	group := strings.TrimSuffix(r.at("securityGroupId").StringValue(), "-id")
	ports := "all"
	if from := r.at("fromPort"); from.HasValue() {
		ports = fmt.Sprintf("%v-%v", from.NumberValue(), r.at("toPort").NumberValue())
	}
	return strings.Join([]string{group, arrow, remote, r.at("ipProtocol").StringValue(), ports}, " ")
}

func (w *external) rules() []string {
	var table []string
	for kind, arrow := range map[string]string{"SecurityGroupIngressRule": "<-", "SecurityGroupEgressRule": "->"} {
		for _, r := range w.all(kind) {
			remote := r.at("cidrIpv4")
			if !remote.HasValue() {
				remote = r.at("referencedSecurityGroupId")
			}
			table = append(table, rule(r, arrow, strings.TrimSuffix(remote.StringValue(), "-id")))
		}
	}
	slices.Sort(table)
	return table
}

var devRules = []string{
	"dev-backend -> dev-nodes tcp 30000-32767",
	"dev-control-plane <- 198.51.100.7/32 tcp 6443-6443",
	"dev-control-plane <- 203.0.113.0/24 tcp 6443-6443",
	"dev-control-plane <- dev-nodes tcp 10257-10257",
	"dev-control-plane <- dev-nodes tcp 10259-10259",
	"dev-control-plane <- dev-nodes tcp 2381-2381",
	"dev-control-plane <- dev-nodes tcp 6443-6443",
	"dev-load-balancer -> dev-nodes tcp 30000-32767",
	"dev-load-balancer <- 0.0.0.0/0 tcp 443-443",
	"dev-load-balancer <- 0.0.0.0/0 tcp 80-80",
	"dev-nodes -> 0.0.0.0/0 -1 all",
	"dev-nodes <- 198.51.100.7/32 tcp 22-22",
	"dev-nodes <- 203.0.113.0/24 tcp 22-22",
	"dev-nodes <- dev-backend tcp 30000-32767",
	"dev-nodes <- dev-load-balancer tcp 30000-32767",
	"dev-nodes <- dev-nodes icmp 3-4",
	"dev-nodes <- dev-nodes tcp 10249-10249",
	"dev-nodes <- dev-nodes tcp 10250-10250",
	"dev-nodes <- dev-nodes tcp 5473-5473",
	"dev-nodes <- dev-nodes tcp 9100-9100",
	"dev-nodes <- dev-nodes udp 4789-4789",
}

func TestTheWholeFirewall(t *testing.T) {
	got := deploy(t, "dev", nil).rules()
	if !slices.Equal(got, devRules) {
		t.Errorf("rules\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(devRules, "\n"))
	}
}

func TestLokiIsReachedOnlyWithLogging(t *testing.T) {
	const loki = "dev-control-plane <- dev-nodes tcp 3100-3100"
	for _, on := range []bool{true, false} {
		w := deploy(t, "dev", settings{"addons": fmt.Sprintf(`{"logging":{"enabled":%v}}`, on)})
		if got := slices.Contains(w.rules(), loki); got != on {
			t.Errorf("logging %v: %q in the table: %v", on, loki, got)
		}
	}
}

// Each of several API servers calls the webhook of the Load Balancer Controller. With workload identity its pod is on
// the pods' network, where every node reaches it.
func TestSeveralControlPlanesReachEachOther(t *testing.T) {
	const etcd, webhook = "dev-control-plane <- dev-control-plane tcp 2379-2380",
		"dev-control-plane <- dev-control-plane tcp 9443-9443"
	const master = `{"name":%q,"role":"control-plane"},`
	three := "[" + fmt.Sprintf(master, "m1") + fmt.Sprintf(master, "m2") + fmt.Sprintf(master, "m3") +
		`{"name":"worker-1"}]`
	for name, c := range map[string]struct {
		over settings
		want []string
	}{
		"three":         {settings{"nodes": three}, []string{etcd, webhook}},
		"identity":      {settings{"nodes": three, "identity": `{"enabled":true}`}, []string{etcd}},
		"no controller": {settings{"nodes": three, "addons": `{"loadBalancer":{"enabled":false}}`}, []string{etcd}},
	} {
		t.Run(name, func(t *testing.T) {
			got := slices.DeleteFunc(deploy(t, "dev", c.over).rules(),
				func(rule string) bool { return !strings.HasPrefix(rule, "dev-control-plane <- dev-control-plane ") })
			if !slices.Equal(got, c.want) {
				t.Errorf("rules %q, want %q", got, c.want)
			}
		})
	}
}

// A CNI that the user installs may use any port and protocol between nodes. Access from elsewhere does not change.
func TestAnotherNetworkReachesAllNodes(t *testing.T) {
	got := deploy(t, "dev", settings{"cluster": `{"cni":"none"}`}).rules()
	want := []string{"dev-nodes <- dev-nodes -1 all"}
	for _, rule := range devRules {
		if !strings.HasPrefix(rule, "dev-nodes <- dev-nodes") {
			want = append(want, rule)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("rules\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestGroupsHaveNoRulesOfTheirOwn(t *testing.T) {
	for name, g := range deploy(t, "dev", nil).all("SecurityGroup") {
		if g.at("ingress").HasValue() || g.at("egress").HasValue() {
			t.Errorf("%s has inline rules, which take away those of the Load Balancer Controller", name)
		}
		if !g.at("revokeRulesOnDelete").BoolValue() {
			t.Errorf("%s keeps the groups alive that its rules name", name)
		}
	}
}
