package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// rollback brings the stack to the settings and the program of an earlier commit. The driver of that commit runs in a
// worktree of its own, so the checkout stays as it is. A rollback is an `up` like any other. Data in the cluster stays
// as it is, except that of add-ons which that commit switches off.
func rollback(ctx context.Context, s *run) error {
	w, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.start(w)
	exported, err := w.Outputs(ctx)
	var current state.State
	if err == nil {
		current, err = w.State(ctx)
	}
	var states string
	switch {
	case err != nil:
	case s.op.to == "":
		states, err = earlierStates(ctx, w)
	case s.op.to == lastVerified && len(exported) > 0:
		s.op.to, err = commits{s}.verifiedCommit(ctx, w)
	}
	w.Close() // the earlier driver opens the same stack
	switch {
	case err != nil:
		return err
	case s.op.to == "":
		return report.Fail(report.ExitUsage, states, "--to is missing: a commit, a tag or a branch")
	case len(exported) == 0 && s.op.to == lastVerified:
		return report.Fail(report.ExitNoneVerified, "", "stack %s was never up, so no commit of it is verified", s.op.Stack)
	case len(exported) == 0:
		return report.Fail(report.ExitCannotStart, "", "stack %s was never up, so there is nothing to roll back", s.op.Stack)
	}
	to, err := commits{s}.checkout(ctx)
	if err != nil {
		return err
	}
	defer to.remove()
	name, _ := exported["cluster"].Value.(string)
	version := runningVersion(current)
	if err := to.refuse(name, version); err != nil {
		return err
	}
	if err := to.refuseLoss(current); err != nil {
		return err
	}
	s.log.Info("to commit " + to.title + "; building its driver.")
	if err := workspace.GoBuild(ctx, to.dir, "./"+to.driver(), to.program()); err != nil {
		return report.Fail(report.ExitCannotStart, "", "commit %s: %w", s.op.to, err)
	}
	if s.op.asks() {
		if err := to.execute("preview"); err != nil {
			return err
		}
	}
	if err := s.confirm("Make these changes?"); err != nil {
		return err
	}
	if err := to.execute("up", "--yes"); err != nil {
		return err
	}
	if s.op.wait > 0 {
		// By the checks and the settings of that commit.
		err := to.execute("verify", "--wait", s.op.wait.String())
		switch {
		case report.CodeOf(err) == report.ExitApplications:
			s.log.Warn("Applications are not well. A rollback of the platform does not change them; correct or revert them in Git.")
		case err != nil:
			return err
		}
	}
	s.log.Warn("Stack " + s.op.Stack + " matches commit " + to.title + ". " +
		"Revert the later commits as well (git revert), or the next up brings back what they say.")
	return nil
}

// checkedOut is an earlier revision of the project in a worktree.
type checkedOut struct {
	by *run // the run that goes back to it
	// root is the worktree, and dir the project in it. title is the commit with its subject.
	root, dir, title string
	// remove deletes the worktree.
	remove func()
}

// checkout makes a worktree of the commit that --to names.
func (c commits) checkout(ctx context.Context) (checkedOut, error) {
	commit, err := c.resolve(ctx)
	if err != nil {
		return checkedOut{}, err
	}
	title, err := c.git(ctx, "log", "-1", "--format=%h %s", commit)
	if err != nil {
		return checkedOut{}, err
	}
	within, err := c.git(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		return checkedOut{}, err
	}
	root, err := os.MkdirTemp("", "kubeadm-aws-rollback")
	if err != nil {
		return checkedOut{}, err
	}
	to := checkedOut{by: c.run, root: root, dir: filepath.Join(root, within), title: title}
	link := filepath.Join(to.dir, ".sandbox")
	to.remove = func() {
		_ = os.Remove(link)
		clean := context.WithoutCancel(ctx)
		_, _ = c.git(clean, "worktree", "remove", "--force", root)
		_ = os.RemoveAll(root)
	}
	if _, err := c.git(ctx, "worktree", "add", "--quiet", "--detach", root, commit); err != nil {
		to.remove()
		return checkedOut{}, err
	}
	// The state of a simulation is in the project's directory; the earlier driver has to find the same state.
	if err := os.Symlink(filepath.Join(c.op.dir, ".sandbox"), link); err != nil {
		to.remove()
		return checkedOut{}, err
	}
	return to, nil
}

// resolve returns the commit that --to names. The checkout of a pipeline has branches of the remote only.
func (c commits) resolve(ctx context.Context) (string, error) {
	for _, name := range []string{c.op.to, "refs/remotes/origin/" + c.op.to} {
		if commit, err := c.git(ctx, "rev-parse", "--verify", "--quiet", name+"^{commit}"); err == nil {
			return commit, nil
		}
	}
	return "", report.Fail(report.ExitUsage,
		"git log --oneline shows what there is; a shallow clone has to be deepened: git fetch --unshallow",
		"--to %s is not a commit of the repository in %s", c.op.to, c.op.dir)
}

// driver returns the folder of the driver's command in that commit, or "" when the commit has none.
func (c checkedOut) driver() string {
	// Until November 2026 it was the second one.
	for _, folder := range []string{"cmd/kubeadm-aws", "automation"} {
		if _, err := os.Stat(filepath.Join(c.dir, folder)); err == nil {
			return folder
		}
	}
	return ""
}

// runningVersion returns the release of the control plane by its last step, or "" before there is one. The output of
// the stack is older if an upgrade was interrupted.
func runningVersion(s state.State) string {
	for _, r := range s.Resources {
		if _, step, ok := state.HostStep(r.URN, r.Inputs); ok && step == "init" {
			text, _ := r.Inputs["create"].(string)
			running, _ := cluster.ReadIdentity(text)
			return running.Cluster.KubernetesVersion
		}
	}
	return ""
}

// refuse returns why an `up` cannot go back to that commit. name and version are the running ones. version is empty
// before there is a cluster.
func (c checkedOut) refuse(name, version string) error {
	if c.driver() == "" {
		return report.Fail(report.ExitCannotStart, "Choose a later commit.", "commit %s has no driver", c.title)
	}
	settings := "Pulumi." + c.by.op.Stack + ".yaml"
	if _, err := os.Stat(filepath.Join(c.dir, settings)); err != nil {
		return report.Fail(report.ExitCannotStart, "Choose a later commit.", "commit %s has no %s", c.title, settings)
	}
	then, err := config.LoadFile(c.by.op.Stack, c.dir)
	var faults config.Errors
	switch {
	case errors.As(err, &faults):
		return nil // the driver of that commit checks the settings by its own rules
	case err != nil:
		return report.Fail(report.ExitInvalid, "", "commit %s: %w", c.title, err)
	case then.Cluster.Name != name || then.Region != c.by.cfg.Region:
		return report.Fail(report.ExitInvalid, "Make a stack of its own for it, or use rebuild.",
			"commit %s is about another cluster, %s in %s; %s in %s runs", c.title, then.Cluster.Name, then.Region, name,
			c.by.cfg.Region)
	case version != "" && then.Cluster.KubernetesVersion != version:
		return report.Fail(report.ExitInvalid, "Put cluster.kubernetesVersion: "+version+" on top of that commit, commit "+
			"it on a branch, and roll back to the branch.",
			"commit %s wants Kubernetes %s, and %s runs: a rollback keeps the version, because etcd and the objects in it "+
				"cannot go back",
			c.title, then.Cluster.KubernetesVersion, version)
	}
	return nil
}

// volumesOf are the add-ons with data on volumes, with the resources that show in a state that there is one.
var volumesOf = map[string]string{
	"rabbitmq": "kubernetes:rabbitmq.com/v1beta1:RabbitmqCluster::rabbitmq", "redis": "kubernetes:helm.sh/v3:Release::valkey",
	"postgresql": "kubernetes:postgresql.cnpg.io/v1:Cluster::postgresql", "logging": "kubernetes:helm.sh/v3:Release::loki",
	"monitoring": "kubernetes:helm.sh/v3:Release::kube-prometheus-stack",
}

// refuseLoss refuses to go back to a commit without an add-on that has data, on a protected stack, and warns on others.
// The program of an older commit compares neither.
func (c checkedOut) refuseLoss(running state.State) error {
	then, err := config.LoadFile(c.by.op.Stack, c.dir)
	if err != nil {
		return nil // the driver of that commit checks the settings by its own rules
	}
	var lost []string
	for addon, settings := range then.Addons.ByKey() {
		made := func(r state.Resource) bool { return strings.HasSuffix(string(r.URN), volumesOf[addon]) }
		if volumesOf[addon] != "" && !settings.On() && slices.ContainsFunc(running.Resources, made) {
			lost = append(lost, "addons."+addon)
		}
	}
	slices.Sort(lost)
	protected := func(r state.Resource) bool { return r.Protect }
	switch {
	case len(lost) == 0:
		return nil
	case slices.ContainsFunc(running.Resources, protected):
		return report.Fail(report.ExitInvalid, "Switch them on on top of that commit, commit it on a branch, and roll back to the "+
			"branch. To give the data up, bring the stack up with protection.protect: false first.",
			"commit %s is without %s, whose data is on volumes, and the stack is protected", c.title, strings.Join(lost, ", "))
	}
	c.by.log.Warn(fmt.Sprintf("Commit %s is without %s, so this removes what the running stack has. %s.", c.title,
		strings.Join(lost, ", "), then.Protection.RemovedVolumes()))
	return nil
}

// program is the path of the driver of that commit, which rollback builds.
func (c checkedOut) program() string { return filepath.Join(c.root, ".bin", "driver") }

// execute runs a command of the driver of that commit.
func (c checkedOut) execute(command ...string) error {
	args := append(command, "--stack", c.by.op.Stack, "--cloud", c.by.op.Cloud, "--dir", c.dir)
	if c.by.op.json {
		args = append(args, "--json")
	}
	cmd := exec.Command(c.program(), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "PULUMI="+c.by.cli.Path())
	cmd.Stdout, cmd.Stderr = c.by.out, os.Stderr
	err := c.by.cli.RunProcess(cmd)
	var exit *exec.ExitError
	switch {
	case c.by.cli.Stopped():
		return report.Fail(report.ExitInterrupted, "Run the same command again: it goes on from the saved state.",
			"%s was interrupted; the state is saved", c.by.op.Command)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return report.Fail(exit.ExitCode(), "", "%s of commit %s failed, as it says above", command[0], c.title)
	}
	return err
}

// earlierStates lists the last five commits with which an update of the stack has succeeded, newest first. Repairs are
// left out, because they change the machines of workers only.
func earlierStates(ctx context.Context, w *workspace.Workspace) (string, error) {
	const most = 5
	lines, seen := []string{"Updates that succeeded:"}, map[string]bool{}
	for u, err := range history(ctx, w) {
		if err != nil {
			return "", err
		}
		commit := u.Environment["git.head"]
		_, isRepair := u.repairOf()
		if isRepair || u.Kind != "update" || u.Result != "succeeded" || commit == "" || seen[commit] {
			continue
		}
		seen[commit] = true
		dirty := ""
		if u.Environment["git.dirty"] == "true" {
			dirty = " (with changes that were not committed)"
		}
		subject, _, _ := strings.Cut(u.Message, "\n")
		started, err := time.Parse(time.RFC3339, u.StartTime)
		if err != nil {
			return "", fmt.Errorf("read the history of the stack: %w", err)
		}
		lines = append(lines, fmt.Sprintf("  --to %.10s  %s  %s%s", commit, started.Format("2006-01-02 15:04"), subject,
			dirty))
		if len(seen) == most {
			break
		}
	}
	if len(seen) == 0 {
		return "The history of the stack names no commit.", nil
	}
	return strings.Join(lines, "\n"), nil
}
