package recovery

import (
	"context"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// incomplete lists the resources that exist and that an interrupted run left incomplete. The next up has to remove or
// repair them.
type incomplete struct {
	// installs are the URNs of Helm releases whose install was interrupted. Helm never upgrades such a release.
	installs []state.URN
	// deletions are the URNs of releases and objects that are being deleted. They would disappear after an up that
	// found them.
	deletions []state.URN
	// upgrades are releases whose upgrade was interrupted. Their last revision blocks every further one.
	upgrades []state.Resource
	// ending are the URNs of instances that are being terminated.
	ending map[state.URN]bool
}

func incompleteIn(st state.State) incomplete {
	all := incomplete{ending: map[state.URN]bool{}}
	for _, r := range st.Resources {
		switch status := state.ReleaseStatus(r); {
		case status == "pending-install":
			all.installs = append(all.installs, r.URN)
		case status == "uninstalling", state.IsTerminating(r):
			all.deletions = append(all.deletions, r.URN)
		case status == "pending-upgrade", status == "pending-rollback":
			all.upgrades = append(all.upgrades, r)
		case r.Type == account.InstanceType && slices.Contains([]any{"shutting-down", "terminated"},
			r.Outputs["instanceState"]):
			all.ending[r.URN] = true
		}
	}
	return all
}

// RemoveIncomplete removes what an interrupted run left incomplete, so that up creates it from the beginning.
func RemoveIncomplete(ctx context.Context, w *workspace.Workspace, st state.State) error {
	all := incompleteIn(st)
	if err := giveUpUpgrades(ctx, w, all.upgrades); err != nil {
		return err
	}
	if len(all.installs) > 0 {
		w.Log.Info("Removing what was installed half: " + readable(all.installs))
	}
	if len(all.deletions) > 0 {
		w.Log.Info("Deleting to the end what an earlier run began to delete: " + readable(all.deletions))
	}
	if remove := slices.Concat(all.installs, all.deletions); len(remove) > 0 {
		if _, err := w.Engine.Destroy(ctx, optdestroy.Target(texts(remove)), optdestroy.SuppressProgress()); err != nil {
			return w.Failure(err, nil)
		}
	}
	if len(all.ending) == 0 {
		return nil
	}
	return dropFromState(ctx, w, func(state.State) map[state.URN]bool { return all.ending })
}

// giveUpUpgrades deletes the revisions of interrupted upgrades and reads the releases again.
func giveUpUpgrades(ctx context.Context, w *workspace.Workspace, upgrades []state.Resource) error {
	var urns []state.URN
	for _, r := range upgrades {
		release := state.ReleaseIn(r.Inputs)
		w.Log.Info("Giving up an upgrade that was interrupted: " + release.String())
		if _, err := deleteHelmRecords(ctx, w, release, "status in (pending-upgrade,pending-rollback)"); err != nil {
			return report.Fail(report.ExitFailed, "", "give up the interrupted upgrade of %s: %w", release, err)
		}
		urns = append(urns, r.URN)
	}
	if len(urns) == 0 {
		return nil
	}
	return w.Refresh(ctx, optrefresh.Target(texts(urns)))
}

// dropFromState takes resources, by URN, and all references to them out of the state.
func dropFromState(ctx context.Context, w *workspace.Workspace, choose func(state.State) map[state.URN]bool) error {
	st, err := w.State(ctx)
	if err != nil {
		return err
	}
	gone := choose(st)
	if len(gone) == 0 {
		return nil
	}
	return w.Import(ctx, st.Without(gone))
}

// readable names resources for a person.
func readable(urns []state.URN) string {
	var names []string
	for _, urn := range urns {
		names = append(names, state.Readable(urn))
	}
	return strings.Join(names, ", ")
}
