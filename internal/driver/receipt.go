package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

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
func (s *session) receipt(ctx context.Context, p *place, before state.State, w *report.Watcher) error {
	r := receipt{
		Stack: s.op.Stack, Cloud: s.op.Cloud, Cluster: s.cfg.Cluster.Name, Ended: time.Now().UTC().Truncate(time.Second),
		Removed: w.Changes["delete"], Swept: []string{}, Kept: []string{}, Left: []string{},
	}
	var err error
	if p.sandbox != nil {
		s.listSandbox(p, before, &r)
	} else {
		err = s.listAccount(ctx, p, before, &r)
	}
	file, writeErr := s.writeReceipt(p, r)
	if writeErr != nil {
		return report.Fail(report.ExitFailed, "", "%w", writeErr)
	}
	s.log.Emit(report.Event{Kind: report.KindReceipt, Changes: map[string]int{"delete": r.Removed}, Swept: r.Swept, Kept: r.Kept, Left: r.Left, State: file})
	switch {
	case err != nil:
		return err
	case len(r.Left) > 0:
		return report.Fail(report.ExitLeftovers, s.whatNextWithLeftovers(p, before), "%d %s left", len(r.Left), report.Plural(len(r.Left), "thing is", "things are"))
	}
	return nil
}

func (s *session) whatNextWithLeftovers(p *place, before state.State) string {
	if p.sandbox != nil {
		return "On AWS this would cost money for ever: the order of the destroy is wrong. To start the rehearsal anew: rm -r " + relative(p.dir)
	}
	command, _ := sweepOf(before)
	return "Look at each in the console. What carries the cluster's tags: " + s.sweepByHand(command.flag("vpc")) + ", then the same without --dry-run."
}

// listSandbox asks the account of a rehearsal. When it is empty, the rehearsal goes too.
func (s *session) listSandbox(p *place, before state.State, r *receipt) {
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
		file = filepath.Join(s.op.dir, "receipt-"+s.op.Stack+"-destroy.json")
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
