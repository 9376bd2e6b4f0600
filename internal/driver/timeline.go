package driver

import (
	"time"

	"kubeadm-aws/internal/sandbox"
)

// timeline reports where the time of a run went, or, in the simulated sandbox, where nothing takes the time it does on
// AWS, what AWS would take. deployment is the state after an up, or before a destroy.
func (s *session) timeline(deployment []byte, w *watcher, down bool) error {
	if s.op.cloud == cloudSandbox {
		predicted, err := sandbox.Predict(deployment)
		if err != nil {
			return err
		}
		if down {
			s.log.emit(timelineEvent("predicted on AWS", predicted.Destroy))
			return nil
		}
		e := timelineEvent("", predicted.Up)
		e.Message = predicted.String()
		s.log.emit(e)
		return nil
	}
	spans := map[string]sandbox.Span{}
	for urn, at := range w.spans {
		spans[urn] = sandbox.Span{Start: at.start.Sub(w.begun), End: at.end.Sub(w.begun)}
	}
	measured, err := sandbox.Measured(deployment, spans, down)
	if err != nil {
		return err
	}
	s.log.emit(timelineEvent("measured", measured))
	return nil
}

func timelineEvent(title string, schedule sandbox.Schedule) event {
	e := event{Kind: kindTimeline, Message: title + ": " + seconds(schedule.Total.Seconds()) + "\n" + schedule.String(), Seconds: schedule.Total.Seconds()}
	for _, c := range schedule.Critical {
		e.Path = append(e.Path, pathStep{Resource: c.Name, Start: round(c.Start), End: round(c.End)})
	}
	return e
}

func round(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
