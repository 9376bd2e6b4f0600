package main

import (
	"fmt"
	"time"

	"kubeadm-aws/sandbox"
)

// predict reports the timeline that AWS would take, from the latencies that the sandbox knows. A stack whose state
// holds nothing has none.
func (s *session) predict(deployment []byte) error {
	t, err := sandbox.Predict(deployment)
	if err != nil || t.Up.Total == 0 {
		return err
	}
	e := event{Kind: kindTimeline, Message: "predicted on AWS", Seconds: t.Up.Total.Seconds()}
	if t.Ready > 0 {
		e.Message += fmt.Sprintf(", nodes Ready after %s", t.Ready.Round(time.Second))
	}
	for _, c := range t.Up.Critical {
		e.Path = append(e.Path, pathStep{Resource: c.Name, Start: c.Start.Seconds(), End: c.End.Seconds()})
	}
	s.log.emit(e)
	return nil
}
