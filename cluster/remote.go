package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kubeadm-aws/cluster/stepline"

	"github.com/pulumi/pulumi-command/sdk/go/command"
	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Script is a shell script and the settings that it reads from its environment.
type Script struct {
	// Name is the file name of the script without .sh, such as "node-delete". Its host must have it: see Args.Scripts.
	Name string
	// Env holds upper-case names and plain values, which may have several lines. It must not hold secrets: it is part
	// of the command text, which diffs and error messages show.
	Env map[string]pulumi.StringInput
}

// Step is one script run as root on one host.
type Step struct {
	// Name is the operation, such as "join". The script reads it as STEP.
	Name string
	// Node is the node that the step changes, which may differ from the host that it runs on. The script reads it as
	// NODE.
	Node string
	// Run is executed at creation, and again when it, the files or the connection change. It must be idempotent.
	// Without a name nothing is executed, and the host is not asked.
	Run Script
	// Delete is executed when the step is removed from the program or replaced. Nil does nothing.
	Delete *Script
	// Files are secret. Run gets them on its standard input as base64 of a compressed tar archive with these names.
	Files map[string]pulumi.StringInput
	// Minutes limits the script from outside, on its host. Scripts also limit their own waits, with better messages.
	Minutes int
	// DeleteMinutes limits Delete. Zero means Minutes.
	DeleteMinutes int
	// Triggers replace the step when they change, so that Delete runs first.
	Triggers pulumi.Array
}

// host is a machine that runs steps.
type host struct {
	connection remote.ConnectionArgs
	id         pulumi.StringInput // the machine's id, which differs for a new machine of the same name
	machine    pulumi.Resource
	scripts    scripts
	// isNew is set for the step that brings the scripts.
	isNew    bool
	provider *command.Provider
	parent   pulumi.Resource
}

// host returns the machine of a node.
func (c *Cluster) host(h Host, privateKey pulumi.StringInput) host {
	return host{
		connection: remote.ConnectionArgs{
			Host:           h.Address,
			User:           pulumi.String(h.User),
			PrivateKey:     pulumi.ToSecret(privateKey).(pulumi.StringOutput),
			HostKey:        h.HostKey.ToStringOutput().ToStringPtrOutput(),
			DialErrorLimit: pulumi.Int(dialErrors),
			PerDialTimeout: pulumi.Int(dialSeconds),
		},
		id:       h.ProviderID,
		machine:  h.Machine,
		scripts:  c.scripts[h.Role],
		provider: c.commands,
		parent:   c,
	}
}

// How long a host may be unreachable: about a minute if it refuses connections, enough for a reboot; three and a half
// minutes if nothing answers. sshd also refuses connections while many steps log in at once. After the last attempt
// the command provider reports the reason. Each limit is therefore below dialMinutes: a context that ends first would
// hide the reason.
const (
	dialErrors  = 20
	dialSeconds = 8 // in which TCP sends four SYNs

	// For a machine that is still booting: two minutes if it refuses, and a little over four if nothing answers.
	bootDialErrors  = 32
	bootDialSeconds = 4 // in which TCP sends three SYNs

	dialMinutes = 5
)

// booting returns a machine that may still be booting, and has no scripts yet or those of an older program.
func (h host) booting() host {
	h.isNew = true
	h.connection.DialErrorLimit = pulumi.Int(bootDialErrors)
	h.connection.PerDialTimeout = pulumi.Int(bootDialSeconds)
	return h
}

// run creates the resource of a step. It creates every remote command of the program.
func (h host) run(ctx *pulumi.Context, name string, step Step, opts ...pulumi.ResourceOption) (*remote.Command, error) {
	args := &remote.CommandArgs{
		Connection:             h.connection,
		AddPreviousOutputInEnv: pulumi.Bool(false),
		Triggers:               step.Triggers,
	}
	var err error
	if step.Run.Name != "" {
		if args.Create, err = h.commandText(step, step.Name, step.Run, step.Minutes); err != nil {
			return nil, err
		}
	}
	deleteMinutes := step.Minutes
	if step.DeleteMinutes > 0 {
		deleteMinutes = step.DeleteMinutes
	}
	if step.Delete != nil {
		if args.Delete, err = h.commandText(step, step.Name+"-delete", *step.Delete, deleteMinutes); err != nil {
			return nil, err
		}
	}
	if len(step.Files) > 0 {
		args.Stdin = bundle(step.Files)
		args.Logging = remote.LoggingNone
	}
	timeout, deleteTimeout := fmt.Sprintf("%dm", dialMinutes+step.Minutes), fmt.Sprintf("%dm", dialMinutes+deleteMinutes)
	opts = append([]pulumi.ResourceOption{
		pulumi.Parent(h.parent),
		pulumi.Provider(h.provider),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: timeout, Update: timeout, Delete: deleteTimeout}),
		// A trigger contains the machine behind a name. Two machines with one name cannot be in the cluster at the
		// same time.
		pulumi.DeleteBeforeReplace(true),
	}, slices.Concat(h.withMachine(), opts)...)
	cmd, err := remote.NewCommand(ctx, name, args, opts...)
	if err != nil {
		return nil, fmt.Errorf("step %s: %w", name, err)
	}
	return cmd, nil
}

// withMachine returns the options of a step whose effect disappears with its machine. Deleting both must not connect
// to a dead host.
func (h host) withMachine() []pulumi.ResourceOption {
	if h.machine == nil {
		return nil
	}
	return []pulumi.ResourceOption{pulumi.DeletedWith(h.machine), dependsOn(h.machine)}
}

// commandText returns the command for the host, as one line of shell.
func (h host) commandText(step Step, name string, script Script, minutes int) (pulumi.StringPtrInput, error) {
	args, err := h.bashArgs(script.Name, minutes)
	if err != nil {
		return nil, fmt.Errorf("step %s: %w", name, err)
	}
	keys := slices.Sorted(maps.Keys(script.Env))
	values := make([]any, len(keys))
	for i, k := range keys {
		values[i] = script.Env[k]
	}
	return pulumi.All(values...).ApplyT(func(resolved []any) string {
		line := stepline.Line{Name: name, Node: step.Node, Env: map[string]string{}, Args: args}
		for i, k := range keys {
			line.Env[k] = resolved[i].(string)
		}
		return line.Format()
	}).(pulumi.StringOutput).ToStringPtrOutput(), nil
}

// bashArgs returns the arguments of bash that run a script for at most some minutes.
func (h host) bashArgs(script string, minutes int) ([]string, error) {
	if _, ok := h.scripts[script]; !ok {
		return nil, fmt.Errorf("its host has no script %s.sh; it has %s", script,
			strings.Join(slices.Sorted(maps.Keys(h.scripts)), ", "))
	}
	args := []string{h.scripts.path("limit"), strconv.Itoa(minutes * 60), h.scripts.path(script)}
	if !h.isNew {
		return args, nil
	}
	archive, err := h.scripts.archive()
	return append([]string{"-c", installScript, "bash", archive}, args...), err
}

// bundle returns the secret standard input that contains files.
func bundle(files map[string]pulumi.StringInput) pulumi.StringOutput {
	names := slices.Sorted(maps.Keys(files))
	contents := make([]any, len(names))
	for i, n := range names {
		contents[i] = files[n]
	}
	packed := pulumi.All(contents...).ApplyT(func(resolved []any) (string, error) {
		plain := make(map[string]string, len(names))
		for i, n := range names {
			plain[n] = resolved[i].(string)
		}
		return stepline.Pack(plain)
	}).(pulumi.StringOutput)
	return pulumi.ToSecret(packed).(pulumi.StringOutput)
}
