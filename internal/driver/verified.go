package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// Tags of a stack. The backend stores them separately from the state, so setting one is not an update of the stack.
const (
	// appliedTag is the commit of the last up that succeeded, and the start of that update.
	appliedTag = "kubeadm-aws:applied"
	// verifiedTag is the commit that was last brought up and verified.
	verifiedTag = "kubeadm-aws:verified"
)

// lastVerified is the value of --to for the commit in the tag.
const lastVerified = "last-verified"

// commits connects the stack with the commits of its project: which one was brought up, and which one was verified.
type commits struct{ *run }

// recordApplied records which commit the stack now matches. started is the start of the update, as the history writes
// it. A project outside of git, or with changes that are not committed, has no such commit.
func (c commits) recordApplied(ctx context.Context, w *workspace.Workspace, started string) {
	commit, err := c.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return
	}
	changed, err := c.git(ctx, "status", "--porcelain", "--untracked-files=no", "--", ".")
	if err != nil || changed != "" {
		return
	}
	if _, err := w.Pulumi(ctx, "stack", "tag", "set", appliedTag, commit+" "+started); err != nil {
		c.log.Warn("The commit could not be noted, so a rollback cannot go back to it as the last verified one: " +
			err.Error())
	}
}

// recordRepaired keeps the record of the last up after a repair, which is an update of its own. A repair changes
// machines and not what the stack consists of. started is the start of that update.
func (c commits) recordRepaired(ctx context.Context, w *workspace.Workspace, started string) {
	tags, err := stackTags(ctx, w)
	commit, _, known := strings.Cut(tags[appliedTag], " ")
	if err != nil || !known {
		return
	}
	if head, err := c.git(ctx, "rev-parse", "HEAD"); err != nil || head != commit {
		return // the worker now has the settings of another commit than the rest
	}
	c.recordApplied(ctx, w, started)
}

// noteVerified calls recordVerified for a verify. It only warns of an error, because the verify has succeeded.
func (c commits) noteVerified(ctx context.Context, w *workspace.Workspace) {
	if err := c.recordVerified(ctx, w); err != nil {
		c.log.Warn("The commit could not be noted as verified: " + err.Error())
	}
}

// recordVerified records that the commit of the last up is verified. It records nothing if that up failed, or if
// another program than this driver has updated the stack since then: the commit of the cluster is then unknown.
func (c commits) recordVerified(ctx context.Context, w *workspace.Workspace) error {
	tags, err := stackTags(ctx, w)
	if err != nil {
		return err
	}
	commit, started, _ := strings.Cut(tags[appliedTag], " ")
	if commit == "" {
		c.log.Info("No commit is noted as verified: the last up was not one of a commit.")
		return nil
	}
	text, err := w.Pulumi(ctx, "stack", "history", "--json", "--page-size", "20", "--page", "1")
	if err != nil {
		return err
	}
	var updates []struct{ Kind, StartTime string }
	if err := json.Unmarshal([]byte(text), &updates); err != nil {
		return fmt.Errorf("read the history of the stack: %w", err)
	}
	for _, u := range updates {
		if u.Kind != "update" && u.Kind != "destroy" {
			continue
		}
		if u.StartTime != started {
			break
		}
		if _, err := w.Pulumi(ctx, "stack", "tag", "set", verifiedTag, commit); err != nil {
			return err
		}
		c.log.Info(fmt.Sprintf("Commit %.10s is noted as verified: rollback --to %s goes back to it.", commit, lastVerified))
		return nil
	}
	c.log.Warn("No commit is noted as verified: the stack was updated since the last up of this command that succeeded.")
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
