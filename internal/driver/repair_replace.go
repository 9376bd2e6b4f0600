package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"

	"kubeadm-aws/internal/account"
	diagnosis "kubeadm-aws/internal/repair"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

// backTimes is how often a new node is asked whether it is Ready. Between two times the repair waits askAfter.
const backTimes = 120

// replaceAll asks once and replaces the workers one after the other. It returns all failures as one.
func (r *repairs) replaceAll(ctx context.Context, d diagnosis.Diagnosis) error {
	if _, _, err := r.plan(ctx, d.Replace...); err != nil {
		return err
	}
	if err := r.confirm(fmt.Sprintf("Replace %d %s, one after the other?", len(d.Replace),
		report.Plural(len(d.Replace), "worker", "workers"))); err != nil {
		return err
	}
	var failures []error
	last := len(d.Replace) - 1
	for i, asked := range d.Replace {
		if i > 0 {
			// The replacement before took its time, and others may have changed the cluster since the diagnosis.
			var err error
			if d, err = r.diagnoseAgain(ctx); err != nil {
				return joinFailures(append(failures, err))
			}
		}
		at := slices.IndexFunc(d.Replace, func(n diagnosis.FailedWorker) bool {
			return n.Name == asked.Name && n.Machine == asked.Machine
		})
		if at < 0 {
			r.log.Info(asked.Name + " does not have to be replaced any more.")
			continue
		}
		made, err := r.replace(ctx, d.Replace[at])
		if err == nil {
			continue
		}
		failures = append(failures, report.Fail(report.CodeOf(err), nextOf(err), "%s: %w", asked.Name, err))
		if !r.canContinue(made, err, last-i) {
			break
		}
	}
	return joinFailures(failures)
}

// diagnoseAgain diagnoses between two replacements, and refuses to go on when too many workers are unhealthy by now.
func (r *repairs) diagnoseAgain(ctx context.Context) (diagnosis.Diagnosis, error) {
	d, err := r.diagnose(ctx)
	if err != nil {
		return d, err
	}
	return d, r.refuse(d)
}

// canContinue reports whether the next worker is replaced although this one could not be. Without capacity for one
// worker, or with a pod that holds its drain, the others can still be replaced. After a new machine that did not come
// up the others stay, because their new machines would have the same fault. left counts the others.
func (r *repairs) canContinue(made bool, err error, left int) bool {
	code := report.CodeOf(err)
	if left == 0 || r.cli.Stopped() || code != report.ExitFailed && code != report.ExitBlocked {
		return false
	}
	others := fmt.Sprintf("%d more %s", left, report.Plural(left, "worker", "workers"))
	if made {
		r.log.Warn("Its new machine did not come up. Another one might not either, so " + others + " stay as they are.")
		return false
	}
	r.log.Warn(fmt.Sprintf("%v. Going on with %s.", err, others))
	return true
}

// joinFailures returns one failure for all. Its code is that of the last one, or ExitFailed if a failure has it and the
// last one has ExitBlocked: another try may help then.
func joinFailures(failures []error) error {
	if len(failures) < 2 {
		return errors.Join(failures...)
	}
	code := report.CodeOf(failures[len(failures)-1])
	var texts, next []string
	for _, err := range failures {
		if code == report.ExitBlocked && report.CodeOf(err) == report.ExitFailed {
			code = report.ExitFailed
		}
		texts = append(texts, err.Error())
		if text := nextOf(err); text != "" && !slices.Contains(next, text) {
			next = append(next, text)
		}
	}
	return report.Fail(code, strings.Join(next, "\n"), "%s", strings.Join(texts, "\n  "))
}

// nextOf returns what the user does next about a failure, or "".
func nextOf(err error) string {
	var f *report.Failure
	if errors.As(err, &f) {
		return f.Next
	}
	return ""
}

// replace replaces one worker and waits until its node is Ready. made reports whether it got a new machine.
func (r *repairs) replace(ctx context.Context, p diagnosis.FailedWorker) (made bool, err error) {
	r.log.Info(fmt.Sprintf("Replacing %s.", p))
	if r.history, err = r.cluster.Note(ctx, r.history.Begin(p, time.Now())); err != nil {
		return false, err
	}
	plan, targets, err := r.plan(ctx, p)
	if err != nil {
		return false, err
	}
	watcher, _, err := r.carryOut(ctx, r.w, plan, nil, optup.Replace(machineOf(p)), optup.Target(targets),
		optup.Message(commits{r.run}.ofRepair(ctx)))
	made = slices.ContainsFunc(watcher.Plan, func(c report.PlannedChange) bool {
		types, name := state.SplitURN(state.URN(c.URN))
		return types[len(types)-1] == account.InstanceType && name == p.Name && (c.Op == "create" || c.Op == "replace")
	})
	if err != nil {
		return made, r.w.Failure(err, watcher)
	}
	if err := r.await(ctx, p.Name); err != nil {
		return made, err
	}
	if r.history, err = r.cluster.Note(ctx, r.history.End(p.Name)); err != nil {
		return made, err
	}
	r.log.Info(p.Name + " is replaced and Ready.")
	return made, nil
}

// await returns when a node is Ready.
func (r *repairs) await(ctx context.Context, name string) error {
	ctx, stop := r.cli.Until(ctx)
	defer stop()
	why := "the cluster has no node of it"
	for range backTimes {
		if r.cli.Stopped() {
			break
		}
		nodes, err := r.cluster.Health(ctx)
		if err != nil {
			why = err.Error()
		}
		for _, n := range nodes {
			if n.Name != name {
				continue
			}
			if n.Ready {
				return nil
			}
			why = n.Message
		}
		select {
		case <-ctx.Done():
		case <-time.After(askAfter):
		}
	}
	if r.cli.Stopped() {
		return report.Fail(report.ExitInterrupted, "Run it again: it goes on with "+name+".", "repair was interrupted")
	}
	return report.Fail(report.ExitFailed, "kubectl describe node "+name+"; on the host: journalctl -u kubelet",
		"the node did not become Ready: %s", why)
}
