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

// Error lists every fault, so that one run is enough to mend them all.
func (e Errors) Error() string {
	var b strings.Builder
	if len(e) == 1 {
		b.WriteString("1 setting is refused, nothing was created:")
	} else {
		fmt.Fprintf(&b, "%d settings are refused, nothing was created:", len(e))
	}
	for _, f := range e {
		b.WriteString("\n\n  ")
		b.WriteString(strings.ReplaceAll(f.Error(), "\n", "\n  "))
	}
	return b.String()
}
