package cluster

import (
	"errors"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// controlPlanesOf returns the control planes: the one that is initialised, then those that join it, by name.
func controlPlanesOf(hosts []Host, initialised string) ([]Host, error) {
	var found []Host
	for _, h := range byHostName(hosts) {
		if h.Role == config.ControlPlane {
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("a cluster needs a control plane")
	}
	if i := slices.IndexFunc(found, func(h Host) bool { return h.Name == initialised }); i > 0 {
		found = slices.Concat(found[i:i+1], found[:i], found[i+1:])
	}
	return found, nil
}

func byHostName(hosts []Host) []Host {
	return slices.SortedFunc(slices.Values(hosts), func(a, b Host) int { return strings.Compare(a.Name, b.Name) })
}

// members builds the steps and settings with which control planes join and leave a cluster.
type members struct{ steps }

// several reports whether the cluster has more than one control plane.
func (s steps) several() bool { return len(s.controlPlanes) > 1 }

// join makes one more control plane of the host, or applies changed settings to it. Its script is that of
// init, because everything but the first run is the same.
func (s members) join(h Host) Step {
	step := s.init(h)
	step.Name = "join"
	step.Run.Env["JOINS"] = pulumi.String("yes")
	delete(step.Run.Env, "MEMBERS_LEAVE")
	return step
}

// leaveEnv returns the settings with which init.sh takes out the control planes that the settings no longer contain.
func (s members) leaveEnv() map[string]pulumi.StringInput {
	names := make([]string, len(s.controlPlanes))
	for i, h := range s.controlPlanes {
		names[i] = h.Name
	}
	slices.Sort(names)
	return map[string]pulumi.StringInput{
		"CONTROL_PLANES": pulumi.String(strings.Join(names, " ")),
		"MEMBERS_LEAVE":  pulumi.String(s.scripts.path("members-leave")),
		"NODE_DELETE":    pulumi.String(s.scripts.path("node-delete")),
	}
}

// env returns the settings with which init.sh finds the other control planes.
func (s members) env(h Host) map[string]pulumi.StringInput {
	peers := slices.DeleteFunc(slices.Clone(s.controlPlanes), func(other Host) bool { return other.Name == h.Name })
	return map[string]pulumi.StringInput{
		"PEERS":       addressesOf(peers),
		"ENDPOINT":    pulumi.String(s.args.Endpoint + ":" + apiPort),
		"MEMBER":      pulumi.String(s.scripts.path("member")),
		"API_NAME":    pulumi.String(s.scripts.path("api-name")),
		"JOIN_CONFIG": s.joinConfig(h),
	}
}

// ReadControlPlanes returns the control planes of a cluster after the last update. It parses the command text of the
// step init of node.
func ReadControlPlanes(node, command string) []string {
	line, _ := stepline.Parse(command)
	if all := strings.Fields(line.Env["CONTROL_PLANES"]); len(all) > 0 {
		return all
	}
	return []string{node}
}

// joinControlPlanes creates the steps of the control planes that join, one after the other: etcd takes one new member
// at a time, and changed settings or another release restart one API server at a time. It returns the last step of each
// by name.
func (c *Cluster) joinControlPlanes(ctx *pulumi.Context, s steps,
	prepared map[string]pulumi.Resource) (map[string]pulumi.Resource, error) {
	joined := map[string]pulumi.Resource{}
	last := c.APIReady
	for _, h := range s.controlPlanes[1:] {
		on := c.host(h, s.args.SSHPrivateKey)
		var err error
		if s.drains(h) {
			last, err = c.OnControlPlane(ctx, h.Name+"-drain", members{s}.drain(h), dependsOn(last, prepared[h.Name]))
			if err != nil {
				return nil, err
			}
		}
		last, err = on.run(ctx, h.Name+"-join", members{s}.join(h), dependsOn(last, prepared[h.Name]))
		if err != nil {
			return nil, err
		}
		joined[h.Name] = last
		if _, err := on.run(ctx, h.Name+"-backup", members{s}.backup(h), dependsOn(last)); err != nil {
			return nil, err
		}
	}
	c.Upgraded = last
	return joined, nil
}

// drain gives a control plane its turn in an upgrade. Its pods stay.
func (s members) drain(h Host) Step {
	step := s.steps.drain(h, s.controlPlanes[0])
	step.Run.Env["ROLE"] = pulumi.String(h.Role)
	// Another machine under this name joins with the new release.
	step.Run.Env["PROVIDER_ID"] = h.ProviderID
	return step
}

// backup installs the timer of the snapshots on a control plane that joins. The step etcd-backup records the end of the
// cluster.
func (s members) backup(h Host) Step {
	step := s.steps.backup(h)
	step.Delete = nil
	return step
}
