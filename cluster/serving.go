package cluster

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// ServingStep is the name of the step that the machines of several control planes wait for. It asks the control planes
// that stay in service whether they can do without the others.
const ServingStep = "control-planes"

// Serving is what the step control-planes asked last.
type Serving struct {
	// ControlPlanes are the names of all control planes of the settings. It is empty if the step has never asked.
	ControlPlanes []string
	// Times is how often it has asked. Another number makes the step ask again.
	Times int
}

// ReadServing parses the command text of the step control-planes.
func ReadServing(command string) Serving {
	line, _ := stepline.Parse(command)
	times, _ := strconv.Atoi(line.Env["TIMES"])
	return Serving{strings.Fields(line.Env["CONTROL_PLANES"]), times}
}

// ServingArgs are the inputs of Serving.
type ServingArgs struct {
	// Ask makes the step ask in this update. Otherwise it keeps the inputs of its state, or does nothing if it is new.
	Ask Serving
	// Stop are the control planes whose machines stop or are replaced. Those of Ask without them stay in service.
	Stop []string
	// Peer is asked. It has no machine, because each machine of a control plane waits for the step.
	Peer          Host
	SSHPrivateKey pulumi.StringInput
	// Endpoint is the API's name inside the cluster.
	Endpoint string
}

// Serving creates the step control-planes. An update of which it fails has changed no machine of a control plane.
func (c *Cluster) Serving(ctx *pulumi.Context, args ServingArgs) (pulumi.Resource, error) {
	all, err := newScripts(nil)
	if err != nil {
		return nil, err
	}
	on := c.host(args.Peer, args.SSHPrivateKey)
	on.isNew, on.scripts = true, all[config.ControlPlane].only(servingScripts)
	step := Step{Name: ServingStep, Minutes: 10}
	opts := []pulumi.ResourceOption{pulumi.DependsOn(args.Peer.DependsOn)}
	if len(args.Ask.ControlPlanes) == 0 {
		return on.run(ctx, ServingStep, step, append(opts, pulumi.IgnoreChanges([]string{"connection", "create"}))...)
	}
	stay := slices.DeleteFunc(slices.Clone(args.Ask.ControlPlanes),
		func(name string) bool { return slices.Contains(args.Stop, name) })
	step.Run = Script{Name: ServingStep, Env: map[string]pulumi.StringInput{
		"CONTROL_PLANES": pulumi.String(strings.Join(args.Ask.ControlPlanes, " ")),
		"STAY":           pulumi.String(strings.Join(stay, " ")),
		"STOP":           pulumi.String(strings.Join(args.Stop, " ")),
		"ENDPOINT":       pulumi.String(args.Endpoint + ":" + apiPort),
		"TIMES":          pulumi.String(strconv.Itoa(args.Ask.Times)),
	}}
	return on.run(ctx, ServingStep, step, opts...)
}
