package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Text is a reporter that renders events for a person, line by line, so that they look the same in a terminal and in
// the log of a pipeline.
type Text struct {
	Out   io.Writer
	Begun time.Time
}

// fewChanges is the longest list of changes that is shown one by one.
const fewChanges = 25

func (t *Text) Report(e Event) {
	switch e.Kind {
	case KindStart:
		t.start(e)
	case KindSettings:
		t.line("settings", "%s", e.Message)
	case KindInvalid:
		t.printf("  %s\n\n", strings.ReplaceAll(e.Message, "\n", "\n  "))
	case KindPlan:
		t.plan(e)
	case KindPhase:
		t.phase(e)
	case KindHost:
		if text := stepText(e); text != "" {
			t.printf("  %7s  %-14s %s%s\n", t.clock(e.Time), e.Host, text, took(e.Seconds))
		}
	case KindResource:
		if e.Status == "failed" {
			t.printf("  %7s  FAILED %s %s%s\n", t.clock(e.Time), e.Op, e.Resource, took(e.Seconds))
		}
	case KindWaiting:
		t.waiting(e)
	case KindLog:
		t.logLine(e)
	case KindTimeline:
		t.printf("\n%s\n", strings.TrimRight(e.Message, "\n"))
	case KindOutputs:
		t.outputs(e)
	case KindReceipt:
		t.receipt(e)
	case KindSweep:
		t.sweep(e)
	case KindCheck:
		t.check(e)
	case KindResult:
		t.result(e)
	}
}

func (t *Text) printf(format string, args ...any) { fmt.Fprintf(t.Out, format, args...) }

// line prints a line with a label; the labels make a column.
func (t *Text) line(label, format string, args ...any) {
	t.printf("%-9s %s\n", label, fmt.Sprintf(format, args...))
}

// clock is the time since the command was started.
func (t *Text) clock(at time.Time) string { return Seconds(at.Sub(t.Begun).Seconds()) }

func (t *Text) start(e Event) {
	where := map[string]string{
		CloudSandbox: "in the sandbox: a simulation against a model of AWS, on this machine only",
		CloudHosts:   "on hosts of this machine: a model of AWS, real Linux hosts in docker, a real kubeadm",
		CloudAWS:     "on AWS",
	}[e.Cloud]
	t.line(e.Command, "%s %s", e.Stack, where)
	t.line("state", "%s", e.State)
}

func (t *Text) plan(e Event) {
	if len(e.Changes) == 0 {
		t.line("plan", "nothing changes")
		return
	}
	var parts []string
	for _, p := range e.Phases {
		parts = append(parts, p.Phase+" "+countsText(p.Changes))
	}
	t.line("plan", "%s (%s)", countsText(e.Changes), strings.Join(parts, "; "))
	for _, c := range e.Plan {
		if len(e.Plan) > fewChanges {
			break
		}
		keys := ""
		if len(c.Keys) > 0 {
			keys = ": " + strings.Join(c.Keys, ", ")
		}
		t.printf("          %-8s %s%s\n", c.Op, c.Resource, keys)
	}
	if e.Message != "" {
		t.line("time", "%s", e.Message)
	}
}

func (t *Text) phase(e Event) {
	of := ""
	if e.Total > 0 {
		of = fmt.Sprintf(", %d resources", e.Total)
	}
	if e.Status == "started" {
		t.line(e.Phase, "%s%s", e.Status, of)
		return
	}
	t.line(e.Phase, "%s%s%s", e.Status, of, took(e.Seconds))
}

// stepDone and stepUndone are the messages about a host when a step on it has ended. Most steps have nothing to undo.
var (
	stepDone = map[string]string{
		"instance": "instance runs", "ready": "answers", "prepare": "is prepared", "init": "is a control plane",
		"join": "has joined", "node": "has its labels", "drain": "is drained", "backup": "takes snapshots",
		"balancer":    "reaches every control plane",
		"nodes-ready": "sees every node Ready",
		"token-keys":  "knows the key of service accounts on every control plane",
		"reboots":     "lets nodes reboot in turn",
	}
	stepUndone = map[string]string{"instance": "instance is gone", "node": "is drained and out of the cluster"}
)

func stepText(e Event) string {
	switch {
	case e.Status == "failed":
		return "FAILED: " + e.Step
	case strings.HasPrefix(e.Op, "delete"):
		return stepUndone[e.Step]
	case stepDone[e.Step] == "":
		return e.Step + " is done"
	}
	return stepDone[e.Step]
}

func (t *Text) waiting(e Event) {
	var what []string
	for i, f := range e.InFlight {
		if i == 4 {
			what = append(what, fmt.Sprintf("and %d more", len(e.InFlight)-i))
			break
		}
		what = append(what, fmt.Sprintf("%s (%s)", f.Resource, Seconds(f.Seconds)))
	}
	t.printf("  %7s  still at it: %s\n", Seconds(e.Seconds), strings.Join(what, ", "))
}

func (t *Text) logLine(e Event) {
	about := ""
	if e.Resource != "" {
		about = e.Resource + ": "
	}
	label := e.Severity
	if label == "info" {
		label = ""
	}
	t.line(label, "%s%s", about, strings.ReplaceAll(e.Message, "\n", "\n          "))
}

func (t *Text) outputs(e Event) {
	t.printf("\noutputs\n")
	for _, name := range slices.Sorted(maps.Keys(e.Outputs)) {
		o := e.Outputs[name]
		value := "[secret]"
		if o.Value != nil || !o.Secret {
			value = valueText(o.Value, "            ")
		}
		t.printf("  %-16s %s\n", name, value)
	}
}

// valueText shows maps and lists one entry a line.
func valueText(value any, indent string) string {
	switch v := value.(type) {
	case map[string]any:
		var b strings.Builder
		for _, key := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&b, "\n    %-14s %s", key, flat(v[key]))
		}
		return b.String()
	case []any:
		var b strings.Builder
		for _, item := range v {
			fmt.Fprintf(&b, "\n    %s", flat(item))
		}
		return b.String()
	}
	return fmt.Sprint(value)
}

func flat(value any) string {
	m, ok := value.(map[string]any)
	if !ok {
		return fmt.Sprint(value)
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %v", key, m[key]))
	}
	return strings.Join(parts, ", ")
}

func (t *Text) receipt(e Event) {
	t.printf("\nreceipt\n  %-9s %d resources\n", "removed", e.Changes["delete"])
	t.items("swept", e.Swept)
	t.items("kept", e.Kept)
	t.items("LEFT", e.Left)
	t.printf("  %-9s %d\n", "left", len(e.Left))
	if e.State != "" {
		t.printf("  %-9s %s\n", "file", e.State)
	}
}

func (t *Text) sweep(e Event) {
	if e.Status == "found" {
		t.line("sweep", "%d found that controllers of the cluster made", len(e.Found))
		t.items("found", e.Found)
		t.items("not ours", e.Left)
	} else {
		t.line("sweep", "%d removed, %d left", len(e.Swept), len(e.Left))
		t.items("removed", e.Swept)
		t.items("LEFT", e.Left)
	}
	t.items("kept", e.Kept)
}

func (t *Text) items(title string, items []string) {
	for _, item := range items {
		t.printf("  %-9s %s\n", title, item)
	}
}

func (t *Text) check(e Event) {
	t.printf("  %-8s %-28s %s\n", e.Status, e.Check, e.Message)
	if e.Next != "" {
		t.printf("  %-8s %-28s look at: %s\n", "", "", e.Next)
	}
}

func (t *Text) result(e Event) {
	if e.Status == "done" {
		t.printf("\n%s %s: done in %s\n", e.Command, e.Stack, Seconds(e.Seconds))
		return
	}
	t.printf("\n%s %s: %s\n", e.Command, e.Stack, e.Message)
	if e.Next != "" {
		t.printf("%s\n", e.Next)
	}
}

// countsText counts operations: "create 12, replace 1".
func countsText(changes map[string]int) string {
	if len(changes) == 0 {
		return "nothing"
	}
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(changes)) {
		parts = append(parts, fmt.Sprintf("%s %d", op, changes[op]))
	}
	return strings.Join(parts, ", ")
}

func took(s float64) string {
	if s < 0.05 {
		return ""
	}
	return " (" + Seconds(s) + ")"
}

// Seconds renders a duration: 0.4s, 42s, 3m05s.
func Seconds(s float64) string {
	switch {
	case s < 10:
		return fmt.Sprintf("%.1fs", s)
	case s < 60:
		return fmt.Sprintf("%.0fs", s)
	}
	whole := int(s + 0.5)
	return fmt.Sprintf("%dm%02ds", whole/60, whole%60)
}

// Plural returns one if n is 1, and many otherwise.
func Plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
