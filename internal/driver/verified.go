package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// Tags of a stack. The backend stores them separately from the state, so setting one is not an update of the stack.
const (
	// appliedTag is the commit of the last up of a commit that succeeded, and the start of that update. Later updates
	// leave it as it is; applied knows them by the history.
	appliedTag = "kubeadm-aws:applied"
	// verifiedTag is the commit that was last brought up and verified.
	verifiedTag = "kubeadm-aws:verified"
)

// repairMessage begins the message of a repair in the history of the stack. The commit that is checked out follows, if
// it has no other changes.
const repairMessage = "kubeadm-aws repair"

// messageOfRepair matches the message of a repair; the group is the commit. The Automation API passes messages in
// quotes.
var messageOfRepair = regexp.MustCompile(`^"?` + repairMessage + `(?: ([0-9a-f]{40}))?"?$`)

// lastVerified is the value of --to for the commit in the tag.
const lastVerified = "last-verified"

// commits connects the stack with the commits of its project: which one was brought up, and which one was verified.
type commits struct{ *run }

// recordApplied records which commit the stack now matches. started is the start of the update, as the history writes
// it.
func (c commits) recordApplied(ctx context.Context, w *workspace.Workspace, started string) {
	commit := c.clean(ctx)
	if commit == "" {
		return
	}
	if _, err := w.Pulumi(ctx, "stack", "tag", "set", appliedTag, commit+" "+started); err != nil {
		c.log.Warn("The commit could not be noted, so a rollback cannot go back to it as the last verified one: " +
			err.Error())
	}
}

// clean returns the commit that is checked out. It returns "" for a project outside of git, or with changes that are
// not committed.
func (c commits) clean(ctx context.Context) string {
	commit, err := c.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return ""
	}
	changed, err := c.git(ctx, "status", "--porcelain", "--untracked-files=no", "--", ".")
	if err != nil || changed != "" {
		return ""
	}
	return commit
}

// ofRepair returns the message of a repair with the checkout as it is.
func (c commits) ofRepair(ctx context.Context) string {
	return strings.TrimSpace(repairMessage + " " + c.clean(ctx))
}

// applied returns the commit that the stack was last brought up with, or "" if that is unknown: another program than
// this driver has updated the stack since then, or an up that failed or had changes that were not committed. A repair
// with that commit, also one that failed, changes machines and not what the stack consists of.
func (c commits) applied(ctx context.Context, w *workspace.Workspace) (string, error) {
	tags, err := stackTags(ctx, w)
	if err != nil {
		return "", err
	}
	commit, started, _ := strings.Cut(tags[appliedTag], " ")
	if commit == "" {
		return "", nil
	}
	for u, err := range history(ctx, w) {
		if err != nil {
			return "", err
		}
		repaired, isRepair := u.repairOf()
		switch {
		case u.Kind != "update" && u.Kind != "destroy", isRepair && repaired == commit:
		case u.StartTime == started:
			return commit, nil
		default:
			return "", nil
		}
	}
	return "", nil
}

// noteVerified calls recordVerified for a verify. It only warns of an error, because the verify has succeeded.
func (c commits) noteVerified(ctx context.Context, w *workspace.Workspace) {
	if err := c.recordVerified(ctx, w); err != nil {
		c.log.Warn("The commit could not be noted as verified: " + err.Error())
	}
}

// recordVerified records that the commit of the last up is verified. It records nothing if that commit is unknown.
func (c commits) recordVerified(ctx context.Context, w *workspace.Workspace) error {
	commit, err := c.applied(ctx, w)
	if err != nil {
		return err
	}
	if commit == "" {
		c.log.Info("No commit is noted as verified: the last update of the stack was not an up of a commit by this command " +
			"that succeeded.")
		return nil
	}
	if _, err := w.Pulumi(ctx, "stack", "tag", "set", verifiedTag, commit); err != nil {
		return err
	}
	c.log.Info(fmt.Sprintf("Commit %.10s is noted as verified: rollback --to %s goes back to it.", commit, lastVerified))
	return nil
}

// verifiedCommit returns the commit that a rollback goes back to by itself. It refuses the one that is checked out,
// because that is the one that has just failed.
func (c commits) verifiedCommit(ctx context.Context, w *workspace.Workspace) (string, error) {
	tags, err := stackTags(ctx, w)
	if err != nil {
		return "", err
	}
	commit := tags[verifiedTag]
	if commit == "" {
		return "", report.Fail(report.ExitNoneVerified, "Correct what failed, or name a commit: --to COMMIT",
			"no commit of stack %s was verified yet", c.op.Stack)
	}
	head, err := c.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	if head == commit {
		return "", report.Fail(report.ExitNoneVerified, "Correct what failed, or name an earlier commit: --to COMMIT",
			"commit %.10s is the last verified one, and is also the one that is checked out", commit)
	}
	return commit, nil
}

// update is an entry of the history of a stack.
type update struct {
	Kind, Result, Message string
	// StartTime is as the CLI prints it.
	StartTime   string
	Environment map[string]string
}

// repairOf returns the commit that a repair had checked out, or "" if it had none or changes that were not committed.
// ok is false if the update was not a repair.
func (u update) repairOf() (commit string, ok bool) {
	match := messageOfRepair.FindStringSubmatch(u.Message)
	if match == nil {
		return "", false
	}
	return match[1], true
}

// history returns the updates of the stack, newest first. An error is the last pair. A page is read when it is needed,
// because the history of a stack grows forever.
func history(ctx context.Context, w *workspace.Workspace) iter.Seq2[update, error] {
	return func(yield func(update, error) bool) {
		for page := 1; ; page++ {
			updates, err := historyPage(ctx, w, page)
			if err != nil {
				yield(update{}, err)
				return
			}
			for _, u := range updates {
				if !yield(u, nil) {
					return
				}
			}
			if len(updates) == 0 {
				return
			}
		}
	}
}

// historyPage returns a page of the history. The first page is 1. A page after the last one is empty.
func historyPage(ctx context.Context, w *workspace.Workspace, page int) ([]update, error) {
	text, err := w.Pulumi(ctx, "stack", "history", "--json", "--page-size", "50", "--page", strconv.Itoa(page))
	if err != nil {
		return nil, err
	}
	var updates []update
	if err := json.Unmarshal([]byte(text), &updates); err != nil {
		return nil, fmt.Errorf("read the history of the stack: %w", err)
	}
	return updates, nil
}

func stackTags(ctx context.Context, w *workspace.Workspace) (map[string]string, error) {
	text, err := w.Pulumi(ctx, "stack", "tag", "ls", "--json")
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	if err := json.Unmarshal([]byte(text), &tags); err != nil {
		return nil, fmt.Errorf("read the tags of the stack: %w", err)
	}
	return tags, nil
}

// git runs git in the project.
func (c commits) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", c.op.dir}, args...)...)
	output, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", report.Fail(report.ExitCannotStart, "A rollback needs the project as a git repository.", "git %s: %w",
			args[0], err)
	}
	return strings.TrimSpace(string(output)), nil
}
