package main

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

// engineFailure explains an error of a stack operation. seen says that the errors behind it were reported already, as
// they came; the raw error repeats everything the CLI printed, so it is shown only when nothing else explains it.
func engineFailure(err error, op operation, seen bool, interrupted bool) *failure {
	again := "Run the same command again: it goes on from the saved state."
	switch {
	case interrupted:
		return fail(exitInterrupted, again, "%s was interrupted; the state is saved", op.command)
	case auto.IsConcurrentUpdateError(err):
		return fail(exitLocked,
			fmt.Sprintf("Wait for that run. If it is surely dead: go run ./automation cancel --stack %s --cloud %s", op.stack, op.cloud),
			"another run holds the stack %s%s", op.stack, lockHolder(err))
	case seen:
		return fail(exitFailed, again, "%s failed", op.command)
	}
	return fail(exitFailed, again, "%s failed: %s", op.command, shortened(err))
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
