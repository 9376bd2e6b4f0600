package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/state"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

const prefix = "urn:pulumi:dev::kubeadm-aws::"

// recorder keeps events.
type recorder struct{ events []Event }

func (r *recorder) Report(e Event) { r.events = append(r.events, e) }

// clock is a log whose time the test moves.
type clock struct{ at time.Time }

func newTestLog(to Reporter) (*Log, *clock) {
	c := &clock{time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
	return &Log{To: to, Now: func() time.Time { return c.at }}, c
}

func metadata(op apitype.OpType, urn string, inputs map[string]any) apitype.StepEventMetadata {
	types, _ := state.SplitURN(state.URN(urn))
	st := &apitype.StepEventStateMetadata{URN: urn, Inputs: inputs,
		Custom: !strings.HasPrefix(types[len(types)-1], "kubeadm-aws:")}
	m := apitype.StepEventMetadata{Op: op, URN: urn, Type: types[len(types)-1], New: st}
	if op == apitype.OpDelete {
		m.New, m.Old = nil, st
	}
	return m
}

func engineEvent(e apitype.EngineEvent) events.EngineEvent { return events.EngineEvent{EngineEvent: e} }

func began(op apitype.OpType, urn string) events.EngineEvent {
	return engineEvent(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: metadata(op, urn, nil)}})
}

func ended(op apitype.OpType, urn string, inputs map[string]any) events.EngineEvent {
	return engineEvent(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: metadata(op, urn, inputs)}})
}

func said(severity, urn, message string) events.EngineEvent {
	return engineEvent(apitype.EngineEvent{
		DiagnosticEvent: &apitype.DiagnosticEvent{Severity: severity, URN: urn, Message: message}})
}

const (
	vpc      = prefix + "kubeadm-aws:infra:Infra$kubeadm-aws:infra:Network$aws:ec2/vpc:Vpc::dev"
	network  = prefix + "kubeadm-aws:infra:Infra$kubeadm-aws:infra:Network::network"
	instance = prefix + "kubeadm-aws:infra:Infra$aws:ec2/instance:Instance::worker-1"
	join     = prefix + "kubeadm-aws:cluster:Cluster$command:remote:Command::worker-1-join"
	release  = prefix + "kubeadm-aws:addons:Platform$kubernetes:helm.sh/v3:Release::cert-manager"
)

func TestWatcherTellsPhasesAndHosts(t *testing.T) {
	var r recorder
	l, clock := newTestLog(&r)
	w := NewWatcher(l, map[string]int{state.PhaseInfra: 2, state.PhaseCluster: 1}, false)
	step := func(e events.EngineEvent) { clock.at = clock.at.Add(time.Second); w.Take(e) }
	step(began(apitype.OpCreate, network))
	step(began(apitype.OpCreate, vpc))
	step(ended(apitype.OpCreate, vpc, nil))
	step(began(apitype.OpCreate, instance))
	step(ended(apitype.OpCreate, instance, nil))
	step(began(apitype.OpCreate, join))
	step(ended(apitype.OpCreate, join, map[string]any{"create": "sudo env STEP='join' NODE='worker-1' bash -c 'x'"}))
	step(began(apitype.OpSame, release))
	step(ended(apitype.OpSame, release, nil))
	var got []string
	for _, e := range r.events {
		got = append(got, strings.TrimSpace(strings.Join([]string{e.Kind, e.Phase, e.Host, e.Step, e.Resource, e.Status},
			" ")))
	}
	want := []string{
		"phase infra    started",
		"resource infra   dev (Vpc) done",
		"host infra worker-1 instance  done",
		"phase infra    done",
		"phase cluster    started",
		"host cluster worker-1 join  done",
		"phase cluster    done",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if w.Changes["create"] != 3 {
		t.Errorf("changes are %v, want 3 creations: components and what stays do not count", w.Changes)
	}
	if s := w.Spans[join]; s.End.Sub(s.Start) != time.Second {
		t.Errorf("the join took %s, want 1s", s.End.Sub(s.Start))
	}
}

func TestPreviewBecomesAPlan(t *testing.T) {
	var r recorder
	l, _ := newTestLog(&r)
	w := NewWatcher(l, nil, true)
	replaced := ended(apitype.OpReplace, instance, nil)
	created := ended(apitype.OpCreateReplacement, instance, nil)
	created.ResOutputsEvent.Metadata.Diffs = []string{"userData", "ami"}
	for _, e := range []events.EngineEvent{began(apitype.OpCreate, vpc), ended(apitype.OpCreate, vpc, nil), replaced,
		created, ended(apitype.OpSame, release, nil)} {
		w.Take(e)
	}
	plan := w.PlanEvent()
	if len(r.events) != 0 {
		t.Errorf("a preview told %v", r.events)
	}
	if plan.Changes["create"] != 1 || plan.Changes["replace"] != 1 || len(plan.Plan) != 2 ||
		strings.Join(plan.Plan[1].Keys, " ") != "ami userData" {
		t.Errorf("plan is %+v", plan)
	}
	if len(w.Steps) != 2 || w.Steps[1].URN != instance {
		t.Errorf("steps are %+v", w.Steps)
	}
	if len(plan.Phases) != 1 || plan.Phases[0].Phase != state.PhaseInfra {
		t.Errorf("phases are %+v", plan.Phases)
	}
}

func TestWarningsAreToldOnceAndErrorsCounted(t *testing.T) {
	var r recorder
	l, _ := newTestLog(&r)
	for range 2 { // a plan and its execution
		w := NewWatcher(l, nil, false)
		w.Take(said("warning", "", "<{%fg 3%}>take care<{%reset%}>"))
		w.Take(said("error", join, "it broke"))
		w.Take(said("error", "", "update failed"))
		w.Take(said("debug", "", "noise"))
		if len(w.Said) != 1 {
			t.Errorf("%d errors counted, want 1", len(w.Said))
		}
	}
	var got []string
	for _, e := range r.events {
		got = append(got, e.Severity+" "+e.Resource+" "+e.Message)
	}
	want := "warning  take care|error worker-1-join (Command) it broke|error worker-1-join (Command) it broke"
	if strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
}

func TestWatcherSaysWhatTakesLong(t *testing.T) {
	var r recorder
	l, clock := newTestLog(&r)
	w := NewWatcher(l, map[string]int{state.PhaseCluster: 3}, false)
	w.Take(began(apitype.OpCreate, join))
	w.Take(began(apitype.OpCreate, network))
	clock.at = clock.at.Add(quiet - time.Second)
	w.remind()
	if len(r.events) != 1 {
		t.Fatalf("told too early: %+v", r.events[1:])
	}
	clock.at = clock.at.Add(time.Second)
	w.remind()
	w.remind()
	if len(r.events) != 2 {
		t.Fatalf("%d events, want one reminder", len(r.events)-1)
	}
	e := r.events[1]
	if e.Kind != KindWaiting || len(e.InFlight) != 1 || e.InFlight[0].Resource != "worker-1-join (Command)" ||
		e.InFlight[0].Seconds != quiet.Seconds() {
		t.Errorf("reminder is %+v", e)
	}
}

// The engine does not open the stream when the operation fails early, so it does not close it either.
func TestFollowEndsWithTheOperation(t *testing.T) {
	l, _ := newTestLog(&recorder{})
	failed := errors.New("the stack is locked")
	if err := NewWatcher(l, nil, false).Follow(func(chan<- events.EngineEvent) error { return failed }); !errors.Is(err,
		failed) {
		t.Errorf("got %v", err)
	}
	err := NewWatcher(l, nil, false).Follow(func(stream chan<- events.EngineEvent) error { close(stream); return failed })
	if !errors.Is(err, failed) {
		t.Errorf("with a closed stream: got %v", err)
	}
}

func TestTextIsReadable(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	text := &Text{Out: &out, Begun: at}
	code := ExitFailed
	for _, e := range []Event{
		{Kind: KindStart, Command: "up", Stack: "dev", Cloud: CloudSandbox, State: ".sandbox/dev/state"},
		{Kind: KindPlan, Changes: map[string]int{"create": 1, "update": 1},
			Phases: []PhaseChanges{{state.PhaseInfra, map[string]int{"create": 1}},
				{state.PhaseCluster, map[string]int{"update": 1}}},
			Plan: []PlannedChange{{Op: "create", Resource: "dev (Vpc)"},
				{Op: "update", Resource: "worker-1-node (Command)", Keys: []string{"create"}}},
			Message: "about 50 s on AWS (predicted)"},
		{Kind: KindPhase, Phase: state.PhaseInfra, Status: "started", Total: 1},
		{Kind: KindHost, Host: "worker-1", Step: "join", Status: "done", Op: "create", Seconds: 9.4,
			Time: at.Add(75 * time.Second)},
		{Kind: KindHost, Host: "worker-1", Step: "prepare", Status: "done", Op: "delete", Time: at.Add(75 * time.Second)},
		{Kind: KindPhase, Phase: state.PhaseInfra, Status: "done", Total: 1, Seconds: 61},
		{Kind: KindWaiting, Seconds: 130, InFlight: []InFlight{{"create", "master-init (Command)", 42}}},
		{Kind: KindLog, Severity: "error", Resource: "worker-1-join (Command)", Message: "no route\nto host"},
		{Kind: KindResource, Op: "create", Resource: "dev (Vpc)", Status: "failed", Time: at.Add(time.Second)},
		{Kind: KindOutputs, Outputs: map[string]Output{"apiUrl": {Value: "https://x"}, "kubeconfig": {Secret: true},
			"ssh": {Value: map[string]any{"master": "ssh x"}}}},
		{Kind: KindReceipt, Changes: map[string]int{"delete": 3}, Swept: []string{"balancer lb-1"},
			Left: []string{"volume vol-1"}, State: "receipt-dev.json"},
		{Kind: KindResult, Command: "up", Stack: "dev", Status: "failed", Message: "up failed", Next: "Run it again.",
			Code: &code, Seconds: 80},
	} {
		text.Report(e)
	}
	want := `up        dev in the sandbox: a simulation against a model of AWS, on this machine only
state     .sandbox/dev/state
plan      create 1, update 1 (infra create 1; cluster update 1)
          create   dev (Vpc)
          update   worker-1-node (Command): create
time      about 50 s on AWS (predicted)
infra     started, 1 resources
    1m15s  worker-1       has joined (9.4s)
infra     done, 1 resources (1m01s)
    2m10s  still at it: master-init (Command) (42s)
error     worker-1-join (Command): no route
          to host
     1.0s  FAILED create dev (Vpc)

outputs
  apiUrl           https://x
  kubeconfig       [secret]
  ssh              
    master         ssh x

receipt
  removed   3 resources
  swept     balancer lb-1
  LEFT      volume vol-1
  left      1
  file      receipt-dev.json

up dev: up failed
Run it again.
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// A job goes back to an earlier commit only if something may have changed.
func TestAWatcherKnowsWhetherSomethingChanged(t *testing.T) {
	failed := func(op apitype.OpType, urn string) events.EngineEvent {
		return engineEvent(apitype.EngineEvent{ResOpFailedEvent: &apitype.ResOpFailedEvent{Metadata: metadata(op, urn, nil)}})
	}
	const denied, halfway = "creating EC2 VPC: UnauthorizedOperation: no", "exit status 1: the step failed"
	for _, tt := range []struct {
		what    string
		changed bool
		events  []events.EngineEvent
	}{
		{"nothing to do", false, []events.EngineEvent{began(apitype.OpSame, vpc), ended(apitype.OpSame, vpc, nil)}},
		{"the program fails", false, []events.EngineEvent{said("error", "", halfway)}},
		{"a component", false, []events.EngineEvent{began(apitype.OpCreate, network), ended(apitype.OpCreate, network, nil)}},
		{"one is refused", false, []events.EngineEvent{
			began(apitype.OpCreate, vpc), said("error", vpc, denied), failed(apitype.OpCreate, vpc),
			said("error", "", "the program failed"),
		}},
		{"one is made, one is refused", true, []events.EngineEvent{
			began(apitype.OpCreate, instance), ended(apitype.OpCreate, instance, nil),
			began(apitype.OpCreate, vpc), said("error", vpc, denied), failed(apitype.OpCreate, vpc),
		}},
		{"a step fails", true, []events.EngineEvent{
			began(apitype.OpUpdate, join), said("error", join, halfway), failed(apitype.OpUpdate, join),
		}},
		{"a step fails, one is refused", true, []events.EngineEvent{
			began(apitype.OpUpdate, join), began(apitype.OpCreate, vpc), said("error", vpc, denied),
			failed(apitype.OpCreate, vpc), said("error", join, halfway), failed(apitype.OpUpdate, join),
		}},
	} {
		l, _ := newTestLog(&recorder{})
		w := NewWatcher(l, nil, false)
		for _, e := range tt.events {
			w.Take(e)
		}
		if w.Changed() != tt.changed {
			t.Errorf("%s: changed %t, want %t", tt.what, w.Changed(), tt.changed)
		}
	}
}
