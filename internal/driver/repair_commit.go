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
			"that succeeded. A new worker gets the settings of this checkout.")
	}
	if commit == head {
		return "", nil
	}
	return commit, nil
}

// repairAt repairs the stack with the driver and the settings of a commit, so that a new worker is like the others.
// The checkout stays as it is.
func repairAt(ctx context.Context, s *run, commit string) error {
	if _, err := (commits{s}).git(ctx, "rev-parse", "--verify", "--quiet", commit+"^{commit}"); err != nil {
		return report.Fail(report.ExitCannotStart, "git fetch; a shallow clone has to be deepened: git fetch --unshallow",
			"stack %s was brought up with commit %.10s, which the repository in %s does not have", s.op.Stack, commit,
			s.op.dir)
	}
	s.op.to = commit
	to, err := commits{s}.checkout(ctx)
	if err != nil {
		return err
	}
	defer to.remove()
	s.log.Info("The stack was brought up with commit " + to.title + ", and another one is checked out: repair takes the " +
		"driver and the settings of that commit. Building its driver.")
	if to.driver() == "" {
		return report.Fail(report.ExitCannotStart, "Bring the stack up with a later commit.", "commit %s has no driver",
			to.title)
	}
	if err := workspace.GoBuild(ctx, to.dir, "./"+to.driver(), to.program()); err != nil {
		return report.Fail(report.ExitCannotStart, "", "commit %s: %w", commit, err)
	}
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
