package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubeadm-aws/sweep/question"
)

// gate is a group of a cluster with the port 22.
type gate struct {
	*external
	group string
}

func (w *external) gate(cluster string) gate { return gate{w, w.newVPC(cluster).nodes} }

// ask runs sweep --access for the group.
func (g gate) ask(q question.AccessRequest) question.AccessChange {
	g.Helper()
	q.Cluster, q.Ports = "dev", map[string]int32{g.group: 22}
	out := runWith(g.T, string(must(json.Marshal(q))), "--access")
	if out.code != exitClean {
		g.Fatalf("exit code %d: %s", out.code, out.stderr)
	}
	var a question.AccessChange
	if err := json.Unmarshal([]byte(out.stdout), &a); err != nil {
		g.Fatal(err)
	}
	return a
}

func (g gate) open(holder, address string, minutes int) question.AccessChange {
	return g.ask(question.AccessRequest{Holder: holder, Address: address,
		Until: time.Now().Add(time.Duration(minutes) * time.Minute)})
}

// sources are the addresses that may reach port 22, sorted.
func (g gate) sources() []string {
	out := must(g.aws.ec2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{
		Filters: []types.Filter{filter("group-id", g.group)},
	}))
	var found []string
	for _, r := range out.SecurityGroupRules {
		if !deref(r.IsEgress) && opens(r, 22) && deref(r.CidrIpv4) != "" {
			found = append(found, deref(r.CidrIpv4))
		}
	}
	return sorted(found)
}

func (g gate) wants(when string, want ...string) {
	g.Helper()
	if got := g.sources(); !slices.Equal(got, want) {
		g.Errorf("%s: port 22 is open for %v, want %v", when, got, want)
	}
}

func TestAccessIsOpenedAndClosed(t *testing.T) {
	g := newExternal(t).gate("dev")
	if a := g.open("run-1", "192.0.2.1", 90); !slices.Equal(a.Opened, []string{g.group}) || a.Address != "192.0.2.1" {
		t.Errorf("%+v", a)
	}
	g.wants("opened", "192.0.2.1/32")
	g.open("run-1", "192.0.2.1", 90)
	g.wants("opened again", "192.0.2.1/32")
	g.open("run-2", "192.0.2.2", 90)
	g.wants("opened by another", "192.0.2.1/32", "192.0.2.2/32")
	if a := g.ask(question.AccessRequest{Holder: "run-1"}); !slices.Equal(a.Closed, []string{"22 from 192.0.2.1/32"}) {
		t.Errorf("%+v", a)
	}
	g.wants("closed by the first", "192.0.2.2/32")
	if a := g.ask(question.AccessRequest{Holder: "run-1"}); len(a.Closed) > 0 {
		t.Errorf("closed again: %+v", a)
	}
	g.wants("closed again by the first", "192.0.2.2/32")
}

// Two runs behind one address share a rule. It stays until the last of them has closed it.
func TestAccessOfTwoRunsWithOneAddress(t *testing.T) {
	g := newExternal(t).gate("dev")
	g.open("run-1", "192.0.2.1", 90)
	g.open("run-2", "192.0.2.1", 90)
	g.wants("opened twice", "192.0.2.1/32")
	g.ask(question.AccessRequest{Holder: "run-1"})
	g.wants("closed by one", "192.0.2.1/32")
	g.ask(question.AccessRequest{Holder: "run-2"})
	g.wants("closed by both")
}

// A run that was killed closes nothing. The next one does, whichever it is.
func TestAccessOfAKilledRunEnds(t *testing.T) {
	for name, next := range map[string]func(g gate){
		"open":  func(g gate) { g.open("run-2", "192.0.2.2", 90) },
		"close": func(g gate) { g.open("run-2", "192.0.2.2", 90); g.ask(question.AccessRequest{Holder: "run-3"}) },
		"sweep": func(g gate) { g.open("run-2", "192.0.2.2", 90); g.ask(question.AccessRequest{}) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newExternal(t).gate("dev")
			g.open("killed", "192.0.2.1", -1)
			if name == "open" {
				g.wants("the next run has not come yet")
			}
			next(g)
			g.wants("after the next run", "192.0.2.2/32")
		})
	}
}

// Rules that the stack or a person made, and those of other clusters, stay as they are.
func TestAccessTouchesOnlyItsOwnRules(t *testing.T) {
	w := newExternal(t)
	g, other := w.gate("dev"), w.gate("prod")
	must(w.aws.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &g.group, IpPermissions: []types.IpPermission{{
			IpProtocol: ptr("tcp"), FromPort: ptr(int32(22)), ToPort: ptr(int32(22)),
			IpRanges: []types.IpRange{{CidrIp: ptr("198.51.100.0/24")}}}},
	}))
	other.open("killed", "192.0.2.9", -1)
	other.open("run-1", "192.0.2.8", 90)
	if a := g.open("run-1", "198.51.100.7", 90); len(a.Opened) > 0 || !slices.Equal(a.Admitted, []string{g.group}) {
		t.Errorf("an address that is admitted already: %+v", a)
	}
	g.wants("of an address that is admitted already", "198.51.100.0/24")
	g.open("run-1", "192.0.2.1", 90)
	g.ask(question.AccessRequest{Holder: "run-1"})
	g.wants("closed", "198.51.100.0/24")
	other.wants("of the other cluster", "192.0.2.8/32")
}

// A destroy that failed half way leaves the ids of groups in the state that do not exist. The others are opened.
func TestAccessLeavesOutAGroupThatIsGone(t *testing.T) {
	g := newExternal(t).gate("dev")
	for _, group := range []string{"sg-00000000000000001", "sg-fffffffffffffffff"} { // before and after the other
		for _, until := range []time.Time{time.Now().Add(time.Hour), {}} {
			asked := must(json.Marshal(question.AccessRequest{Cluster: "dev", Holder: "run-1", Address: "192.0.2.1",
				Until: until, Ports: map[string]int32{g.group: 22, group: 6443}}))
			out := runWith(t, string(asked), "--access")
			var a question.AccessChange
			if err := json.Unmarshal([]byte(out.stdout), &a); out.code != exitClean || err != nil ||
				slices.Contains(a.Opened, group) {
				t.Fatalf("exit code %d: %s%s, %v", out.code, out.stdout, out.stderr, err)
			}
			if until.IsZero() {
				g.wants("closed")
			} else {
				g.wants("opened", "192.0.2.1/32")
			}
		}
	}
}

// The address of the machine comes from a service; an answer that is not an address opens nothing.
func TestAccessAsksForTheAddress(t *testing.T) {
	g := newExternal(t).gate("dev")
	said := "192.0.2.77\n"
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(said))
	}))
	defer service.Close()
	old := addressService
	addressService = service.URL
	defer func() { addressService = old }()
	if a := g.open("run-1", "", 90); a.Address != "192.0.2.77" {
		t.Errorf("%+v", a)
	}
	g.wants("with the address of the service", "192.0.2.77/32")
	for _, said = range []string{"", "0.0.0.0/0", "2001:db8::1", "<html>"} {
		asked := must(json.Marshal(question.AccessRequest{Holder: "run-2", Ports: map[string]int32{g.group: 22},
			Until: time.Now().Add(time.Hour)}))
		if out := runWith(t, string(asked), "--access"); out.code != exitLeft {
			t.Errorf("%q: exit code %d", said, out.code)
		}
	}
	g.wants("after answers that are no address", "192.0.2.77/32")
}

// A rule that access made is not what an interrupted up was making.
func TestFindDoesNotTakeATemporaryRule(t *testing.T) {
	g := newExternal(t).gate("dev")
	g.open("run-1", "192.0.2.1", 90)
	wanted := []question.Lookup{{URN: "rule", Type: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
		Properties: map[string]any{
			"securityGroupId": g.group, "ipProtocol": "tcp", "fromPort": 22.0, "toPort": 22.0, "cidrIpv4": "192.0.2.1/32",
		}}}
	out := runWith(t, string(must(json.Marshal(wanted))), "--find")
	var found map[string][]string
	if err := json.Unmarshal([]byte(out.stdout), &found); err != nil || len(found["rule"]) > 0 {
		t.Errorf("%s%s, %v", out.stdout, out.stderr, err)
	}
}
