package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/recovery"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
)

// up plans, shows the plan, and carries it out.
func up(ctx context.Context, s *run) error {
	w, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	s.start(w)
	st, err := recovery.RecoverPending(ctx, w, false)
	if err != nil {
		return err
	}
	if err := recovery.RemoveIncomplete(ctx, w, st); err != nil {
		return err
	}
	admission, err := s.admit(ctx, w)
	if err != nil {
		return err
	}
	defer admission.close()
	if err := recovery.FindLost(ctx, w); err != nil {
		return err
	}
	ended, err := recovery.EndedSpots(ctx, w)
	if err != nil {
		return err
	}
	plan, err := makePlan(ctx, w, optpreview.Replace(ended))
	if err != nil {
		return err
	}
	if len(plan.Done) > 0 {
		if err := s.confirm("Make these changes?"); err != nil {
			return err
		}
	}
	asked, err := recovery.TakeOverReleases(ctx, w, plan.Installs)
	if err != nil {
		return err
	}
	watcher, result, err := s.carryOut(ctx, w, plan, admission, optup.Replace(ended))
	if err != nil && !asked && releasesKnown(ctx, w) {
		watcher, result, err = s.carryOut(ctx, w, plan, admission, optup.Replace(ended))
	}
	if err != nil {
		tellTroubles(ctx, w, watcher.Unready)
		return w.Failure(err, watcher)
	}
	if err := upTimeline(ctx, w, watcher); err != nil {
		return err
	}
	commits{s}.recordApplied(ctx, w, result.Summary.StartTime)
	s.report(result.Outputs, false)
	tellNotReady(ctx, w)
	return nil
}

// carryOut executes the plan. admission may be nil.
func (s *run) carryOut(ctx context.Context, w *workspace.Workspace, plan *report.Watcher,
	admission *admission, options ...optup.Option) (*report.Watcher, auto.UpResult, error) {
	watcher := report.NewWatcher(w.Log, plan.Done, false)
	if admission != nil {
		watcher.Made = admission.made
	}
	var result auto.UpResult
	err := watcher.Follow(func(stream chan<- events.EngineEvent) (err error) {
		result, err = w.Engine.Up(ctx, append(options, optup.EventStreams(stream), optup.Parallel(w.Parallel),
			optup.SuppressProgress(), optup.ShowSecrets(false))...)
		return err
	})
	s.changed = s.changed || watcher.Changed()
	return watcher, result, err
}

// releasesKnown takes over the releases of a cluster that was silent when an up began, and reports whether that was
// possible. An interrupted destroy takes the address of a control plane before its machine. The up, which has failed
// at the releases, gave the address back.
func releasesKnown(ctx context.Context, w *workspace.Workspace) bool {
	if w.CLI.Stopped() {
		return false
	}
	plan, err := makePlan(ctx, w)
	if err != nil {
		return false
	}
	asked, err := recovery.TakeOverReleases(ctx, w, plan.Installs)
	return asked && err == nil
}

func upTimeline(ctx context.Context, w *workspace.Workspace, watcher *report.Watcher) error {
	if len(watcher.Spans) == 0 {
		return nil
	}
	deployment, err := w.Export(ctx)
	if err != nil {
		return err
	}
	return tellTimeline(ctx, w, deployment, watcher, false)
}

// preview plans and shows the plan.
func preview(ctx context.Context, s *run) error {
	w, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	if s.op.atApplied {
		if commit, err := (commits{s}).appliedElsewhere(ctx, w); err != nil || commit != "" {
			w.Close() // the other driver opens the same stack
			if err != nil {
				return err
			}
			return previewAt(ctx, s, commit)
		}
	}
	s.start(w)
	if s.op.expectNoChanges {
		if err := s.refuseEmpty(ctx, w); err != nil {
			return err
		}
	}
	if err := recovery.WarnPending(ctx, w); err != nil {
		return err
	}
	if _, err := recovery.FindStopped(ctx, w); err != nil {
		return err
	}
	var options []optpreview.Option
	if s.op.refresh {
		options = append(options, optpreview.Refresh())
	}
	plan, err := makePlan(ctx, w, options...)
	if err != nil {
		return err
	}
	if s.op.expectNoChanges && len(plan.Done) > 0 {
		return report.Fail(report.ExitChanges, "Look at the plan above; up carries it out.",
			"stack %s is not what its settings say", s.op.Stack)
	}
	return nil
}

// refuseEmpty refuses to compare a stack that was never brought up, or that was destroyed: all of it would differ.
func (s *run) refuseEmpty(ctx context.Context, w *workspace.Workspace) error {
	st, err := w.State(ctx)
	if err != nil {
		return err
	}
	made := func(r state.Resource) bool {
		return r.Custom && !strings.HasPrefix(string(r.Type), "pulumi:providers:")
	}
	if slices.ContainsFunc(st.Resources, made) || len(st.PendingOperations) > 0 {
		return nil
	}
	return report.Fail(report.ExitCannotStart, "Bring it up first: go run ./cmd/kubeadm-aws up --stack "+s.op.Stack+
		" --cloud "+s.op.Cloud, "stack %s has no resources", s.op.Stack)
}

// refresh updates the state from the account.
func refresh(ctx context.Context, s *run) error {
	w, st, err := openState(ctx, s)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := account.RefuseOther(ctx, w, st); err != nil {
		return err
	}
	if err := s.confirm("Take over into the state what differs?"); err != nil {
		return err
	}
	if _, err := recovery.RecoverPending(ctx, w, false); err != nil {
		return err
	}
	silent, err := recovery.FindStopped(ctx, w)
	if err != nil {
		return err
	}
	return recovery.RefreshAll(ctx, w, silent)
}

// makePlan previews, reports the plan and refuses one that cannot succeed.
func makePlan(ctx context.Context, w *workspace.Workspace, options ...optpreview.Option) (*report.Watcher, error) {
	saved, err := savePlan(ctx, w)
	if err != nil {
		return nil, err
	}
	defer saved.remove()
	watcher := report.NewWatcher(w.Log, nil, true)
	err = watcher.Follow(func(stream chan<- events.EngineEvent) error {
		_, err := w.Engine.Preview(ctx, append(options, optpreview.EventStreams(stream), optpreview.Parallel(w.Parallel),
			optpreview.SuppressProgress(), optpreview.Plan(saved.path))...)
		return err
	})
	if err != nil {
		return nil, w.Failure(err, watcher)
	}
	plan := watcher.PlanEvent()
	if err := saved.predict(ctx, w, watcher, &plan); err != nil {
		w.Log.Warn("the duration is not known: " + err.Error())
	}
	w.Log.Emit(plan)
	tellFolded(w.Log, watcher)
	return watcher, recovery.RefusePlan(ctx, w, watcher.Plan)
}

// confirm asks before a change to a real account.
func (s *run) confirm(question string) error {
	if !s.op.asks() {
		return nil
	}
	if s.op.json {
		return report.Fail(report.ExitUsage, "", "--json cannot ask for a confirmation; give --yes")
	}
	fmt.Fprintf(s.out, "\n%s Type yes: ", question)
	answer, _ := s.in.ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return report.Fail(report.ExitCannotStart, "", "not confirmed; nothing was changed")
	}
	return nil
}

// asks reports whether changes have to be confirmed.
func (o operation) asks() bool { return o.Cloud == report.CloudAWS && !o.yes }

// tellFolded reports in one line what the engine reports for each resource, and names renewed certificates as such.
func tellFolded(log *report.Log, watcher *report.Watcher) {
	renewed := 0
	for _, c := range watcher.Plan {
		if c.Op == "replace" && strings.Contains(c.URN, "tls:index/locallySignedCert:LocallySignedCert::") {
			renewed++
		}
	}
	if renewed > 0 {
		log.Info(fmt.Sprintf("%d %s renewed.", renewed, report.Plural(renewed, "certificate is", "certificates are")))
	}
	if watcher.NotKnown > 0 {
		log.Info(
			fmt.Sprintf("The inputs of %d %s are known only when the plan is carried out, so some of its updates may turn "+
				"out to change nothing.",
				watcher.NotKnown, report.Plural(watcher.NotKnown, "resource", "resources")))
	}
}
