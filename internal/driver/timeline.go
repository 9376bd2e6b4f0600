package driver

import (
	"time"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/timeline"
)

// timeline reports where the time of a run went, or, in the simulated sandbox, where nothing takes the time it does on
// AWS, what AWS would take. deployment is the state after an up, or before a destroy.
func (s *run) timeline(deployment []byte, watcher *report.Watcher, down bool) error {
	if s.op.Cloud == report.CloudSandbox {
		predicted, err := timeline.Predict(deployment)
		if err != nil {
			return err
		}
		if down {
			s.log.Emit(timelineEvent("predicted on AWS", predicted.Destroy))
			return nil
		}
		e := timelineEvent("", predicted.Up)
		e.Message = predicted.String()
		s.log.Emit(e)
		return nil
	}
	spans := map[string]timeline.Span{}
	for urn, at := range watcher.Spans {
		spans[urn] = timeline.Span{Start: at.Start.Sub(watcher.Begun), End: at.End.Sub(watcher.Begun)}
	}
	measured, err := timeline.Measure(deployment, spans, down)
	if err != nil {
		return err
	}
	s.log.Emit(timelineEvent("measured", measured))
	return nil
}

func timelineEvent(title string, schedule timeline.Schedule) report.Event {
	e := report.Event{Kind: report.KindTimeline, Message: title + ": " + report.Seconds(schedule.Total.Seconds()) + "\n" + schedule.String(), Seconds: schedule.Total.Seconds()}
	for _, c := range schedule.Critical {
		e.Path = append(e.Path, report.PathStep{Resource: c.Name, Start: round(c.Start), End: round(c.End)})
	}
	return e
}

func round(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
