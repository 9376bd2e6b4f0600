package driver

import (
	"sort"
	"strings"
	"sync"
	"time"

	"kubeadm-aws/internal/state"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
)

// quiet is how long nothing may end before the watcher says what is still going on.
const quiet = 30 * time.Second

// span is when an operation on a resource began and ended, as seen from here.
type span struct{ start, end time.Time }

// watcher turns the engine's events of one operation into events for people and machines, and keeps the account of it.
type watcher struct {
	log     *log
	planned map[string]int // resources to change, by phase; nil when unknown
	preview bool

	mu       sync.Mutex
	begun    time.Time
	last     time.Time
	running  map[string]running
	spans    map[string]span
	started  map[string]time.Time // phases
	done     map[string]int       // by phase
	changes  map[string]int
	perPhase map[string]map[string]int
	plan     []plannedChange
	// installs are the Helm releases that the plan makes.
	installs []state.Release
	// unready are the Helm releases that did not become ready.
	unready []string
	// notKnown counts the resources whose inputs are not known in a preview. The engine warns of each.
	notKnown int
	// said are the errors that were reported.
	said []string
}

type running struct {
	op    string
	since time.Time
}

func newWatcher(l *log, planned map[string]int, preview bool) *watcher {
	now := l.now()
	return &watcher{
		log: l, planned: planned, preview: preview, begun: now, last: now,
		running: map[string]running{}, spans: map[string]span{}, started: map[string]time.Time{}, done: map[string]int{},
		changes: map[string]int{}, perPhase: map[string]map[string]int{},
	}
}

// follow runs an operation of a stack and consumes its events until both have ended. The engine closes the stream only
// when it got as far as opening it, so the end of the operation counts as well.
func (w *watcher) follow(operation func(stream chan<- events.EngineEvent) error) error {
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
			w.take(e)
		case err := <-ended:
			for {
				select {
				case e, open := <-stream:
					if !open {
						return err
					}
					w.take(e)
				default:
					return err
				}
			}
		case <-tick.C:
			w.remind()
		}
	}
}

func (w *watcher) take(e events.EngineEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case e.ResourcePreEvent != nil:
		w.begin(e.ResourcePreEvent.Metadata)
	case e.ResOutputsEvent != nil:
		w.end(e.ResOutputsEvent.Metadata, "done")
	case e.ResOpFailedEvent != nil:
		w.end(e.ResOpFailedEvent.Metadata, "failed")
	case e.DiagnosticEvent != nil:
		w.diagnose(*e.DiagnosticEvent)
	}
}

func (w *watcher) begin(m apitype.StepEventMetadata) {
	if !changes(m.Op) {
		return
	}
	if w.preview {
		return
	}
	now := w.log.now()
	w.running[m.URN+string(m.Op)] = running{op: string(m.Op), since: now}
	phase := state.PhaseOf(m.URN)
	if _, ok := w.started[phase]; !ok && isCounted(m) {
		w.started[phase] = now
		w.log.emit(event{Kind: kindPhase, Phase: phase, Status: "started", Total: w.planned[phase]})
	}
}

func (w *watcher) end(m apitype.StepEventMetadata, status string) {
	if !changes(m.Op) {
		return
	}
	now := w.log.now()
	w.last = now
	run, known := w.running[m.URN+string(m.Op)]
	delete(w.running, m.URN+string(m.Op))
	seconds := 0.0
	if known {
		seconds = now.Sub(run.since).Seconds()
		w.spans[m.URN] = span{run.since, now}
	}
	phase := state.PhaseOf(m.URN)
	if isCounted(m) && status == "done" && m.Op != apitype.OpReplace {
		w.count(phase, m)
	}
	if w.preview {
		return
	}
	inputs := map[string]any{}
	if m.New != nil {
		inputs = m.New.Inputs
	} else if m.Old != nil {
		inputs = m.Old.Inputs
	}
	if host, step, ok := state.HostStep(m.URN, inputs); ok {
		w.log.emit(event{Kind: kindHost, Phase: phase, Host: host, Step: step, Op: string(m.Op), Status: status, Seconds: seconds, URN: m.URN})
	} else if isCounted(m) {
		w.log.emit(event{Kind: kindResource, Phase: phase, Op: string(m.Op), Resource: state.Readable(m.URN), Status: status, Seconds: seconds, URN: m.URN})
	}
	if total := w.planned[phase]; total > 0 && w.done[phase] == total && isCounted(m) && status == "done" {
		w.log.emit(event{Kind: kindPhase, Phase: phase, Status: "done", Done: total, Total: total, Seconds: now.Sub(w.started[phase]).Seconds()})
	}
}

func (w *watcher) count(phase string, m apitype.StepEventMetadata) {
	op := shortOp(m.Op)
	w.done[phase]++
	w.changes[op]++
	if w.perPhase[phase] == nil {
		w.perPhase[phase] = map[string]int{}
	}
	w.perPhase[phase][op]++
	keys := append([]string(nil), m.Diffs...)
	sort.Strings(keys)
	if m.New != nil && m.Type == state.ReleaseType && op == string(apitype.OpCreate) {
		name, _ := m.New.Inputs["name"].(string)
		namespace, _ := m.New.Inputs["namespace"].(string)
		w.installs = append(w.installs, state.Release{Namespace: namespace, Name: name})
	}
	w.plan = append(w.plan, plannedChange{Op: op, Resource: state.Readable(m.URN), URN: m.URN, Keys: keys})
}

// changes says whether an operation changes something; reading and leaving alone do not.
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
	return st != nil && state.Counted(m.Type, st.Custom)
}

// shortOp folds the steps of a replacement into what a person calls them.
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

func (w *watcher) diagnose(d apitype.DiagnosticEvent) {
	if d.Ephemeral {
		return
	}
	severity := strings.TrimSuffix(d.Severity, "#err")
	message := withAdvice(withoutCommand(strings.TrimSpace(colors.Never.Colorize(d.Message))))
	// The engine ends every failed run with the second, which says nothing that its end does not.
	if message == "" || message == "update failed" || severity == "debug" {
		return
	}
	if severity != "error" && !w.log.first(d.URN+message) {
		return
	}
	if severity == "warning" && strings.Contains(message, "inputs that are not known during preview") {
		w.notKnown++
		return
	}
	resource := ""
	if d.URN != "" {
		resource = state.Readable(d.URN)
	}
	if severity == "error" {
		w.said = append(w.said, message)
		if types, _ := state.SplitURN(d.URN); types[len(types)-1] == state.ReleaseType {
			w.unready = append(w.unready, d.URN)
		}
	}
	w.log.emit(event{Kind: kindLog, Severity: severity, Resource: resource, URN: d.URN, Message: message})
}

// remind says what is going on when nothing has ended for a while.
func (w *watcher) remind() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.log.now()
	if now.Sub(w.last) < quiet || len(w.running) == 0 {
		return
	}
	w.last = now
	w.log.emit(event{Kind: kindWaiting, Seconds: now.Sub(w.begun).Seconds(), InFlight: w.inFlight(now), Done: w.total(w.done), Total: w.total(w.planned)})
}

func (w *watcher) inFlight(now time.Time) []inFlight {
	var all []inFlight
	for key, r := range w.running {
		urn := strings.TrimSuffix(key, r.op)
		types, _ := state.SplitURN(urn)
		if last := types[len(types)-1]; strings.HasPrefix(last, "kubeadm-aws:") || last == "pulumi:pulumi:Stack" {
			continue // what holds others is in flight as long as any of them
		}
		all = append(all, inFlight{Op: r.op, Resource: state.Readable(urn), Seconds: now.Sub(r.since).Seconds()})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Seconds > all[j].Seconds })
	return all
}

func (w *watcher) total(by map[string]int) int {
	sum := 0
	for _, n := range by {
		sum += n
	}
	return sum
}

// planEvent describes what a preview found.
func (w *watcher) planEvent() event {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := event{Kind: kindPlan, Changes: w.changes, Plan: w.plan}
	for _, phase := range state.Phases {
		if c := w.perPhase[phase]; len(c) > 0 {
			e.Phases = append(e.Phases, phaseChanges{Phase: phase, Changes: c})
		}
	}
	return e
}
