package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// Running holds the releases of Kubernetes in the last commands of a node's steps. A step that does not exist, or
// that an older program created without a release, has "".
type Running struct {
	// Joined is the release of the step init or join.
	Joined string
	// Drained and Returned are the releases of the steps drain and node.
	Drained, Returned string
}

// ReadRunning returns the releases of all nodes. commands are the texts of the steps by name, such as worker-1-join.
func ReadRunning(commands map[string]string) map[string]Running {
	nodes := map[string]Running{}
	for name, text := range commands {
		at := strings.LastIndex(name, "-")
		if at < 0 {
			continue
		}
		line, _ := stepline.Parse(text)
		release, node := line.Env["KUBERNETES_VERSION"], nodes[name[:at]]
		switch name[at:] {
		case "-init", "-join":
			node.Joined = release
		case "-drain":
			node.Drained = release
		case "-node":
			node.Returned = release
		default:
			continue
		}
		nodes[name[:at]] = node
	}
	return nodes
}

// behind reports whether a node has not reached a release, or has reached it and not returned to service.
func (r Running) behind(release string) bool {
	return r.Joined != "" && r.Joined != release || r.Drained != "" && (r.Drained != release || r.Returned != release)
}

// Upgrade is a change of the release of a cluster that runs.
type Upgrade struct {
	From, To string
	// ControlPlanes and then Workers are upgraded one after the other, in this order. An earlier, interrupted update
	// may have upgraded others.
	ControlPlanes, Workers []string
	// first is the control plane with which an upgrade begins.
	first string
}

// PlanUpgrade returns the upgrade that the update carries out, or nil.
func PlanUpgrade(cfg *config.Config, running map[string]Running) *Upgrade {
	plan := Upgrade{To: cfg.Cluster.KubernetesVersion, first: cfg.ControlPlane().Name}
	for _, n := range inTurn(cfg) {
		r := running[n.Name]
		if !r.behind(plan.To) {
			continue
		}
		if r.Joined != plan.To {
			plan.From = r.Joined
		}
		if n.Role == config.ControlPlane {
			plan.ControlPlanes = append(plan.ControlPlanes, n.Name)
		} else {
			plan.Workers = append(plan.Workers, n.Name)
		}
	}
	if len(plan.ControlPlanes) == 0 && len(plan.Workers) == 0 {
		return nil
	}
	plan.From = cmp.Or(plan.From, plan.To)
	return &plan
}

// OutOfService is the node at which an earlier update stopped, or "". Its machine may be replaced, because the API of
// the first control plane has its release already.
func (u Upgrade) OutOfService() string {
	next := append(slices.Clone(u.ControlPlanes), u.Workers...)
	if next[0] == u.first {
		return ""
	}
	return next[0]
}

// String says what is upgraded and in which order.
func (u Upgrade) String() string {
	var b strings.Builder
	if u.From == u.To {
		fmt.Fprintf(&b, "The upgrade to Kubernetes %s goes on. ", u.To)
	} else {
		fmt.Fprintf(&b, "Kubernetes %s -> %s, in place. ", u.From, u.To)
	}
	others := u.ControlPlanes
	if len(others) > 0 && others[0] == u.first {
		others = others[1:]
		fmt.Fprintf(&b, "First %s: checks that change nothing, a snapshot of etcd, then the control plane. Its API does not "+
			"answer up to three times, for half a minute at most; pods keep running. ", u.first)
	}
	if len(others) > 0 {
		fmt.Fprintf(&b, "Then the other control planes one after the other: %s. Each waits until every member of etcd votes "+
			"and every other API answers. ", strings.Join(others, ", "))
	}
	if len(u.Workers) > 0 {
		fmt.Fprintf(&b, "Then one after the other: %s. Each is drained within the disruption budgets, upgraded, and returned "+
			"to service. ", strings.Join(u.Workers, ", "))
	}
	b.WriteString("A node that fails stops the rest, and the next up goes on from there. A snapshot brings back data, not the " +
		"former release: see docs/upgrade.md.")
	return b.String()
}

// inTurn returns the nodes in the order of an upgrade: the control plane that began the cluster, then the others and
// the workers by name.
func inTurn(cfg *config.Config) []config.Node {
	rank := func(n config.Node) int {
		switch {
		case n.Name == cfg.ControlPlane().Name:
			return 0
		case n.Role == config.ControlPlane:
			return 1
		}
		return 2
	}
	return slices.SortedFunc(slices.Values(cfg.Nodes), func(a, b config.Node) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
	})
}

// drains reports whether a node has the step drain: from its first upgrade on. The first control plane has none,
// because it decides whose turn it is.
func (s steps) drains(h Host) bool {
	r := s.args.Running[h.Name]
	return h.Name != s.controlPlanes[0].Name && (r.Drained != "" || r.Joined != "" && r.Joined != s.release.Version)
}

// beforeInit returns the steps that init waits for. An upgrade begins when every running node has its packages, so
// that a source that fails stops it before anything has changed.
func (s steps) beforeInit(controlPlane Host, prepared map[string]pulumi.Resource) []pulumi.Resource {
	wait := []pulumi.Resource{prepared[controlPlane.Name]}
	for _, h := range s.args.Hosts {
		if h.Name != controlPlane.Name && s.upgrade != nil && s.args.Running[h.Name].Joined != "" {
			wait = append(wait, prepared[h.Name])
		}
	}
	return wait
}

// beforeObjects returns the steps that objects in the cluster wait for. The cloud controller manager must not be
// newer than any API server.
func (s steps) beforeObjects(c *Cluster) []pulumi.Resource {
	if s.upgrade != nil {
		return []pulumi.Resource{c.APIReady, c.Upgraded}
	}
	return []pulumi.Resource{c.APIReady}
}

// joinAll creates the steps that add the hosts to the cluster. In an upgrade each worker waits for the one before, so
// a worker that fails stops the rest; otherwise the hosts do not wait for each other. The order is that of the names:
// an interrupted upgrade goes on with the same node. A new worker waits for all API servers, because its kubelet must
// not be newer than any of them.
func (c *Cluster) joinAll(ctx *pulumi.Context, s steps, first Host, prepared map[string]pulumi.Resource) error {
	joined, err := c.joinControlPlanes(ctx, s, prepared)
	if err != nil {
		return err
	}
	var turn []pulumi.Resource
	for _, h := range byHostName(s.args.Hosts) {
		drains := h.Role == config.Worker && s.drains(h)
		after := []pulumi.Resource{c.APIReady, prepared[h.Name]}
		if step := joined[h.Name]; step != nil {
			after = append(after, step)
		}
		if h.Role == config.Worker && s.upgrade != nil {
			after = append(after, c.Upgraded)
		}
		if drains {
			drained, err := c.OnControlPlane(ctx, h.Name+"-drain", s.drain(h, first), dependsOn(append(turn, after...)...))
			if err != nil {
				return err
			}
			after = append(after, drained)
		}
		last, err := c.join(ctx, s, h, joinAfter{first, prepared[h.Name], after})
		if err != nil {
			return err
		}
		if drains && s.upgrade != nil {
			turn = []pulumi.Resource{last}
		}
		c.nodeNames = append(c.nodeNames, h.Name)
		c.Joined = append(c.Joined, last)
	}
	return nil
}
