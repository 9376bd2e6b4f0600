package driver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/timeline"
	"kubeadm-aws/internal/workspace"
)

// savedPlan is where the engine saves a plan. The file has the dependencies of every resource, which the events of a
// preview lack. Its secrets are encrypted. path is empty if the plan is not saved.
type savedPlan struct{ dir, path string }

// savePlan returns where to save a plan. The engine encrypts the secrets of a plan one by one, 170 for four nodes.
// Pulumi Cloud would get a request for each, so nothing is saved for a stack whose secrets it encrypts.
func savePlan(ctx context.Context, w *workspace.Workspace) (savedPlan, error) {
	settings, err := w.Engine.Workspace().StackSettings(ctx, w.Stack)
	if err != nil || settings.EncryptionSalt == "" && settings.EncryptedKey == "" {
		return savedPlan{}, nil // The preview reports settings that cannot be read.
	}
	dir, err := os.MkdirTemp("", "kubeadm-aws-plan")
	if err != nil {
		return savedPlan{}, fmt.Errorf("make a directory for the plan: %w", err)
	}
	return savedPlan{dir, filepath.Join(dir, "plan.json")}, nil
}

func (p savedPlan) remove() { _ = os.RemoveAll(p.dir) }

// predict adds to the event of a plan how long it takes on AWS.
func (p savedPlan) predict(ctx context.Context, w *workspace.Workspace, watcher *report.Watcher,
	e *report.Event) error {
	if p.path == "" || len(watcher.Steps) == 0 {
		return nil
	}
	plan := timeline.Plan{Steps: watcher.Steps}
	var err error
	if plan.Saved, err = os.ReadFile(p.path); err != nil {
		return err
	}
	if plan.Deletes() {
		if plan.State, err = w.Export(ctx); err != nil {
			return err
		}
	}
	if w.Config.Image.AMI != "" {
		st, err := w.State(ctx)
		if err != nil {
			return err
		}
		plan.Images = account.PreparedImages(ctx, w, st)
	}
	predicted, err := timeline.PredictPlan(plan)
	if err != nil {
		return err
	}
	e.Message, e.Seconds, e.Path = predicted.Duration(), predicted.Total.Seconds(), criticalPath(predicted)
	return nil
}
