package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/stack"
)

// simulation is one stack in its own simulated account, run by the real engine.
type simulation struct {
	t         testing.TB
	box       *sandbox.Sandbox
	workspace sandbox.Workspace
	// log is everything that the engine has printed, on stdout and stderr.
	log bytes.Buffer

	// limits are what the account allows.
	limits sandbox.Limits

	mutex sync.Mutex
	fault func(sandbox.Operation) error
}

// outcome is the result of one run of the engine.
type outcome struct {
	// changes has a line for every resource with an operation: operation, type, name and the changed properties.
	changes []string
	// order has the same operations in the order in which they began: operation and name.
	order []string
	// printed is the output of the engine.
	printed string
	err     error

	refreshing []string
}

// simulate prepares a stack. settings replace keys of its configuration.
func simulate(t testing.TB, name string, settings map[string]any) *simulation {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the Pulumi engine")
	}
	r := &simulation{t: t, workspace: sandbox.Workspace{
		Project: "..", Dir: t.TempDir(), Stack: name, Program: stack.Deploy, Settings: settings,
	}}
	r.start()
	t.Cleanup(func() { r.box.Close() })
	return r
}

// start opens the account, which is in the workspace, so that a second start finds the resources of the first.
func (r *simulation) start() {
	r.t.Helper()
	box, err := sandbox.Start(sandbox.Options{Stack: r.workspace.Stack, Dir: r.workspace.Dir, Fault: r.inject,
		Limits: r.limits})
	if err != nil {
		r.t.Fatal(err)
	}
	r.box = box
}

// allowing reopens the account with other limits.
func (r *simulation) allowing(limits sandbox.Limits) {
	r.t.Helper()
	if err := r.box.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.limits = limits
	r.start()
}

func (r *simulation) inject(op sandbox.Operation) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.fault == nil {
		return nil
	}
	return r.fault(op)
}

// failing installs a fault for the next runs; nil removes it.
func (r *simulation) failing(fault func(sandbox.Operation) error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.fault = fault
}

// set changes settings for the next run.
func (r *simulation) set(settings map[string]any) {
	merged := maps.Clone(r.workspace.Settings)
	if merged == nil {
		merged = map[string]any{}
	}
	maps.Copy(merged, settings)
	r.workspace.Settings = merged
}

func (r *simulation) up(options ...optup.Option) outcome {
	return r.run(func(ctx context.Context, s auto.Stack, out io.Writer, stream chan events.EngineEvent) error {
		_, err := s.Up(ctx, append(options, optup.ProgressStreams(out), optup.ErrorProgressStreams(out),
			optup.EventStreams(stream))...)
		return err
	})
}

func (r *simulation) preview() outcome {
	return r.run(func(ctx context.Context, s auto.Stack, out io.Writer, stream chan events.EngineEvent) error {
		_, err := s.Preview(ctx, optpreview.ProgressStreams(out), optpreview.ErrorProgressStreams(out),
			optpreview.EventStreams(stream))
		return err
	})
}

func (r *simulation) refresh() outcome {
	return r.run(func(ctx context.Context, s auto.Stack, out io.Writer, stream chan events.EngineEvent) error {
		_, err := s.Refresh(ctx, optrefresh.ProgressStreams(out), optrefresh.ErrorProgressStreams(out),
			optrefresh.EventStreams(stream))
		return err
	})
}

func (r *simulation) destroy(options ...optdestroy.Option) outcome {
	return r.run(func(ctx context.Context, s auto.Stack, out io.Writer, stream chan events.EngineEvent) error {
		_, err := s.Destroy(ctx, append(options, optdestroy.ProgressStreams(out), optdestroy.ErrorProgressStreams(out),
			optdestroy.EventStreams(stream))...)
		return err
	})
}

func (r *simulation) run(operation func(context.Context, auto.Stack, io.Writer,
	chan events.EngineEvent) error) outcome {
	r.t.Helper()
	ctx := context.Background()
	s, err := r.workspace.Open(ctx, r.box)
	if err != nil {
		r.t.Fatal(err)
	}
	// The engine closes the stream only if it got far enough to open it. So nothing waits for the end of the stream
	// after the operation has returned: its buffer holds more events than a run has.
	stream := make(chan events.EngineEvent, 100_000)
	var printed bytes.Buffer
	result := outcome{err: operation(ctx, s, &printed, stream)}
	result.printed = printed.String()
	r.log.Write(printed.Bytes())
	for {
		select {
		case e, open := <-stream:
			if !open {
				slices.Sort(result.changes)
				return result
			}
			result.add(e)
		default:
			slices.Sort(result.changes)
			return result
		}
	}
}

func (o *outcome) add(e events.EngineEvent) {
	var step apitype.StepEventMetadata
	switch {
	case e.ResourcePreEvent != nil && e.ResourcePreEvent.Metadata.Op != apitype.OpRefresh:
		step = e.ResourcePreEvent.Metadata
	case e.ResOutputsEvent != nil && slices.Contains(o.refreshing, e.ResOutputsEvent.Metadata.URN):
		// The results of a refresh are known only at its end.
		step = e.ResOutputsEvent.Metadata
	case e.ResourcePreEvent != nil:
		o.refreshing = append(o.refreshing, e.ResourcePreEvent.Metadata.URN)
		return
	default:
		return
	}
	urn := resource.URN(step.URN)
	if step.Op == apitype.OpSame || step.Op == apitype.OpRefresh ||
		strings.HasPrefix(string(urn.Type()), "kubeadm-aws:") || urn.Type() == "pulumi:pulumi:Stack" {
		return
	}
	properties := slices.Sorted(maps.Keys(step.DetailedDiff))
	line := strings.TrimSpace(fmt.Sprintf("%-14s %s %s %s", step.Op, urn.Type(), urn.Name(),
		strings.Join(properties, " ")))
	o.changes = append(o.changes, line)
	o.order = append(o.order, string(step.Op)+" "+urn.Name())
}

// must ends the test if a run failed.
func (o outcome) must(t testing.TB) outcome {
	t.Helper()
	if o.err != nil {
		t.Fatalf("%v\n%s", o.err, tail(o.printed, 4000))
	}
	return o
}

func (o outcome) mustNotChange(t testing.TB) {
	t.Helper()
	o.must(t)
	if len(o.changes) > 0 {
		t.Errorf("expected no change, got %d:\n%s", len(o.changes), strings.Join(o.changes, "\n"))
	}
}

// state returns the stack's checkpoint in the backend, and the same with every secret in plain text.
func (r *simulation) state() (stored, plain []byte) {
	r.t.Helper()
	s, err := r.workspace.Open(context.Background(), r.box)
	if err != nil {
		r.t.Fatal(err)
	}
	deployment, err := s.Export(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	plain, err = json.Marshal(deployment)
	if err != nil {
		r.t.Fatal(err)
	}
	stored, err = os.ReadFile(r.workspace.Dir + "/state/.pulumi/stacks/kubeadm-aws/" + r.workspace.Stack + ".json")
	if err != nil {
		r.t.Fatal(err)
	}
	return stored, plain
}

// resources returns the custom resources in the state.
func (r *simulation) resources() []apitype.ResourceV3 {
	r.t.Helper()
	return slices.DeleteFunc(r.deployment().Resources, func(res apitype.ResourceV3) bool { return !res.Custom })
}

// mustBeEmpty permits the validation records in a zone that existed before: they stay for other certificates.
func (r *simulation) mustBeEmpty() {
	r.t.Helper()
	left := slices.DeleteFunc(r.box.Leftovers(), func(line string) bool {
		return strings.HasPrefix(line, typeRecord) && strings.Contains(line, "_CNAME")
	})
	if len(left) > 0 {
		r.t.Errorf("%d resources are left in the account:\n%s", len(left), strings.Join(left, "\n"))
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

var _ pulumi.RunFunc = stack.Deploy
