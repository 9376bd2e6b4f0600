package driver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// The exit codes of the command. They are an interface: pipelines act on them.
const (
	exitOK          = 0
	exitCannotStart = 1   // no Pulumi CLI, no such stack, no credentials: nothing was attempted
	exitUsage       = 2   // the command line is wrong
	exitInvalid     = 3   // the settings of the stack were refused; nothing was attempted
	exitLocked      = 4   // another run holds the stack
	exitFailed      = 5   // the run failed; what was made is in the state, and the same command goes on from there
	exitLeftovers   = 6   // destroy or sweep ended, and something that belongs to the cluster still exists
	exitUnverified  = 7   // verify found a fault in the live cluster
	exitChanges     = 8   // preview --expect-no-changes found changes
	exitUnreachable = 9   // the cluster cannot be reached, or its machines are stopped; nothing was changed, a person has to decide
	exitBlocked     = 10  // the run failed, and the same command fails again until the cause that is named is removed
	exitInterrupted = 130 // ended by Ctrl-C or SIGTERM, with the state saved
)

// failure is an error that knows its exit code and what the user does next.
type failure struct {
	code int
	err  error
	// next is a sentence or a command; may be empty.
	next string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(code int, next, format string, args ...any) *failure {
	return &failure{code: code, next: next, err: fmt.Errorf(format, args...)}
}

// codeOf is the exit code for an error of any kind.
func codeOf(err error) int {
	var f *failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &f):
		return f.code
	}
	return exitFailed
}

// outcome is how an operation of the engine ended.
type outcome struct {
	// said are the errors that were reported already, as they came.
	said []string
	// begun says that something was changed before it failed.
	begun bool
	// region is that of the stack.
	region string
	// interrupted says that a person or a pipeline ended it; killed that they did not wait for what was in flight.
	interrupted, killed bool
}

// engineFailure explains an error of a stack operation. The raw error repeats everything the CLI printed, so it is shown
// only when nothing else explains it.
func engineFailure(err error, op operation, how outcome) *failure {
	again := ""
	if op.command == "up" || op.command == "destroy" || op.command == "rebuild" {
		again = "Run the same command again: it goes on from the saved state."
	}
	switch {
	case how.killed:
		return fail(exitInterrupted, "Run the same command again, or another: it finds out first what became of what had begun.",
			"%s was ended at once; the state notes what had begun", op.command)
	case how.interrupted:
		return fail(exitInterrupted, again, "%s was interrupted; the state is saved", op.command)
	case auto.IsConcurrentUpdateError(err):
		return fail(exitLocked,
			fmt.Sprintf("Wait for that run. If it is surely dead: go run ./cmd/kubeadm-aws cancel --stack %s --cloud %s", op.stack, op.cloud),
			"another run holds the stack %s%s", op.stack, lockHolder(err))
	}
	text, code := op.command+" failed", exitFailed
	if len(how.said) == 0 {
		text += ": " + shortened(err)
	}
	if c := causeOf(strings.Join(how.said, "\n") + "\n" + err.Error()); c != nil {
		again, code = c.advice(op, how.region), c.code
		if code == exitCannotStart && how.begun {
			code = exitBlocked
		}
	}
	return fail(code, again, "%s", text)
}

// lockHolder finds who holds the lock of a file or bucket backend in what the CLI printed.
func lockHolder(err error) string {
	for line := range strings.Lines(err.Error()) {
		if _, by, ok := strings.Cut(line, "created by "); ok {
			return ": " + strings.TrimSpace(by)
		}
	}
	return ""
}

// shortened keeps the lines of an Automation API error that name a cause.
func shortened(err error) string {
	var causes []string
	for line := range strings.Lines(err.Error()) {
		// The first line of each stream shares its line with the stream's name.
		line = strings.TrimPrefix(strings.TrimPrefix(line, "stderr: "), "stdout: ")
		if cause, ok := strings.CutPrefix(strings.TrimSpace(line), "error: "); ok {
			causes = append(causes, cause)
		}
	}
	if len(causes) == 0 {
		first, _, _ := strings.Cut(err.Error(), "\ncode: ")
		return strings.TrimSpace(first)
	}
	return strings.Join(causes, "; ")
}
