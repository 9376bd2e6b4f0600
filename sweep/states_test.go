package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubeadm-aws/sweep/question"
)

// TestStatesSayHowInstancesAre asks about an instance that runs, one that a person stopped, and one that is unknown.
func TestStatesSayHowInstancesAre(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	runs, stopped := v.instance(), v.instance()
	must(w.aws.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{stopped}}))
	asked, err := json.Marshal([]string{runs, stopped, "i-00000000000000001"})
	if err != nil {
		t.Fatal(err)
	}
	o := runWith(t, string(asked), "--states")
	var answer question.Instances
	if err := json.Unmarshal([]byte(o.stdout), &answer); err != nil || len(answer.Instances) != 2 {
		t.Fatalf("%v: %s%s", err, o.stdout, o.stderr)
	}
	if i := answer.Instances[runs]; i.State != "running" || i.Reason != "" || !i.FailedSince.IsZero() ||
		time.Since(i.Launched) > time.Hour {
		t.Errorf("the instance that runs: %+v", i)
	}
	if i := answer.Instances[stopped]; i.State != "stopped" || i.Reason != "Client.UserInitiatedShutdown" {
		t.Errorf("the instance that was stopped: %+v", i)
	}
}

// TestOnlyFailedStatusChecksCount goes through the answers of EC2. The emulator has none but good ones.
func TestOnlyFailedStatusChecksCount(t *testing.T) {
	first, second := time.Unix(1000, 0), time.Unix(2000, 0)
	summary := func(status types.SummaryStatus, since *time.Time) *types.InstanceStatusSummary {
		return &types.InstanceStatusSummary{Status: status, Details: []types.InstanceStatusDetails{{ImpairedSince: since}}}
	}
	for name, c := range map[string]struct {
		instance, system *types.InstanceStatusSummary
		want             time.Time
	}{
		"no answer":            {},
		"all well":             {instance: summary("ok", nil), system: summary("ok", nil)},
		"a machine that boots": {instance: summary("initializing", nil), system: summary("initializing", nil)},
		"no data":              {instance: summary("insufficient-data", &first), system: summary("ok", nil)},
		"the instance":         {instance: summary("impaired", &first), system: summary("ok", nil), want: first},
		"its hardware":         {instance: summary("ok", nil), system: summary("impaired", &second), want: second},
		"both":                 {instance: summary("impaired", &second), system: summary("impaired", &first), want: first},
		"since no known time":  {instance: summary("impaired", nil)},
	} {
		if got := failedSince(c.instance, c.system); !got.Equal(c.want) {
			t.Errorf("%s: since %s, want %s", name, got, c.want)
		}
	}
}
