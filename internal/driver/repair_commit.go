package driver

import (
	"context"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// appliedElsewhere returns the commit that the stack was brought up with if another one is checked out, else "". After
// a rollback, the main branch still has the commit that failed. The checkout counts if the commit of the stack is
// unknown.
func (c commits) appliedElsewhere(ctx context.Context, w *workspace.Workspace) (string, error) {
	head, err := c.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", nil // a project outside of git has no commits
	}
	commit, err := c.applied(ctx, w)
	if err != nil {
		return "", err
	}
	if commit == "" {
		c.log.Info("The commit of the stack is unknown, because its last update was not an up of a commit by this command " +
			"that succeeded. " + c.op.Command + " takes the settings of this checkout.")
	}
	if commit == head {
		return "", nil
	}
	return commit, nil
}

// builtAt makes a worktree of the commit of the stack and builds its driver. The checkout stays as it is.
func (c commits) builtAt(ctx context.Context, commit string) (checkedOut, error) {
	if _, err := c.git(ctx, "rev-parse", "--verify", "--quiet", commit+"^{commit}"); err != nil {
		return checkedOut{}, report.Fail(report.ExitCannotStart,
			"git fetch; a shallow clone has to be deepened: git fetch --unshallow",
			"stack %s was brought up with commit %.10s, which the repository in %s does not have", c.op.Stack, commit,
			c.op.dir)
	}
	c.op.to = commit
	to, err := c.checkout(ctx)
	if err != nil {
		return checkedOut{}, err
	}
	c.log.Info("The stack was brought up with commit " + to.title + ", and another one is checked out: " + c.op.Command +
		" takes the driver and the settings of that commit. Building its driver.")
	if to.driver() == "" {
		err = report.Fail(report.ExitCannotStart, "Bring the stack up with a later commit.", "commit %s has no driver",
			to.title)
	} else if err = workspace.GoBuild(ctx, to.dir, "./"+to.driver(), to.program()); err != nil {
		err = report.Fail(report.ExitCannotStart, "", "commit %s: %w", commit, err)
	}
	if err != nil {
		to.remove()
	}
	return to, err
}

// previewAt previews the stack with the driver and the settings of a commit.
func previewAt(ctx context.Context, s *run, commit string) error {
	to, err := commits{s}.builtAt(ctx, commit)
	if err != nil {
		return err
	}
	defer to.remove()
	command := []string{"preview"}
	if s.op.refresh {
		command = append(command, "--refresh")
	}
	if s.op.expectNoChanges {
		command = append(command, "--expect-no-changes")
	}
	return to.execute(command...)
}

// repairAt repairs the stack with the driver and the settings of a commit, so that a new worker is like the others.
func repairAt(ctx context.Context, s *run, commit string) error {
	to, err := commits{s}.builtAt(ctx, commit)
	if err != nil {
		return err
	}
	defer to.remove()
	if s.op.dryRun || s.op.asks() {
		err := to.execute("repair", "--dry-run")
		switch code := report.CodeOf(err); {
		case code == report.ExitUsage:
			return report.Fail(report.ExitCannotStart, "Bring the stack up with a later commit.",
				"the driver of commit %s has no repair", to.title)
		case code == report.ExitChanges && s.op.dryRun:
			return report.Fail(code, "", "workers would be replaced, as it says above")
		case code != report.ExitChanges:
			return err
		}
	}
	if err := s.confirm("Replace these workers, one after the other?"); err != nil {
		return err
	}
	s.changed = true // the other driver may have changed something, also when it fails
	return to.execute("repair", "--yes")
}
