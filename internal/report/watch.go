package report

import (
	"sort"
	"strings"
	"sync"
	"time"

	"kubeadm-aws/internal/state"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// quiet is the time without a finished operation after which the watcher reports what is in flight.
const quiet = 30 * time.Second

// Span is when an operation on a resource began and ended, by the clock of the driver.
type Span struct{ Start, End time.Time }

// Watcher turns the engine's events of one operation into events for people and machines, and counts what the
// operation does. Its fields are complete when Follow has returned.
type Watcher struct {
	log     *Log
	planned map[string]int // resources to change, by phase; nil when unknown
	Preview bool

	mu       sync.Mutex
	Begun    time.Time
	last     time.Time
	running  map[string]running
	Spans    map[string]Span
	started  map[string]time.Time // phases
	Done     map[string]int       // by phase
	Changes  map[string]int
	perPhase map[string]map[string]int
	Plan     []PlannedChange
	// Steps are the counted operations of a preview, in the engine's order.
	Steps []apitype.StepEventMetadata
	// Installs are the Helm releases that the plan creates.
	Installs []state.Release
	// Unready are the Helm releases that did not become ready.
	Unready []state.URN
	// NotKnown counts the resources whose inputs are unknown in a preview. The engine warns of each.
	NotKnown int
	// Said are the errors that were reported.
	Said []string
	// failed has the resources with an operation that failed, refused those with an error whose cause is a refusal.
	failed, refused map[string]bool
	// Made is called with each resource that is done; may be nil.
	Made func(apitype.StepEventMetadata)
}

type running struct {
	op    string
	since time.Time
}

// NewWatcher returns a watcher of an operation. planned is the number of resources to change by phase; nil when
// unknown.
func NewWatcher(l *Log, planned map[string]int, preview bool) *Watcher {
	now := l.Now()
	return &Watcher{
		log: l, planned: planned, Preview: preview, Begun: now, last: now,
		running: map[string]running{}, Spans: map[string]Span{}, started: map[string]time.Time{}, Done: map[string]int{},
		Changes: map[string]int{}, perPhase: map[string]map[string]int{}, failed: map[string]bool{},
		refused: map[string]bool{},
	}
}

// Follow runs an operation of a stack and consumes its events until both have ended. The engine closes the stream
// only if it has opened it, so Follow also returns when the operation ends.
func (w *Watcher) Follow(operation func(stream chan<- events.EngineEvent) error) error {
	stream := make(chan events.EngineEvent, 256)
	ended := make(chan error, 1)
	go func() { ended <- operation(stream) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case e, open := <-stream:
			if !open {
				return <-ended
			}
			w.Take(e)
		case err := <-ended:
			for {
				select {
				case e, open := <-stream:
					if !open {
						return err
					}
					w.Take(e)
				default:
					return err
				}
			}
		case <-tick.C:
			w.remind()
		}
	}
}

func (w *Watcher) Take(e events.EngineEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case e.ResourcePreEvent != nil:
		w.begin(e.ResourcePreEvent.Metadata)
	case e.ResOutputsEvent != nil:
		if w.Made != nil {
			w.Made(e.ResOutputsEvent.Metadata)
		}
		w.end(e.ResOutputsEvent.Metadata, "done")
	case e.ResOpFailedEvent != nil:
		w.end(e.ResOpFailedEvent.Metadata, "failed")
	case e.DiagnosticEvent != nil:
		w.diagnose(*e.DiagnosticEvent)
	}
}

func (w *Watcher) begin(m apitype.StepEventMetadata) {
	if !changes(m.Op) {
		return
	}
	if w.Preview {
		return
	}
	now := w.log.Now()
	w.running[m.URN+string(m.Op)] = running{op: string(m.Op), since: now}
	phase := state.PhaseOf(state.URN(m.URN))
	if _, ok := w.started[phase]; !ok && isCounted(m) {
		w.started[phase] = now
		w.log.Emit(Event{Kind: KindPhase, Phase: phase, Status: "started", Total: w.planned[phase]})
	}
}

func (w *Watcher) end(m apitype.StepEventMetadata, status string) {
	if !changes(m.Op) {
		return
	}
	now := w.log.Now()
	w.last = now
	run, known := w.running[m.URN+string(m.Op)]
	delete(w.running, m.URN+string(m.Op))
	seconds := 0.0
	if known {
		seconds = now.Sub(run.since).Seconds()
		w.Spans[m.URN] = Span{run.since, now}
	}
	phase := state.PhaseOf(state.URN(m.URN))
	if isCounted(m) && status == "failed" {
		w.failed[m.URN] = true
	}
	if isCounted(m) && status == "done" && m.Op != apitype.OpReplace {
		w.count(phase, m)
	}
	if w.Preview {
		return
	}
	inputs := map[string]any{}
	if m.New != nil {
		inputs = m.New.Inputs
	} else if m.Old != nil {
		inputs = m.Old.Inputs
	}
	if host, step, ok := state.HostStep(state.URN(m.URN), inputs); ok {
		w.log.Emit(Event{Kind: KindHost, Phase: phase, Host: host, Step: step, Op: string(m.Op), Status: status,
			Seconds: seconds, URN: m.URN})
	} else if isCounted(m) {
		w.log.Emit(Event{Kind: KindResource, Phase: phase, Op: string(m.Op), Resource: state.Readable(state.URN(m.URN)),
			Status: status, Seconds: seconds, URN: m.URN})
	}
	if total := w.planned[phase]; total > 0 && w.Done[phase] == total && isCounted(m) && status == "done" {
		w.log.Emit(Event{Kind: KindPhase, Phase: phase, Status: "done", Done: total, Total: total,
			Seconds: now.Sub(w.started[phase]).Seconds()})
	}
}

func (w *Watcher) count(phase string, m apitype.StepEventMetadata) {
	op := shortOp(m.Op)
	w.Done[phase]++
	w.Changes[op]++
	if w.perPhase[phase] == nil {
		w.perPhase[phase] = map[string]int{}
	}
	w.perPhase[phase][op]++
	keys := append([]string(nil), m.Diffs...)
	sort.Strings(keys)
	if m.New != nil && m.Type == state.ReleaseType && op == string(apitype.OpCreate) {
		w.Installs = append(w.Installs, state.ReleaseIn(m.New.Inputs))
	}
	if w.Preview {
		w.Steps = append(w.Steps, m)
	}
	w.Plan = append(w.Plan, PlannedChange{Op: op, Resource: state.Readable(state.URN(m.URN)), URN: m.URN, Keys: keys})
}

// changes reports whether an operation changes a resource. Reading a resource and keeping it unchanged do not.
func changes(op apitype.OpType) bool {
	switch op {
	case apitype.OpSame, apitype.OpRead, apitype.OpRefresh, apitype.OpReadReplacement, apitype.OpReadDiscard:
		return false
	}
	return true
}

func isCounted(m apitype.StepEventMetadata) bool {
	st := m.New
	if st == nil {
		st = m.Old
	}
	return st != nil && state.IsCounted(tokens.Type(m.Type), st.Custom)
}

// shortOp names an operation for a person. The steps of a replacement become one word each.
func shortOp(op apitype.OpType) string {
	switch op {
	case apitype.OpCreateReplacement:
		return "replace"
	case apitype.OpDeleteReplaced:
		return "delete replaced"
	case apitype.OpRemovePendingReplace, apitype.OpDiscardReplaced:
		return "forget"
	}
	return string(op)
}

// Changed reports whether the operation has changed something, or may have: a step that fails on a host has done a part
// of its work. An operation that is refused, by a missing permission or a full quota, changes nothing.
func (w *Watcher) Changed() bool {
	if w.total(w.Done) > 0 {
		return true
	}
	for urn := range w.failed {
		if !w.refused[urn] {
			return true
		}
	}
	return false
}

func (w *Watcher) diagnose(d apitype.DiagnosticEvent) {
	if d.Ephemeral {
		return
	}
	severity := strings.TrimSuffix(d.Severity, "#err")
	message := withAdvice(withoutCommand(strings.TrimSpace(colors.Never.Colorize(d.Message))))
	// The engine ends every failed run with "update failed", which adds nothing to the failure itself.
	if message == "" || message == "update failed" || severity == "debug" {
		return
	}
	if severity != "error" && !w.log.First(d.URN+message) {
		return
	}
	if severity == "warning" && strings.Contains(message, "inputs that are not known during preview") {
		w.NotKnown++
		return
	}
	resource := ""
	if d.URN != "" {
		resource = state.Readable(state.URN(d.URN))
	}
	if severity == "error" {
		w.Said = append(w.Said, message)
		if c := CauseOf(message); c != nil && c.code != ExitFailed {
			w.refused[d.URN] = true
		}
		if types, _ := state.SplitURN(state.URN(d.URN)); types[len(types)-1] == state.ReleaseType {
			w.Unready = append(w.Unready, state.URN(d.URN))
		}
	}
	w.log.Emit(Event{Kind: KindLog, Severity: severity, Resource: resource, URN: d.URN, Message: message})
}

// remind reports what is in flight if no operation has ended for a while.
func (w *Watcher) remind() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.log.Now()
	if now.Sub(w.last) < quiet || len(w.running) == 0 {
		return
	}
	w.last = now
	w.log.Emit(Event{Kind: KindWaiting, Seconds: now.Sub(w.Begun).Seconds(), InFlight: w.inFlight(now),
		Done: w.total(w.Done), Total: w.total(w.planned)})
}

func (w *Watcher) inFlight(now time.Time) []InFlight {
	var all []InFlight
	for key, r := range w.running {
		urn := state.URN(strings.TrimSuffix(key, r.op))
		types, _ := state.SplitURN(urn)
		if last := types[len(types)-1]; strings.HasPrefix(last, "kubeadm-aws:") || last == "pulumi:pulumi:Stack" {
			continue // a component or the stack is in flight as long as any of its children
		}
		all = append(all, InFlight{Op: r.op, Resource: state.Readable(urn), Seconds: now.Sub(r.since).Seconds()})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Seconds > all[j].Seconds })
	return all
}

func (w *Watcher) total(by map[string]int) int {
	sum := 0
	for _, n := range by {
		sum += n
	}
	return sum
}

// PlanEvent describes what a preview found.
func (w *Watcher) PlanEvent() Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := Event{Kind: KindPlan, Changes: w.Changes, Plan: w.Plan}
	for _, phase := range state.Phases {
		if c := w.perPhase[phase]; len(c) > 0 {
			e.Phases = append(e.Phases, PhaseChanges{Phase: phase, Changes: c})
		}
	}
	return e
}
