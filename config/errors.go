package config

import (
	"fmt"
	"strings"
)

// Fault is one setting that cannot be used.
type Fault struct {
	// Key is the path that `pulumi config set --path` takes, such as "kubeadm-aws:nodes[2].labels.workload".
	Key string
	// Value is what was written, as JSON; empty when nothing was.
	Value string
	// Reason says what is wrong with it.
	Reason string
	// Example is what to write instead: a value, or the command that sets it.
	Example string
}

// Error is the fault on three lines at most: key and value, reason, example.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Key)
	if f.Value != "" {
		fmt.Fprintf(&b, " = %s", f.Value)
	}
	fmt.Fprintf(&b, "\n    %s", f.Reason)
	if f.Example != "" {
		fmt.Fprintf(&b, "\n    instead: %s", f.Example)
	}
	return b.String()
}

// Errors are all the faults of a configuration, in the order of its keys.
type Errors []Fault

// Error lists every fault, so that one run is enough to fix them all.
func (e Errors) Error() string { return listFaults(e, "created") }

// listFaults lists faults below a line that says what did not happen to the stack.
func listFaults(faults []Fault, what string) string {
	var b strings.Builder
	if len(faults) == 1 {
		fmt.Fprintf(&b, "1 setting is refused, nothing was %s:", what)
	} else {
		fmt.Fprintf(&b, "%d settings are refused, nothing was %s:", len(faults), what)
	}
	for _, f := range faults {
		b.WriteString("\n\n  ")
		b.WriteString(strings.ReplaceAll(f.Error(), "\n", "\n  "))
	}
	return b.String()
}
