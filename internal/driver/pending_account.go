package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"kubeadm-aws/internal/report"
)

// askAccount looks for things in the account and returns the ids of all that fit, by URN. On AWS the sweep does it, which has the SDK.
func (s *session) askAccount(ctx context.Context, p *place, things []wanted) (map[string][]string, error) {
	found := map[string][]string{}
	if len(things) == 0 {
		return found, nil
	}
	if p.sandbox != nil {
		for _, w := range things {
			found[w.URN] = p.sandbox.AWS.Find(w.Type, w.Tags, w.Properties)
		}
		return found, nil
	}
	question, err := json.Marshal(things)
	if err != nil {
		return nil, err
	}
	answer, err := s.askSweep(ctx, "--find", question)
	if err == nil {
		err = json.Unmarshal(answer, &found)
	}
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart, "With credentials that may list what the stack is made of, run this again.",
			"a run was killed, and the account could not be asked what became of what it made: %w", err)
	}
	return found, nil
}

// askSweep builds the sweep and asks it a question, which it reads from its standard input: --find or --states.
func (s *session) askSweep(ctx context.Context, mode string, question []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "kubeadm-aws-find")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "sweep")
	if err := s.build(ctx, s.op.dir, "./sweep", binary); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, mode, "--region", s.cfg.Region)
	cmd.Env = s.sweepEnvironment()
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(question), &stdout, &stderr
	if err := s.cli.run(cmd); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
