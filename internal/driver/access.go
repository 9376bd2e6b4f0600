package driver

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"regexp"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/question"
)

// longestAccess is the longest time for which a temporary rule can be opened.
const longestAccess = 12 * time.Hour

// accessOpen lets the address of this machine reach SSH and the API of the nodes, for a limited time.
func accessOpen(ctx context.Context, s *run) error {
	return s.changeAccess(ctx, s.op.access)
}

// accessClose closes what this run or person opened.
func accessClose(ctx context.Context, s *run) error {
	return s.changeAccess(ctx, 0)
}

// changeAccess opens the nodes for a time, or closes them if the time is zero.
func (s *run) changeAccess(ctx context.Context, length time.Duration) error {
	w, st, err := openState(ctx, s)
	if err != nil {
		return err
	}
	defer w.Close()
	firewall, err := account.OpenFirewall(ctx, w, st)
	if err != nil {
		return report.Fail(report.ExitCannotStart, "", "%w", err)
	}
	defer firewall.Close()
	if s.op.Cloud == report.CloudHosts {
		s.log.Info("The hosts are containers of this machine, which reaches them without a rule.")
		return nil
	}
	if !firewall.Exists() {
		s.log.Info("The stack has no firewall yet. up --admit opens it as soon as it exists.")
		return nil
	}
	ctx, stop := s.cli.Until(ctx)
	defer stop()
	change, err := firewall.Change(ctx, s.accessFor(length))
	switch {
	case s.cli.Stopped():
		return report.Fail(report.ExitInterrupted, "access close removes what was opened, as does the next access open.",
			"%s was interrupted", s.op.Command)
	case err != nil:
		return report.Fail(report.ExitFailed, "What stays open is removed by the next access open or access close after its time.",
			"the firewall could not be changed: %w", err)
	}
	s.tellAccess(change, length)
	return nil
}

// accessFor returns what this run lets in, for a time from now. Zero closes it.
func (s *run) accessFor(length time.Duration) question.AccessRequest {
	a := question.AccessRequest{Holder: holder(), Address: s.op.address}
	if length > 0 {
		a.Until = time.Now().Add(length)
	}
	if a.Address == "" && s.op.Cloud == report.CloudSandbox {
		a.Address = "192.0.2.1" // for documentation: the model has no address of this machine
	}
	return a
}

func (s *run) tellAccess(change question.AccessChange, length time.Duration) {
	if len(change.Opened) > 0 {
		s.log.Info(fmt.Sprintf("%s reaches the nodes for %s, in the rules of %s.", change.Address, length,
			strings.Join(change.Opened, ", ")))
	}
	if len(change.Admitted) > 0 {
		s.log.Info(fmt.Sprintf("The rules of %s admit %s already.", strings.Join(change.Admitted, ", "), change.Address))
	}
	if length > 0 && len(change.Opened)+len(change.Admitted) == 0 {
		s.log.Info("The security groups of the state do not exist anymore, as after a destroy that was interrupted. " +
			"up --admit opens those that it creates.")
	}
	if len(change.Closed) > 0 {
		s.log.Info("Closed: " + strings.Join(change.Closed, ", ") + ".")
	} else if length == 0 {
		s.log.Info("Nothing was open.")
	}
}

// closeExpired closes what killed runs have opened, after its time.
func (s *run) closeExpired(ctx context.Context, w *workspace.Workspace, st state.State) error {
	firewall, err := account.OpenFirewall(ctx, w, st)
	if err != nil {
		return report.Fail(report.ExitCannotStart, "", "%w", err)
	}
	defer firewall.Close()
	change, err := firewall.Change(ctx, question.AccessRequest{})
	if err != nil {
		return report.Fail(report.ExitFailed, "", "rules of the firewall that have expired could not be removed: %w", err)
	}
	if len(change.Closed) > 0 {
		s.tellAccess(change, 0)
	}
	return nil
}

// holder names the run of a pipeline, or the person and the machine. It goes into the key of a tag.
func holder() string {
	name := ""
	if id := os.Getenv("GITHUB_RUN_ID"); id != "" {
		// Jobs of one run have addresses of their own, so each closes what it opened.
		name = strings.Join([]string{os.Getenv("GITHUB_REPOSITORY"), id, os.Getenv("GITHUB_JOB")}, "/")
	} else {
		host, _ := os.Hostname()
		name = host
		if u, err := user.Current(); err == nil {
			name = u.Username + "@" + host
		}
	}
	name = regexp.MustCompile(`[^a-zA-Z0-9._:/@+=-]`).ReplaceAllString(name, "-")
	return name[max(0, len(name)-90):] // a key has at most 128 characters
}

// checkAccess refuses a range of addresses, and a time that is too long.
func checkAccess(op operation) error {
	for flag, length := range map[string]time.Duration{"for": op.access, "admit": op.admit} {
		if length < 0 || length > longestAccess || flag == "for" && length == 0 {
			return fmt.Errorf("--%s %s: more than 0 and at most %s", flag, length, longestAccess)
		}
	}
	if op.address == "" {
		return nil
	}
	text := strings.TrimSuffix(op.address, "/32")
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil && strings.Contains(text, "/"):
		return fmt.Errorf("--address %s: one address, not a range; ranges belong into access.adminCidrs", op.address)
	case err != nil:
		return fmt.Errorf("--address %s: not an IP address", op.address)
	case !ip.Is4():
		return fmt.Errorf("--address %s: the nodes have IPv4 addresses only; the IPv4 address that this machine comes from",
			op.address)
	case ip.IsUnspecified() || ip.IsLoopback() || ip.IsMulticast():
		return fmt.Errorf("--address %s: no machine comes from it", op.address)
	}
	return nil
}

// admission opens the firewall during an up, because the up creates the firewall of a new stack.
type admission struct {
	run      *run
	ctx      context.Context
	firewall *account.Firewall
}

// admit opens the firewall for this machine if --admit asks for it. It returns nil if it does not.
func (s *run) admit(ctx context.Context, w *workspace.Workspace) (*admission, error) {
	if s.op.admit == 0 {
		return nil, nil
	}
	st, err := w.State(ctx)
	if err != nil {
		return nil, err
	}
	firewall, err := account.OpenFirewall(ctx, w, st)
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart, "", "%w", err)
	}
	a := &admission{run: s, ctx: ctx, firewall: firewall}
	if err := a.change(); err != nil {
		firewall.Close()
		return nil, report.Fail(report.ExitCannotStart, "", "the firewall could not be opened for this machine: %w", err)
	}
	return a, nil
}

// close removes the temporary files. The rules stay until access close, because verify and other parts of the run need
// them.
func (a *admission) close() {
	if a != nil {
		a.firewall.Close()
	}
}

// made is called with each resource that the up has created.
func (a *admission) made(m apitype.StepEventMetadata) {
	if m.New == nil || !a.firewall.Learn(m.Type, m.New.Outputs) {
		return
	}
	if err := a.change(); err != nil {
		a.run.log.Warn("The firewall could not be opened for this machine, so up may wait in vain for SSH: " + err.Error())
	}
}

func (a *admission) change() error {
	change, err := a.firewall.Change(a.ctx, a.run.accessFor(a.run.op.admit))
	if err == nil {
		a.run.tellAccess(change, a.run.op.admit)
	}
	return err
}
