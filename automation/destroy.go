package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
)

// destroy takes the stack down.
func destroy(ctx context.Context, s *session) error {
	return s.takeDown(ctx, "Destroy stack %s, all %d resources?")
}

// rebuild takes the stack down and, when that has left nothing, brings it up again. It asks once, before the first.
func rebuild(ctx context.Context, s *session) error {
	if err := s.takeDown(ctx, "Destroy stack %s, all %d resources, and make it anew? What the cluster and its volumes hold is lost."); err != nil {
		return err
	}
	s.op.yes = true
	err := up(ctx, s)
	if f := (*failure)(nil); errors.As(err, &f) && f.code != exitOK {
		f.next = "The stack was destroyed. This goes on with making it: go run ./automation up --stack " + s.op.stack + " --cloud " + s.op.cloud
	}
	return err
}

// takeDown destroys the stack and ends with a receipt. It refuses to begin what protection would stop half way, and it gets
// past a cluster that is dead. The question is asked with the stack's name and the number of its resources.
func (s *session) takeDown(ctx context.Context, question string) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(p)
	s.start(p)
	if err := s.settle(ctx, p); err != nil {
		return err
	}
	before, err := p.export(ctx)
	if err != nil {
		return s.engine(err, newWatcher(s.log, nil, false))
	}
	state, err := parseDeployment(before)
	if err != nil {
		return err
	}
	if err := refuseProtected(s.op, state); err != nil {
		return err
	}
	planned := existing(state)
	s.log.emit(event{Kind: kindPlan, Changes: map[string]int{"delete": sum(planned)}, Phases: deletions(planned)})
	if err := s.confirm(fmt.Sprintf(question, s.op.stack, sum(planned))); err != nil {
		return err
	}
	if err := s.forgetDeadCluster(ctx, p, before, state); err != nil {
		return err
	}
	w := newWatcher(s.log, planned, false)
	err = w.follow(func(stream chan<- events.EngineEvent) error {
		_, err := p.Destroy(ctx, optdestroy.EventStreams(stream), optdestroy.Parallel(s.op.parallel), optdestroy.SuppressProgress(), optdestroy.ShowSecrets(false))
		return err
	})
	if err != nil {
		return s.engine(err, w)
	}
	if err := s.timeline(before, w, true); err != nil {
		return err
	}
	return s.receipt(ctx, p, state, w)
}

// existing counts the resources in the state, by phase.
func existing(d deployment) map[string]int {
	count := map[string]int{}
	for _, r := range d.Resources {
		if counted(r.Type, r.Custom) && !r.External {
			count[phaseOf(r.URN)]++
		}
	}
	return count
}

func deletions(planned map[string]int) []phaseChanges {
	var all []phaseChanges
	for _, phase := range phases {
		if n := planned[phase]; n > 0 {
			all = append(all, phaseChanges{Phase: phase, Changes: map[string]int{"delete": n}})
		}
	}
	return all
}

func sum(by map[string]int) int {
	total := 0
	for _, n := range by {
		total += n
	}
	return total
}

// refuseProtected explains protection before anything is deleted; the engine would stop at the first protected resource,
// with half of the stack gone.
func refuseProtected(op operation, d deployment) error {
	var names []string
	for _, r := range d.Resources {
		if r.Protect && !r.External {
			names = append(names, readable(r.URN))
		}
	}
	if len(names) == 0 {
		return nil
	}
	lift := fmt.Sprintf(`To lift the protection, then destroy:
  pulumi config set --stack %[1]s --path kubeadm-aws:protection.protect false
  automation up --stack %[1]s --cloud %[2]s`, op.stack, op.cloud)
	return fail(exitCannotStart, lift, "stack %s is protected, nothing was touched: %s", op.stack, strings.Join(names, ", "))
}

// receipt is what a destroy leaves on paper.
type receipt struct {
	Stack   string    `json:"stack"`
	Cloud   string    `json:"cloud"`
	Cluster string    `json:"cluster"`
	Ended   time.Time `json:"ended"`
	// Removed counts what Pulumi deleted.
	Removed int `json:"removed"`
	// Swept is what controllers had made and the sweep removed.
	Swept []string `json:"swept"`
	// Kept is what stays because the settings say so.
	Kept []string `json:"kept"`
	// Left is what should be gone and is not.
	Left []string `json:"left"`
}

// receipt proves that nothing is left, or names what is.
func (s *session) receipt(ctx context.Context, p *place, before deployment, w *watcher) error {
	r := receipt{
		Stack: s.op.stack, Cloud: s.op.cloud, Cluster: s.cfg.Cluster.Name, Ended: time.Now().UTC().Truncate(time.Second),
		Removed: w.changes["delete"], Swept: []string{}, Kept: []string{}, Left: []string{},
	}
	var err error
	if p.sandbox != nil {
		s.listSandbox(p, before, &r)
	} else {
		err = s.listAccount(ctx, p, before, &r)
	}
	file, writeErr := s.writeReceipt(p, r)
	if writeErr != nil {
		return fail(exitFailed, "", "%w", writeErr)
	}
	s.log.emit(event{Kind: kindReceipt, Changes: map[string]int{"delete": r.Removed}, Swept: r.Swept, Kept: r.Kept, Left: r.Left, State: file})
	switch {
	case err != nil:
		return err
	case len(r.Left) > 0:
		return fail(exitLeftovers, s.whatNextWithLeftovers(p, before), "%d %s left", len(r.Left), plural(len(r.Left), "thing is", "things are"))
	}
	return nil
}

func (s *session) whatNextWithLeftovers(p *place, before deployment) string {
	if p.sandbox != nil {
		return "On AWS this would cost money for ever: the order of the destroy is wrong. To start the rehearsal anew: rm -r " + relative(p.dir)
	}
	command, _ := sweepOf(before)
	return "Look at each in the console. What carries the cluster's tags: " + s.sweepByHand(command.flag("vpc")) + ", then the same without --dry-run."
}

// listSandbox asks the account of a rehearsal. When it is empty, the rehearsal goes too.
func (s *session) listSandbox(p *place, before deployment, r *receipt) {
	retained := map[string]bool{}
	for _, resource := range before.Resources {
		if resource.RetainOnDelete && resource.ID != "" {
			retained[resource.ID] = true
		}
	}
	left := p.sandbox.Leftovers()
	for _, line := range left {
		words := strings.Fields(line)
		byID := len(words) > 1 && retained[words[1]]
		volume := strings.HasPrefix(line, "aws:ebs/volume:") && s.cfg.Protection.Volumes == "keep"
		if byID || volume {
			r.Kept = append(r.Kept, line)
		} else {
			r.Left = append(r.Left, line)
		}
	}
	p.spent = len(left) == 0
}

// writeReceipt writes the receipt of a real account to a file and returns its name. A rehearsal's goes with it.
func (s *session) writeReceipt(p *place, r receipt) (string, error) {
	file := s.op.receipt
	if file == "" {
		if p.sandbox != nil {
			return "", nil
		}
		file = filepath.Join(s.op.dir, "receipt-"+s.op.stack+"-destroy.json")
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode the receipt: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return "", fmt.Errorf("write the receipt: %w", err)
	}
	return relative(file), nil
}
