package config

import (
	"fmt"
	"strings"
)

// FieldError is one setting that cannot be used, with the reason.
type FieldError struct {
	// Key is the path for `pulumi config set --path`, such as "kubeadm-aws:nodes[2].labels.workload".
	Key string
	// Value is the written value as JSON. It is empty if the setting was absent.
	Value string
	// Reason explains what is wrong with the value. It completes a sentence that begins with key and value.
	Reason string
	// Example is what to write instead: a value, or the command that sets it.
	Example string

	// quotable is for a number, true or false where text belongs. Validation goes on with the value in quotes.
	quotable bool
}

// Error returns the fault in at most three lines: key and value, reason, example.
func (f FieldError) Error() string {
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

// Errors are all faults of a configuration, in the order of its keys.
type Errors []FieldError

// Error lists every fault, so that one run is enough to correct all of them.
func (e Errors) Error() string { return listFaults(e, "created") }

// listFaults lists faults below a header. what is the participle of the operation that did not happen, such as
// "created".
func listFaults(faults []FieldError, what string) string {
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
