package timeline

import (
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/state"
)

// A VPC of 12 s, a group of 3 s and an instance of 15 s that depends on the VPC; a command that ends with the
// instance.
const smallState = `{"deployment":{"resources":[
{"urn":"urn:pulumi:dev::p::pulumi:pulumi:Stack::s","type":"pulumi:pulumi:Stack"},
{"urn":"urn:pulumi:dev::p::kubeadm-aws:infra:Network::net","type":"kubeadm-aws:infra:Network","parent":"urn:pulumi:dev::p::pulumi:pulumi:Stack::s"},
{"urn":"urn:pulumi:dev::p::aws:ec2/vpc:Vpc::vpc","type":"aws:ec2/vpc:Vpc","custom":true,"parent":"urn:pulumi:dev::p::kubeadm-aws:infra:Network::net"},
{"urn":"urn:pulumi:dev::p::aws:ec2/securityGroup:SecurityGroup::alone","type":"aws:ec2/securityGroup:SecurityGroup","custom":true},
{"urn":"urn:pulumi:dev::p::aws:ec2/instance:Instance::host","type":"aws:ec2/instance:Instance","custom":true,"dependencies":["urn:pulumi:dev::p::kubeadm-aws:infra:Network::net"]},
{"urn":"urn:pulumi:dev::p::command:remote:Command::host-node","type":"command:remote:Command","custom":true,
 "deletedWith":"urn:pulumi:dev::p::aws:ec2/instance:Instance::host","dependencies":["urn:pulumi:dev::p::aws:ec2/instance:Instance::host"],
 "inputs":{"create":"sudo env STEP='node' NODE='host' bash -c 'true'","delete":"true"}},
{"urn":"urn:pulumi:dev::p::command:remote:Command::all","type":"command:remote:Command","custom":true,
 "deletedWith":"urn:pulumi:dev::p::aws:ec2/instance:Instance::host","propertyDependencies":{"connection":["urn:pulumi:dev::p::aws:ec2/instance:Instance::host"]},
 "inputs":{"create":"sudo env STEP='nodes-ready' NODE='host' bash -c 'true'","delete":"true"}}
]}}`

func TestPredictFollowsDependencies(t *testing.T) {
	got, err := Predict([]byte(smallState), nil)
	if err != nil {
		t.Fatal(err)
	}
	vpc, host, step := latencies["aws:ec2/vpc:Vpc"], latencies["aws:ec2/instance:Instance"], stepLatencies["nodes-ready"]
	if want := vpc.create + host.create + step.create; got.Up.Total != want || got.Ready != want {
		t.Errorf("up takes %v, Ready after %v, want %v", got.Up.Total, got.Ready, want)
	}
	if want := host.delete + vpc.delete; got.Destroy.Total != want {
		t.Errorf("destroy takes %v, want %v: the command is gone with its host", got.Destroy.Total, want)
	}
	var path []string
	at := time.Duration(0)
	for _, s := range got.Up.Critical {
		path = append(path, s.Name)
		if s.Start != at {
			t.Errorf("%s starts at %v, want %v: nothing is waited for on the critical path", s.Name, s.Start, at)
		}
		at = s.End
	}
	if want := "vpc; host (Instance); host all"; strings.Join(path, "; ") != want {
		t.Errorf("critical path %v, want %s", path, want)
	}
	if _, err := Predict([]byte("no JSON"), nil); err == nil {
		t.Error("a deployment that is not JSON was accepted")
	}
}

// A release gate deletes its objects, which takes their time. Objects of a machine just end with it.
func TestPredictLetsAGateDelete(t *testing.T) {
	const gated = `{"deployment":{"resources":[
{"urn":"urn:pulumi:dev::p::command:remote:Command::gate","type":"command:remote:Command","custom":true,
 "inputs":{"create":"sudo env STEP='release-gate' NODE='' bash -c 'true'","delete":"true"}},
{"urn":"urn:pulumi:dev::p::kubernetes:rabbitmq.com/v1beta1:RabbitmqCluster::rabbitmq","type":"kubernetes:rabbitmq.com/v1beta1:RabbitmqCluster","custom":true,
 "deletedWith":"urn:pulumi:dev::p::command:remote:Command::gate","dependencies":["urn:pulumi:dev::p::command:remote:Command::gate"]}
]}}`
	got, err := Predict([]byte(gated), nil)
	if err != nil {
		t.Fatal(err)
	}
	gate, cluster := stepLatencies["release-gate"], latencyOf("kubernetes:rabbitmq.com/v1beta1:RabbitmqCluster", nil)
	if cluster.delete <= gate.delete {
		t.Fatalf("a cluster is deleted in %v, an empty gate in %v", cluster.delete, gate.delete)
	}
	if len(got.Destroy.Spans) != 1 || got.Destroy.Total != cluster.delete {
		t.Errorf("destroy takes %v in %d steps, want %v in one", got.Destroy.Total, len(got.Destroy.Spans), cluster.delete)
	}
}

func TestMeasuredGoesBackAlongTheNeeds(t *testing.T) {
	urn := func(typ, name string) state.URN { return state.URN("urn:pulumi:dev::p::" + typ + "::" + name) }
	second := func(start, end int) Span {
		return Span{Start: time.Duration(start) * time.Second, End: time.Duration(end) * time.Second}
	}
	spans := map[state.URN]Span{
		urn("aws:ec2/vpc:Vpc", "vpc"): second(0, 4), urn("aws:ec2/securityGroup:SecurityGroup", "alone"): second(1, 6),
		urn("aws:ec2/instance:Instance", "host"): second(6, 9),
		urn(remoteCommand, "all"):                second(9, 12), urn(remoteCommand, "not in the state"): second(0, 99),
	}
	for down, want := range map[bool]string{
		false: "vpc; host (Instance); host all",
		true:  "alone (SecurityGroup); host (Instance); host all", // a round waits for the whole previous round
	} {
		got, err := Measure([]byte(smallState), spans, down)
		if err != nil {
			t.Fatal(err)
		}
		var path []string
		for _, s := range got.Critical {
			path = append(path, s.Name)
		}
		if strings.Join(path, "; ") != want {
			t.Errorf("down is %v: critical path %v, want %s", down, path, want)
		}
		if got.Total != 12*time.Second || len(got.Spans) != 4 || len(got.Phases) == 0 || got.Phases[0].Name != "infra" {
			t.Errorf("total %v, %d spans, phases %v", got.Total, len(got.Spans), got.Phases)
		}
	}
	if len(spans) != 5 {
		t.Error("the caller's spans were changed")
	}
}

// Nodes from a prepared image install nothing. The network is faster only if every node is from one.
func TestPredictKnowsPreparedImages(t *testing.T) {
	machine := func(name, ami string) string {
		return `{"urn":"urn:pulumi:dev::p::aws:ec2/instance:Instance::` + name +
			`","type":"aws:ec2/instance:Instance","custom":true,"inputs":{"ami":"` + ami + `"}}`
	}
	step := func(name, node, after string) string {
		return `{"urn":"urn:pulumi:dev::p::command:remote:Command::` + node + "-" + name +
			`","type":"command:remote:Command","custom":true,"dependencies":[` + after + `],` +
			`"inputs":{"create":"sudo env STEP='` + name + `' NODE='` + node + `' bash -c 'true'"}}`
	}
	after := func(urn string) string { return `"urn:pulumi:dev::p::` + urn + `"` }
	exported := func(second string) []byte {
		return []byte(`{"deployment":{"resources":[` + strings.Join([]string{
			machine("a", "ami-1"), machine("b", second),
			step("prepare", "a", after("aws:ec2/instance:Instance::a")), step("prepare", "b", after("aws:ec2/instance:Instance::b")),
			step("nodes-ready", "a", after("command:remote:Command::a-prepare")+","+after("command:remote:Command::b-prepare")),
		}, ",") + `]}}`)
	}
	boot, usual := latencies[instance].create, stepLatencies
	for _, tt := range []struct {
		name, second string
		images       map[string]bool
		want         time.Duration
	}{
		{"the vendor's image", "ami-1", nil, boot + usual["prepare"].create + usual["nodes-ready"].create},
		{"a prepared image", "ami-1", map[string]bool{"ami-1": true}, boot + prepared["prepare"] + prepared["nodes-ready"]},
		{"one of two nodes from it", "ami-2", map[string]bool{"ami-1": true},
			boot + usual["prepare"].create + usual["nodes-ready"].create},
	} {
		got, err := Predict(exported(tt.second), tt.images)
		if err != nil || got.Ready != tt.want {
			t.Errorf("%s: Ready after %v (%v), want %v", tt.name, got.Ready, err, tt.want)
		}
	}
}
