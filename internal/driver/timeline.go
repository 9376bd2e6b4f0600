package driver

import (
	"context"
	"time"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/timeline"
	"kubeadm-aws/internal/workspace"
)

// tellTimeline reports how long the parts of a run took. A simulation does not take the time that AWS takes, so for one
// it reports the time that AWS would take. deployment is the state after an up, or before a destroy (down).
func tellTimeline(ctx context.Context, w *workspace.Workspace, deployment []byte, watcher *report.Watcher,
	down bool) error {
	if w.Cloud == report.CloudSandbox {
		st, err := state.Parse(deployment)
		if err != nil {
			return err
		}
		predicted, err := timeline.Predict(deployment, account.PreparedImages(ctx, w, st))
		if err != nil {
			return err
		}
		if down {
			w.Log.Emit(timelineEvent("predicted on AWS", predicted.Destroy))
			return nil
		}
		e := timelineEvent("", predicted.Up)
		e.Message = predicted.String()
		w.Log.Emit(e)
		return nil
	}
	spans := map[state.URN]timeline.Span{}
	for urn, at := range watcher.Spans {
		spans[state.URN(urn)] = timeline.Span{Start: at.Start.Sub(watcher.Begun), End: at.End.Sub(watcher.Begun)}
	}
	measured, err := timeline.Measure(deployment, spans, down)
	if err != nil {
		return err
	}
	w.Log.Emit(timelineEvent("measured", measured))
	return nil
}

func timelineEvent(title string, schedule timeline.Schedule) report.Event {
	return report.Event{Kind: report.KindTimeline,
		Message: title + ": " + report.Seconds(schedule.Total.Seconds()) + "\n" + schedule.String(),
		Seconds: schedule.Total.Seconds(), Path: criticalPath(schedule)}
}

func criticalPath(schedule timeline.Schedule) []report.PathStep {
	var path []report.PathStep
	for _, c := range schedule.Critical {
		path = append(path, report.PathStep{Resource: c.Name, Start: round(c.Start), End: round(c.End)})
	}
	return path
}

func round(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
