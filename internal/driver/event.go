package driver

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Kinds of events. With --json each is one line of output; without, the text reporter renders the same events.
const (
	kindStart    = "start"    // command, stack, cloud, state, message
	kindSettings = "settings" // message
	kindInvalid  = "invalid"  // message; one per fault
	kindPlan     = "plan"     // changes, resources
	kindPhase    = "phase"    // phase, status started|done|failed, count, seconds
	kindHost     = "host"     // host, step, status done|failed, seconds
	kindResource = "resource" // op, resource, status done|failed, seconds
	kindWaiting  = "waiting"  // done, total, inFlight, seconds: nothing ended for a while
	kindLog      = "log"      // severity, resource, message
	kindTimeline = "timeline" // message, seconds, path
	kindOutputs  = "outputs"  // outputs; secrets are hidden
	kindReceipt  = "receipt"  // changes, swept, kept, leftovers, state: the file
	kindSweep    = "sweep"    // status found|done, found, swept, kept, leftovers
	kindCheck    = "check"    // check, status, message, next
	kindResult   = "result"   // status, code, message, next, changes, seconds
)

// event is something that a person or a machine wants to know of. Fields that a kind does not use are left out.
type event struct {
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
	Changes  map[string]int    `json:"changes,omitempty"`
	Phases   []phaseChanges    `json:"phases,omitempty"`
	Plan     []plannedChange   `json:"plan,omitempty"`
	InFlight []inFlight        `json:"inFlight,omitempty"`
	Path     []pathStep        `json:"path,omitempty"`
	Outputs  map[string]output `json:"outputs,omitempty"`
	Found    []string          `json:"found,omitempty"`
	Swept    []string          `json:"swept,omitempty"`
	Kept     []string          `json:"kept,omitempty"`
	Left     []string          `json:"leftovers,omitempty"`
}

// phaseChanges counts what a plan does in one phase, by operation.
type phaseChanges struct {
	Phase   string         `json:"phase"`
	Changes map[string]int `json:"changes"`
}

// plannedChange is one resource of a plan that is not left alone.
type plannedChange struct {
	Op       string   `json:"op"`
	Resource string   `json:"resource"`
	URN      string   `json:"urn"`
	Keys     []string `json:"keys,omitempty"`
}

// inFlight is an operation that has begun and not ended.
type inFlight struct {
	Op       string  `json:"op"`
	Resource string  `json:"resource"`
	Seconds  float64 `json:"seconds"`
}

// pathStep is one resource on a critical path. Start and End are seconds since the beginning of the run.
type pathStep struct {
	Resource string  `json:"resource"`
	Start    float64 `json:"start"`
	End      float64 `json:"end"`
}

// output is one output of the stack; the value of a secret is absent.
type output struct {
	Value  any  `json:"value,omitempty"`
	Secret bool `json:"secret,omitempty"`
}

// reporter tells somebody about events. Calls come from one goroutine at a time.
type reporter interface{ report(event) }

// jsonReporter writes one JSON object per line.
type jsonReporter struct{ w io.Writer }

func (r jsonReporter) report(e event) {
	line, err := json.Marshal(e)
	if err != nil {
		// Only the value of an output could do that, and those come out of JSON.
		line = fmt.Appendf(nil, `{"event":"log","severity":"error","message":%q}`, err.Error())
	}
	_, _ = r.w.Write(append(line, '\n'))
}

// log stamps events with the time and passes them on one after another.
type log struct {
	mu   sync.Mutex
	to   reporter
	now  func() time.Time
	said map[string]bool
}

// first reports whether something is about to be said for the first time: a plan and its execution warn alike.
func (l *log) first(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil {
		l.said = map[string]bool{}
	}
	before := l.said[what]
	l.said[what] = true
	return !before
}

func (l *log) emit(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = l.now()
	l.to.report(e)
}
