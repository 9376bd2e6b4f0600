package sandbox

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// commandProvider runs commands as pulumi-command does: what runs when, what a failure leaves in the state, and which
// connection and text a delete uses. The backend runs the command; without a backend the steps of the cluster change the
// account (steps.go).
type commandProvider struct {
	backend Backend
	shell   kubeShell
	console awsConsole
}

const (
	remoteType = "command:remote:Command"
	localType  = "command:local:Command"
)

// commandTypes are the types of the provider.
var commandTypes = []string{remoteType, localType}

func (p *commandProvider) check(r *request) (checked, error) {
	switch r.typ {
	case remoteType:
		return checked{failures: missing(r.inputs, []string{"connection"})}, nil
	case localType:
		return checked{}, nil
	}
	return checked{}, unknownType(r.typ)
}

// diff updates on any change; triggers replace.
func (p *commandProvider) diff(r *request) difference {
	changed := changedKeys(r.oldInputs, r.inputs)
	return difference{changed: changed, replace: replaceWhen(changed, "triggers")}
}

func (p *commandProvider) create(r *request) (answer, error) {
	if r.preview {
		return answer{outputs: values{"stdout": unknown{}, "stderr": unknown{}}}, nil
	}
	id := uuid.NewString()
	if r.inputs.str("create") == "" {
		return answer{id: id, outputs: values{"stdout": "", "stderr": ""}}, nil
	}
	stdout, stderr, err := p.run(r, r.inputs, "create")
	if err != nil { // a failed create leaves nothing in the state: the next run creates again
		return answer{}, err
	}
	return answer{id: id, outputs: values{"stdout": stdout, "stderr": stderr}}, nil
}

// update runs update, or create in its absence, whatever input changed.
func (p *commandProvider) update(r *request) (answer, error) {
	before := values{"stdout": r.old["stdout"], "stderr": r.old["stderr"]}
	which := "update"
	if r.inputs.str("update") == "" {
		which = "create"
	}
	if r.preview {
		if changedAmongOld(r.oldInputs, r.inputs) {
			return answer{outputs: values{"stdout": unknown{}, "stderr": unknown{}}}, nil
		}
		return answer{outputs: before}, nil
	}
	if r.inputs.str(which) == "" {
		return answer{outputs: before}, nil
	}
	stdout, stderr, err := p.run(r, r.inputs, which)
	if err != nil {
		return answer{}, err
	}
	return answer{outputs: values{"stdout": stdout, "stderr": stderr}}, nil
}

// changedAmongOld reports whether an input of the old state differs. Only then is the output unknown in a preview.
func changedAmongOld(olds, news values) bool {
	for k, v := range olds {
		if containsUnknown(news[k]) || !reflect.DeepEqual(v, news[k]) {
			return true
		}
	}
	return false
}

func (p *commandProvider) read(r *request) (answer, error) { return answer{id: r.id}, nil }

// delete runs the old text over the old connection.
func (p *commandProvider) delete(r *request) error {
	if r.old.str("delete") == "" {
		return nil
	}
	_, _, err := p.run(r, r.old, "delete")
	return err
}

func (p *commandProvider) invoke(r *request, _ values) (values, error) {
	return nil, unknownInvoke(r.typ)
}

// run executes one of a command's texts.
func (p *commandProvider) run(r *request, in values, which string) (stdout, stderr string, err error) {
	if r.typ == localType {
		return p.runLocal(in, which)
	}
	if len(in.object("environment")) > 0 {
		return "", "", errors.New("sshd refuses to set environment variables: put them into the command")
	}
	text := in.str(which)
	to := connectionOf(in.object("connection"))
	backend := p.backend
	switch {
	case backend != nil && asksARelease(text):
		// Docker hosts record releases without installing them, so the service does not run.
	case backend != nil:
		to.Command, to.Stdin = text, in.str("stdin")
		if stdout, stderr, err = backend.Exec(r.ctx, to); err != nil {
			return "", "", err
		}
	default:
		if stdout, err = p.shell.run(to, text, in.str("stdin")); err != nil {
			return "", "", fmt.Errorf("%w: running %q", err, text)
		}
	}
	return strings.TrimSuffix(stdout, "\n"), strings.TrimSuffix(stderr, "\n"), nil
}

// asksARelease reports whether a step talks to what a Helm release runs, or serves it.
func asksARelease(text string) bool {
	name, _, err := parseStep(text)
	return err == nil && (name == "password" || name == "backup-credentials" || strings.HasPrefix(name, "rabbitmq-backup"))
}

func connectionOf(in values) RemoteCommand {
	c := RemoteCommand{
		Host: in.str("host"), Port: int(in.number("port")), User: in.str("user"),
		PrivateKey: in.str("privateKey"), HostKey: in.str("hostKey"),
		DialErrorLimit: int(in.number("dialErrorLimit")), PerDialTimeout: time.Duration(in.number("perDialTimeout")) * time.Second,
	}
	if c.Port == 0 {
		c.Port = 22
	}
	if c.User == "" {
		c.User = "root"
	}
	if !in.set("dialErrorLimit") {
		c.DialErrorLimit = 10
	}
	if c.PerDialTimeout == 0 {
		c.PerDialTimeout = 15 * time.Second
	}
	return c
}

// runLocal simulates the local command of the program, the sweep. Other commands do nothing.
func (p *commandProvider) runLocal(in values, which string) (stdout, stderr string, err error) {
	if !isSweep(in.str(which)) {
		return "", "", nil
	}
	swept := p.console.Sweep(in.str(which), false)
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

func isSweep(text string) bool { return slices.Contains(strings.Fields(text), "./sweep") }
