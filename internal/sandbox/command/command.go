// Package command is the command provider of the sandbox.
package command

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/kube"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/sweep/sweepline"
)

// Provider runs commands as pulumi-command does: what runs when, what a failure leaves in the state, and which
// connection and text a delete uses. The backend runs the command. Without a backend, package kube runs the steps of
// the program in its model.
type Provider struct {
	backend backend.Backend
	shell   kube.Shell
	console aws.Console
}

// New runs commands on b, or in the model with the shell when b is nil. The local command of the program, the
// sweep, runs in the console.
func New(b backend.Backend, shell kube.Shell, console aws.Console) *Provider {
	return &Provider{b, shell, console}
}

const (
	remoteType = "command:remote:Command"
	localType  = "command:local:Command"
)

// types are the types of the provider.
var types = []string{remoteType, localType}

func (p *Provider) Check(r *engine.Request) (engine.Checked, error) {
	switch r.Type {
	case remoteType:
		return engine.Checked{Failures: engine.Missing(r.Inputs, []string{"connection"})}, nil
	case localType:
		return engine.Checked{}, nil
	}
	return engine.Checked{}, engine.UnknownType(r.Type)
}

// Diff updates on any change; triggers replace.
func (p *Provider) Diff(r *engine.Request) engine.Difference {
	changed := props.Changed(r.OldInputs, r.Inputs)
	return engine.Difference{Changed: changed, Replace: props.Among(changed, "triggers")}
}

func (p *Provider) Create(r *engine.Request) (engine.Answer, error) {
	if r.Preview {
		return engine.Answer{Outputs: props.Map{"stdout": props.Unknown{}, "stderr": props.Unknown{}}}, nil
	}
	id := uuid.NewString()
	if r.Inputs.Str("create") == "" {
		return engine.Answer{ID: id, Outputs: props.Map{"stdout": "", "stderr": ""}}, nil
	}
	stdout, stderr, err := p.run(r, r.Inputs, "create")
	if err != nil { // a failed create leaves nothing in the state: the next run creates again
		return engine.Answer{}, err
	}
	return engine.Answer{ID: id, Outputs: props.Map{"stdout": stdout, "stderr": stderr}}, nil
}

// Update runs update, or create in its absence, whatever input changed.
func (p *Provider) Update(r *engine.Request) (engine.Answer, error) {
	before := props.Map{"stdout": r.Old["stdout"], "stderr": r.Old["stderr"]}
	which := "update"
	if r.Inputs.Str("update") == "" {
		which = "create"
	}
	if r.Preview {
		if changedAmongOld(r.OldInputs, r.Inputs) {
			return engine.Answer{Outputs: props.Map{"stdout": props.Unknown{}, "stderr": props.Unknown{}}}, nil
		}
		return engine.Answer{Outputs: before}, nil
	}
	if r.Inputs.Str(which) == "" {
		return engine.Answer{Outputs: before}, nil
	}
	stdout, stderr, err := p.run(r, r.Inputs, which)
	if err != nil {
		return engine.Answer{}, err
	}
	return engine.Answer{Outputs: props.Map{"stdout": stdout, "stderr": stderr}}, nil
}

// changedAmongOld reports whether an input of the old state differs. Only then is the output unknown in a preview.
func changedAmongOld(olds, news props.Map) bool {
	for k, v := range olds {
		if props.HasUnknown(news[k]) || !reflect.DeepEqual(v, news[k]) {
			return true
		}
	}
	return false
}

func (p *Provider) Read(r *engine.Request) (engine.Answer, error) {
	return engine.Answer{ID: r.ID}, nil
}

// Delete runs the delete text of the state over the connection of the state.
func (p *Provider) Delete(r *engine.Request) error {
	if r.Old.Str("delete") == "" {
		return nil
	}
	_, _, err := p.run(r, r.Old, "delete")
	return err
}

func (p *Provider) Invoke(r *engine.Request, _ props.Map) (props.Map, error) {
	return nil, engine.UnknownFunction(r.Type)
}

// run executes one of a command's texts.
func (p *Provider) run(r *engine.Request, in props.Map, which string) (stdout, stderr string, err error) {
	if r.Type == localType {
		return p.runLocal(in, which)
	}
	if len(in.Object("environment")) > 0 {
		return "", "", errors.New("sshd refuses to set environment variables: put them into the command")
	}
	text := in.Str(which)
	to := connectionOf(in.Object("connection"))
	backend := p.backend
	switch {
	case backend != nil:
		to.Command, to.Stdin, to.Release = text, in.Str("stdin"), releaseOf(text)
		if stdout, stderr, err = backend.Exec(r.Ctx, to); err != nil {
			return "", "", err
		}
	default:
		if stdout, err = p.shell.Run(to, text, in.Str("stdin")); err != nil {
			return "", "", fmt.Errorf("%w: running %q", err, text)
		}
	}
	return strings.TrimSuffix(stdout, "\n"), strings.TrimSuffix(stderr, "\n"), nil
}

// releaseOf returns the Helm release whose service a step calls or backs up, or "" for other steps.
func releaseOf(text string) string {
	line, err := stepline.Parse(text)
	switch {
	case err != nil:
		return ""
	case line.Name == "password":
		of := map[string]string{"rabbitmq": rabbitmq, "redis": "valkey", "grafana": "kube-prometheus-stack"}
		// A service without an entry is not a release that runs, so the model answers for it.
		return cmp.Or(of[line.Env["SERVICE"]], line.Env["SERVICE"])
	case strings.HasPrefix(line.Name, "rabbitmq-backup"):
		return rabbitmq
	case strings.HasPrefix(line.Name, "backup-credentials"):
		return "cloudnative-pg"
	}
	return ""
}

const rabbitmq = "rabbitmq-cluster-operator"

func connectionOf(in props.Map) backend.RemoteCommand {
	c := backend.RemoteCommand{
		Host: in.Str("host"), Port: int(in.Number("port")), User: in.Str("user"),
		PrivateKey: in.Str("privateKey"), HostKey: in.Str("hostKey"),
		DialErrorLimit: int(in.Number("dialErrorLimit")),
		PerDialTimeout: time.Duration(in.Number("perDialTimeout")) * time.Second,
	}
	if c.Port == 0 {
		c.Port = 22
	}
	if c.User == "" {
		c.User = "root"
	}
	if !in.Has("dialErrorLimit") {
		c.DialErrorLimit = 10
	}
	if c.PerDialTimeout == 0 {
		c.PerDialTimeout = 15 * time.Second
	}
	return c
}

// runLocal simulates the local command of the program, the sweep. Other commands do nothing.
func (p *Provider) runLocal(in props.Map, which string) (stdout, stderr string, err error) {
	if !strings.HasPrefix(in.Str(which), sweepline.Program+" ") {
		return "", "", nil
	}
	line, err := sweepline.Parse(in.Str(which))
	if err != nil {
		return "", "", err
	}
	swept := p.console.Sweep(line, false)
	if len(swept.Found) > 0 && len(swept.Instances) > 0 {
		return "", "", fmt.Errorf("nothing was removed: %d instances of the cluster are not terminated: %s",
			len(swept.Instances), strings.Join(swept.Instances, ", "))
	}
	lines := []string{fmt.Sprintf("swept: %d found, %d removed, 0 left", len(swept.Found), len(swept.Found))}
	for _, title := range swept.Found {
		lines = append(lines, "removed "+title)
	}
	return strings.Join(lines, "\n"), "", nil
}
