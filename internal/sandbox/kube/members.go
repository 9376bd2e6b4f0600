package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// members returns the machines that vote in etcd. Those of an older journal are the control plane alone.
func members(cluster *store.Object) []string {
	if all := strings.Fields(cluster.Str("members")); len(all) > 0 {
		return all
	}
	return []string{cluster.Str("controlPlane")}
}

// majority returns a machine whose API answers: more than half of the members of etcd run. gone is the id of a machine
// that is being terminated and that the account still has, or "". It does not count.
func majority(c *Cluster, cluster *store.Object, gone string) (*store.Object, error) {
	all := members(cluster)
	var running []*store.Object
	var why error
	for _, id := range all {
		switch machine := c.Find(aws.InstanceType, id); {
		case machine == nil || id == gone:
			why = errors.New("the control plane's instance is gone")
		case aws.IsStopped(machine):
			why = errors.New("the control plane's instance is stopped")
		default:
			running = append(running, machine)
		}
	}
	if len(all) > 1 {
		why = fmt.Errorf("etcd has no majority: %d of %d control planes run", len(running), len(all))
	}
	if 2*len(running) <= len(all) {
		return nil, why
	}
	return running[0], nil
}

// member is the part of a step that makes a control plane of a machine.
type member struct{ *step }

// join does what init.sh does on a control plane that joins others: it removes the member of an earlier machine with
// its name.
func (s member) join(made props.Map) error {
	api, err := s.api()
	if err != nil {
		return fmt.Errorf("init: no other control plane is ready: %w", err)
	}
	for _, port := range []float64{2379, 2380, 6443} {
		if err := s.Reaches(s.machine, api, "tcp", port); err != nil {
			return fmt.Errorf("kubeadm join: %w", err)
		}
	}
	cluster, former := s.Find(clusterType, "cluster"), ""
	if node := s.object("Node", "", s.node); node != nil {
		former = node.Str("instance")
	}
	all := slices.DeleteFunc(members(cluster), func(id string) bool { return id == former })
	s.Change(cluster, func(_, state props.Map) { state["members"] = strings.Join(append(all, s.machine.ID), " ") })
	s.became(made)
	return nil
}

// noneAlive refuses to begin a cluster while a control plane of a former one runs without a majority of etcd, as
// init.sh does. It may be this machine.
func (s member) noneAlive() error {
	addresses := append(strings.Fields(s.env["PEERS"]), s.machine.Str("privateIp"))
	for _, machine := range s.All(aws.InstanceType) {
		has := s.Find(hostType, machine.ID)
		if has != nil && has.State.Str("authorities") != "" && !aws.IsStopped(machine) &&
			slices.Contains(addresses, machine.Str("privateIp")) {
			return fmt.Errorf("init: the control plane %s is alive, but not ready: etcd has no majority. If the other control "+
				"planes are lost permanently, terminate this machine too", machine.Str("privateIp"))
		}
	}
	return nil
}

// leave does what members-leave.sh does: it takes the control planes that the settings no longer contain out of the
// cluster, if etcd has a majority.
func (s member) leave(cluster *store.Object) error {
	stay := strings.Fields(s.env["CONTROL_PLANES"])
	if s.env["MEMBERS_LEAVE"] == "" || len(stay) == 0 {
		return nil
	}
	all := members(cluster)
	for _, node := range s.All("k8s/Node") {
		id := node.Str("instance")
		if !slices.Contains(all, id) || slices.Contains(stay, node.Str("name")) {
			continue
		}
		if _, err := s.api(); err != nil {
			return fmt.Errorf("members-leave: %w", err)
		}
		all = slices.DeleteFunc(all, func(member string) bool { return member == id })
		s.Remove(node)
		s.Change(cluster, func(_, state props.Map) { state["members"] = strings.Join(all, " ") })
	}
	return nil
}

// serve does what control-planes.sh does: it fails unless the control planes that stay in service run, and etcd keeps
// its majority by them.
func (s member) serve() (string, error) {
	cluster := s.Find(clusterType, "cluster")
	if cluster == nil {
		return "", errors.New("control-planes: etcd does not list its members")
	}
	if _, err := majority(s.Cluster, cluster, ""); err != nil {
		return "", fmt.Errorf("control-planes: %w", err)
	}
	all, stay := members(cluster), 0
	for _, node := range s.All("k8s/Node") {
		name, id := node.Str("name"), node.Str("instance")
		if !slices.Contains(all, id) || !slices.Contains(strings.Fields(s.env["STAY"]), name) {
			continue
		}
		if machine := s.Find(aws.InstanceType, id); machine == nil || aws.IsStopped(machine) {
			return "", fmt.Errorf("control-planes: etcd of %s is not healthy", name)
		}
		stay++
	}
	if s.env["STOP"] != "" && 2*stay <= len(all) {
		return "", fmt.Errorf("control-planes: without %s etcd keeps %d of %d members", s.env["STOP"], stay, len(all))
	}
	return "control planes serve", nil
}

// became records a machine that has become a control plane.
func (s member) became(made props.Map) {
	s.remember(made)
	s.remember(props.Map{"kubelet": s.env["KUBERNETES_VERSION"]})
	s.putNode(s.node, s.machine.ID, true)
}

// installBalancer installs haproxy from the repositories of the operating system.
func installBalancer(s *step) (string, error) {
	if err := s.HasInternet(s.machine); err != nil {
		return "", fmt.Errorf("balancer: haproxy cannot be installed: %w", err)
	}
	return "balances", nil
}

// webhookPort is the port of a webhook on the network of its host.
const webhookPort = 9443

// reachesWebhook returns the reason why one of the API servers cannot call the webhook of a release, or nil. The pod
// of a webhook on the host's network runs on any control plane. On the pods' network every node reaches it.
func reachesWebhook(c *Cluster, release *store.Object) error {
	if !release.Inputs.Object("values").Flag("hostNetwork") {
		return nil
	}
	var machines []*store.Object
	for _, id := range members(c.Find(clusterType, "cluster")) {
		if machine := c.Find(aws.InstanceType, id); machine != nil {
			machines = append(machines, machine)
		}
	}
	for _, from := range machines {
		for _, to := range machines {
			if from == to {
				continue
			}
			if err := c.Reaches(from, to, "tcp", webhookPort); err != nil {
				return err
			}
		}
	}
	return nil
}
