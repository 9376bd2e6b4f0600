package report

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// The exit codes of the command. They are an interface: pipelines act on them.
const (
	ExitOK          = 0
	ExitCannotStart = 1 // no Pulumi CLI, no such stack, no credentials: nothing was attempted
	ExitUsage       = 2 // the command line is wrong
	ExitInvalid     = 3 // the settings of the stack were refused; nothing was attempted
	ExitLocked      = 4 // another run holds the stack, or an upgrade is under way
	ExitFailed      = 5 // the run failed; its changes are in the state, and the same command continues from there
	ExitLeftovers   = 6 // destroy or sweep ended, and a resource of the cluster still exists
	ExitUnverified  = 7 // verify found a fault of the platform in the live cluster
	ExitChanges     = 8 // preview --expect-no-changes found changes, or repair --dry-run workers to replace
	// The cluster cannot be reached, or its machines are stopped; nothing was changed, a person has to decide.
	ExitUnreachable = 9
	ExitBlocked     = 10 // the run failed, and the same command fails again until the cause that is named is removed
	// verify found faults, and all of them are in applications of the user: the platform is verified.
	ExitApplications = 11
	// rollback --to last-verified has no earlier verified commit to go back to; nothing was attempted.
	ExitNoneVerified = 12
	ExitInterrupted  = 130 // ended by Ctrl-C or SIGTERM, with the state saved
)

// Failure is an error with the exit code of the command and what the user does next.
type Failure struct {
	Code int
	err  error
	// Next is a sentence or a command; may be empty.
	Next string
}

func (f *Failure) Error() string { return f.err.Error() }
func (f *Failure) Unwrap() error { return f.err }

// Fail returns a failure with an exit code and what the user does next (may be empty). The rest is as in fmt.Errorf.
func Fail(code int, next, format string, args ...any) *Failure {
	return &Failure{Code: code, Next: next, err: fmt.Errorf(format, args...)}
}

// CodeOf returns the exit code for an error of any kind.
func CodeOf(err error) int {
	var f *Failure
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &f):
		return f.Code
	}
	return ExitFailed
}

// Outcome is how an operation of the engine ended.
type Outcome struct {
	// Said are the errors that were already reported, in their order.
	Said []string
	// Begun reports whether the operation changed anything before it failed.
	Begun bool
	// Region is the region of the stack.
	Region string
	// Interrupted reports whether a person or a pipeline ended it. Killed reports whether they did not wait for
	// operations in flight.
	Interrupted, Killed bool
}

// EngineFailure explains an error of an operation of the engine. The raw error repeats everything that the CLI
// printed, so it is shown only if nothing else explains it.
func EngineFailure(err error, op Subject, how Outcome) *Failure {
	again := ""
	if op.Command == "up" || op.Command == "destroy" || op.Command == "rebuild" || op.Command == "repair" {
		again = "Run the same command again: it goes on from the saved state."
	}
	switch {
	case how.Killed:
		return Fail(ExitInterrupted,
			"Run the same command again, or another: it finds out first what became of what had begun.",
			"%s was ended at once; the state notes what had begun", op.Command)
	case how.Interrupted:
		return Fail(ExitInterrupted, again, "%s was interrupted; the state is saved", op.Command)
	case auto.IsConcurrentUpdateError(err):
		return Fail(ExitLocked,
			fmt.Sprintf("Wait for that run. If it is surely dead: go run ./cmd/kubeadm-aws cancel --stack %s --cloud %s",
				op.Stack, op.Cloud),
			"another run holds the stack %s%s", op.Stack, lockHolder(err))
	}
	text, code := op.Command+" failed", ExitFailed
	if len(how.Said) == 0 {
		text += ": " + Shortened(err)
	}
	if c := CauseOf(strings.Join(how.Said, "\n") + "\n" + err.Error()); c != nil {
		again, code = c.Advice(op, how.Region), c.code
		if code == ExitCannotStart && how.Begun {
			code = ExitBlocked
		}
	}
	return Fail(code, again, "%s", text)
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

// Shortened returns the lines of an Automation API error that name a cause.
func Shortened(err error) string {
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
