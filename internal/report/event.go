// Package report shows what a run of the driver does: events as text or JSON, failures with their exit codes, and
// what to do about them.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Kinds of events. With --json each is one line of output; without, the text reporter renders the same events.
const (
	KindStart    = "start"    // command, stack, cloud, state, message
	KindSettings = "settings" // message
	KindInvalid  = "invalid"  // message; one per fault
	KindPlan     = "plan"     // changes, plan; predicted for AWS: message, seconds, path
	KindPhase    = "phase"    // phase, status started|done|failed, count, seconds
	KindHost     = "host"     // host, step, status done|failed, seconds
	KindResource = "resource" // op, resource, status done|failed, seconds
	KindWaiting  = "waiting"  // done, total, inFlight, seconds: nothing ended for a while
	KindLog      = "log"      // severity, resource, message
	KindTimeline = "timeline" // message, seconds, path
	KindOutputs  = "outputs"  // outputs; secrets are hidden
	KindReceipt  = "receipt"  // changes, swept, kept, leftovers, state: the file
	KindSweep    = "sweep"    // status found|done, found, swept, kept, leftovers
	KindCheck    = "check"    // check, status, message, next
	KindResult   = "result"   // status, code, begun, message, next, changes, seconds
)

// Subject names the command of a run, its stack, and the cloud that the stack is in.
type Subject struct{ Command, Stack, Cloud string }

// The clouds that a stack can be brought up in.
const (
	CloudAWS     = "aws"     // the real one
	CloudSandbox = "sandbox" // simulated: AWS and the cluster are models
	CloudHosts   = "hosts"   // simulated AWS, real Linux hosts in docker, a real kubeadm
)

// Event is one message of a run. Fields that a kind does not use are left out.
type Event struct {
	Time     time.Time         `json:"time"`
	Kind     string            `json:"event"`
	Command  string            `json:"command,omitempty"`
	Stack    string            `json:"stack,omitempty"`
	Cloud    string            `json:"cloud,omitempty"`
	State    string            `json:"state,omitempty"`
	Phase    string            `json:"phase,omitempty"`
	Host     string            `json:"host,omitempty"`
	Step     string            `json:"step,omitempty"`
	Op       string            `json:"op,omitempty"`
	Resource string            `json:"resource,omitempty"`
	URN      string            `json:"urn,omitempty"`
	Check    string            `json:"check,omitempty"`
	Status   string            `json:"status,omitempty"`
	Severity string            `json:"severity,omitempty"`
	Message  string            `json:"message,omitempty"`
	Next     string            `json:"next,omitempty"`
	Seconds  float64           `json:"seconds,omitempty"`
	Done     int               `json:"done,omitempty"`
	Total    int               `json:"total,omitempty"`
	Code     *int              `json:"code,omitempty"`
	Begun    bool              `json:"begun,omitempty"`
	Changes  map[string]int    `json:"changes,omitempty"`
	Phases   []PhaseChanges    `json:"phases,omitempty"`
	Plan     []PlannedChange   `json:"plan,omitempty"`
	InFlight []InFlight        `json:"inFlight,omitempty"`
	Path     []PathStep        `json:"path,omitempty"`
	Outputs  map[string]Output `json:"outputs,omitempty"`
	Found    []string          `json:"found,omitempty"`
	Swept    []string          `json:"swept,omitempty"`
	Kept     []string          `json:"kept,omitempty"`
	Left     []string          `json:"leftovers,omitempty"`
}

// PhaseChanges counts what a plan does in one phase, by operation.
type PhaseChanges struct {
	Phase   string         `json:"phase"`
	Changes map[string]int `json:"changes"`
}

// PlannedChange is one resource that a plan changes.
type PlannedChange struct {
	Op       string   `json:"op"`
	Resource string   `json:"resource"`
	URN      string   `json:"urn"`
	Keys     []string `json:"keys,omitempty"`
}

// InFlight is an operation that has begun and has not ended.
type InFlight struct {
	Op       string  `json:"op"`
	Resource string  `json:"resource"`
	Seconds  float64 `json:"seconds"`
}

// PathStep is one resource on a critical path. Start and End are seconds since the beginning of the run.
type PathStep struct {
	Resource string  `json:"resource"`
	Start    float64 `json:"start"`
	End      float64 `json:"end"`
}

// Output is one output of the stack; the value of a secret is absent.
type Output struct {
	Value  any  `json:"value,omitempty"`
	Secret bool `json:"secret,omitempty"`
}

// Reporter shows events. Calls come from one goroutine at a time.
type Reporter interface{ Report(Event) }

// JSON is a reporter that writes one JSON object per line.
type JSON struct{ Out io.Writer }

func (r JSON) Report(e Event) {
	line, err := json.Marshal(e)
	if err != nil {
		// Only the value of an output could cause that, and outputs come out of JSON.
		line = fmt.Appendf(nil, `{"event":"log","severity":"error","message":%q}`, err.Error())
	}
	_, _ = r.Out.Write(append(line, '\n'))
}

// Log sets the time of events and passes them to a reporter one after another.
type Log struct {
	mu   sync.Mutex
	To   Reporter
	Now  func() time.Time
	said map[string]bool
}

// First reports whether a message comes for the first time. A plan and its execution give the same warnings.
func (l *Log) First(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil {
		l.said = map[string]bool{}
	}
	before := l.said[what]
	l.said[what] = true
	return !before
}

// Emit sets the time of an event and passes it on.
func (l *Log) Emit(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = l.Now()
	l.To.Report(e)
}

// Info emits a message.
func (l *Log) Info(message string) {
	l.Emit(Event{Kind: KindLog, Severity: "info", Message: message})
}

// Warn emits a warning.
func (l *Log) Warn(message string) {
	l.Emit(Event{Kind: KindLog, Severity: "warning", Message: message})
}
