package timeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/state"
)

const (
	urnPrefix = "urn:pulumi:dev::p::"
	aVPC      = urnPrefix + "aws:ec2/vpc:Vpc::vpc"
	aGroup    = urnPrefix + "aws:ec2/securityGroup:SecurityGroup::group"
	aHost     = urnPrefix + instance + "::a"
	aReady    = urnPrefix + remoteCommand + "::a-ready"
	aNode     = urnPrefix + remoteCommand + "::a-node"
	aRelease  = urnPrefix + state.ReleaseType + "::chart"
	aKey      = urnPrefix + "tls:index/privateKey:PrivateKey::key"
	unknown   = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
	nodeInput = `{"create":"sudo env STEP='node' NODE='a' bash true","delete":"true"}`
)

// twice returns the saved plan and the state of the same resources: vpc <- a <- a-ready <- a-node <- chart, and alone a
// group and a key. The step a-node ends with nothing else, a-ready with its machine.
func twice() (saved, exported []byte) {
	needs := []struct{ urn, need, more string }{
		{aVPC, "", ""}, {aGroup, "", ""}, {aKey, "", ""}, {aHost, aVPC, ""},
		{aReady, aHost, `,"deletedWith":"` + aHost + `","inputs":` + nodeInput},
		{aNode, aReady, `,"inputs":` + nodeInput}, {aRelease, aNode, ""},
	}
	var plans, resources []string
	for _, n := range needs {
		about := fmt.Sprintf(`"type":%q,"custom":true`, state.URN(n.urn).Type())
		if n.need != "" {
			about += fmt.Sprintf(`,"dependencies":[%q]`, n.need)
		}
		plans = append(plans, fmt.Sprintf(`%q:{"goal":{%s}}`, n.urn, about))
		resources = append(resources, fmt.Sprintf(`{"urn":%q,%s%s}`, n.urn, about, n.more))
	}
	return []byte(`{"resourcePlans":{` + strings.Join(plans, ",") + `}}`),
		[]byte(`{"deployment":{"resources":[` + strings.Join(resources, ",") + `]}}`)
}

// operation is one of a preview. Changed inputs follow the URN after a space.
func operation(op apitype.OpType, urn string) apitype.StepEventMetadata {
	urn, changed, _ := strings.Cut(urn, " ")
	m := apitype.StepEventMetadata{Op: op, URN: urn, Type: string(state.URN(urn).Type()), Diffs: strings.Fields(changed)}
	if !isDelete(op) {
		m.New = &apitype.StepEventStateMetadata{Inputs: map[string]any{"create": unknown}}
	}
	return m
}

func TestPredictPlanCountsWhatThePlanDoes(t *testing.T) {
	saved, exported := twice()
	vpc, host, group := latencies["aws:ec2/vpc:Vpc"], latencies[instance], latencies["aws:ec2/securityGroup:SecurityGroup"]
	ready, node := stepLatencies["ready"], stepLatencies["node"]
	const (
		create, update, remove = apitype.OpCreate, apitype.OpUpdate, apitype.OpDelete
		replaced, deleted      = apitype.OpCreateReplacement, apitype.OpDeleteReplaced
	)
	type does struct {
		op  apitype.OpType
		urn string
	}
	for _, tt := range []struct {
		what string
		does []does
		want time.Duration
		path string
	}{
		{"nothing", nil, 0, ""},
		{"all is new", []does{{create, aVPC}, {create, aGroup}, {create, aHost}, {create, aReady}, {create, aNode},
			{create, aRelease}}, vpc.create + host.create + ready.create + node.create + unknownChart,
			"vpc; a (Instance); a ready; a node; chart (Release)"},
		{"a step runs again", []does{{update, aNode + " create"}}, node.create, "a node"},
		{"a release is changed", []does{{update, aRelease}}, unknownChart, "chart (Release)"},
		{"two that do not wait for each other", []does{{update, aGroup}, {update, aRelease}}, unknownChart, "chart (Release)"},
		{"another update is one call", []does{{update, aVPC + " tags"}}, call, "vpc"},
		{"one that makes no call", []does{{update, aKey}}, 0, ""},
		{"a machine gets another size", []does{{update, aHost + " instanceType"}, {update, aNode}}, resize + node.create,
			"a (Instance); a node"},
		{"a replacement goes before the old one", []does{{replaced, aGroup}, {create, aRelease}, {deleted, aGroup}},
			unknownChart + group.delete, "chart (Release); delete group (SecurityGroup)"},
		{"the old machine goes first, after its step", []does{{update, aVPC}, {deleted, aNode}, {deleted, aReady},
			{deleted, aHost}, {replaced, aHost}, {replaced, aReady}, {replaced, aNode}},
			call + node.delete + host.delete + host.create + ready.create + node.create,
			"vpc; delete a node; delete a (Instance); a (Instance); a ready; a node"},
		{"deletions go backwards", []does{{remove, aVPC}, {remove, aHost}, {remove, aReady}, {remove, aNode},
			{create, aGroup}},
			group.create + node.delete + host.delete + vpc.delete,
			"group (SecurityGroup); delete a node; delete a (Instance); delete vpc"},
	} {
		p := Plan{Saved: saved, State: exported}
		for _, d := range tt.does {
			p.Steps = append(p.Steps, operation(d.op, d.urn))
		}
		got, err := PredictPlan(p)
		if err != nil {
			t.Fatalf("%s: %v", tt.what, err)
		}
		var path []string
		var at time.Duration
		for _, s := range got.Critical {
			if path = append(path, s.Name); s.Start != at {
				t.Errorf("%s: %s starts at %v, want %v", tt.what, s.Name, s.Start, at)
			}
			at = s.End
		}
		if got.Total != tt.want || at != tt.want || strings.Join(path, "; ") != tt.path {
			t.Errorf("%s: takes %v, want %v; path %v, want %s", tt.what, got.Total, tt.want, path, tt.path)
		}
	}
}

func TestPredictPlanReportsWhatItCannotRead(t *testing.T) {
	saved, exported := twice()
	deletion := []apitype.StepEventMetadata{operation(apitype.OpDelete, aVPC)}
	for _, p := range []Plan{
		{Saved: []byte("no JSON"), State: exported, Steps: deletion},
		{Saved: saved, State: []byte("no JSON"), Steps: deletion},
	} {
		if _, err := PredictPlan(p); err == nil {
			t.Errorf("accepted: %.20s, %.20s", p.Saved, p.State)
		}
	}
}

func TestAnUpgradeOfAControlPlaneTakesLonger(t *testing.T) {
	const older, newer = "KUBERNETES_VERSION='1.35.4' ", "KUBERNETES_VERSION='1.36.3' "
	for _, tt := range []struct {
		step, before, after string
		want                time.Duration
	}{
		{"init", older, newer, upgradeFirst}, {"init", newer, newer, stepLatencies["init"].create},
		{"join", older + "MEMBER='m' ", newer + "MEMBER='m' ", upgradeOther},
		{"join", older, newer, stepLatencies["join"].create}, {"init", "", "", stepLatencies["init"].create},
	} {
		m := operation(apitype.OpUpdate, aNode)
		line := "sudo env STEP='" + tt.step + "' NODE='a' "
		m.Old = &apitype.StepEventStateMetadata{Inputs: map[string]any{"create": line + tt.before + "bash true"}}
		m.New.Inputs["create"] = line + tt.after + "bash true"
		saved, _ := twice()
		got, err := PredictPlan(Plan{Saved: saved, Steps: []apitype.StepEventMetadata{m}})
		if err != nil || got.Total != tt.want {
			t.Errorf("%s from %q to %q takes %v, want %v (%v)", tt.step, tt.before, tt.after, got.Total, tt.want, err)
		}
	}
}

// A step on a new machine has no text in a preview. Its name says the step; its node has a machine of that name.
func TestAnUnknownStepIsKnownByItsName(t *testing.T) {
	nodes := map[string]bool{"worker-1": true, "drain": true}
	for name, want := range map[string]string{
		"worker-1-join": "join on worker-1", "nodes-ready": "nodes-ready on ", "worker-1-ready": "ready on worker-1",
		"rabbitmq-backup": "rabbitmq-backup on ", "etcd-backup": "backup on ", "drain-node": "node on drain",
		"join": "join on ", "unjoin": " on ",
	} {
		inputs := withStep(state.URN(urnPrefix+remoteCommand+"::"+name), map[string]any{"create": unknown}, nodes)
		line, err := stepline.Parse(text(inputs, "create"))
		if got := line.Name + " on " + line.Node; err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, want)
		}
	}
}

func TestDurationNamesTheNodesOfThePath(t *testing.T) {
	at := func(node string, start, end int) Span {
		return Span{Node: node, Start: time.Duration(start) * time.Second, End: time.Duration(end) * time.Second}
	}
	for _, tt := range []struct {
		want string
		path []Span
	}{
		{"a few seconds on AWS (predicted)", []Span{at("a", 0, 3)}},
		{"about 50 s on AWS (predicted)", []Span{at("", 0, 40), at("a", 40, 52)}},
		{"about 5 min on AWS (predicted), of that 3 min for b, a one after the other",
			[]Span{at("b", 0, 60), at("b", 60, 120), at("a", 120, 175), at("", 175, 290)}},
		{"about 5 min on AWS (predicted)", []Span{at("b", 0, 60), at("a", 60, 120), at("", 120, 300)}},
	} {
		s := Schedule{Total: tt.path[len(tt.path)-1].End, Critical: tt.path}
		if got := s.Duration(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
