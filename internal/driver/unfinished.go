package driver

import (
	"context"
	"slices"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
)

// unfinished are resources that exist and cannot stay: what an earlier run had begun and did not end.
type unfinished struct {
	// installs are Helm releases whose install was interrupted. Helm refuses to upgrade such a release forever.
	installs []string
	// deletions are releases and objects that are being deleted. They would vanish after an up that found them.
	deletions []string
	// upgrades are releases whose upgrade was interrupted: their last revision blocks every other one.
	upgrades []state.Resource
	// ending are instances that are being terminated.
	ending map[string]bool
}

func unfinishedIn(d state.State) unfinished {
	u := unfinished{ending: map[string]bool{}}
	for _, r := range d.Resources {
		switch status := r.Status(); {
		case status == "pending-install":
			u.installs = append(u.installs, r.URN)
		case status == "uninstalling", r.Terminating():
			u.deletions = append(u.deletions, r.URN)
		case status == "pending-upgrade", status == "pending-rollback":
			u.upgrades = append(u.upgrades, r)
		case r.Type == instanceType && slices.Contains([]any{"shutting-down", "terminated"}, r.Outputs["instanceState"]):
			u.ending[r.URN] = true
		}
	}
	return u
}

// finishUnfinished ends what an earlier run has begun, so that up makes it again from the beginning.
func (s *session) finishUnfinished(ctx context.Context, p *place, st state.State) error {
	u := unfinishedIn(st)
	for _, r := range u.upgrades {
		s.info("Giving up an upgrade that was interrupted: " + r.Release().String())
		if _, err := s.deleteHelmRecords(ctx, p, r.Release(), "status in (pending-upgrade,pending-rollback)"); err != nil {
			return report.Fail(report.ExitFailed, "", "give up the interrupted upgrade of %s: %w", r.Release(), err)
		}
	}
	if len(u.upgrades) > 0 {
		urns := mapped(u.upgrades, func(r state.Resource) string { return r.URN })
		if err := s.read(ctx, p, optrefresh.Target(urns)); err != nil {
			return err
		}
	}
	if len(u.installs) > 0 {
		s.info("Removing what was installed half: " + strings.Join(mapped(u.installs, state.Readable), ", "))
	}
	if len(u.deletions) > 0 {
		s.info("Deleting to the end what an earlier run began to delete: " + strings.Join(mapped(u.deletions, state.Readable), ", "))
	}
	if remove := slices.Concat(u.installs, u.deletions); len(remove) > 0 {
		if _, err := p.Destroy(ctx, optdestroy.Target(remove), optdestroy.SuppressProgress()); err != nil {
			return s.engine(err, report.NewWatcher(s.log, nil, false))
		}
	}
	if len(u.ending) == 0 {
		return nil
	}
	exported, err := p.export(ctx)
	if err != nil {
		return s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	without, err := state.WithoutResources(exported, u.ending)
	if err != nil {
		return err
	}
	return s.replaceState(ctx, p, without)
}

func (s *session) info(message string) {
	s.log.Emit(report.Event{Kind: report.KindLog, Severity: "info", Message: message})
}
