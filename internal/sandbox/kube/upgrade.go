package kube

import (
	"fmt"
	"path"

	"golang.org/x/mod/semver"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// upgrade is the part of a step that changes the release of a node.
type upgrade struct{ *step }

// kubelet returns the release of the kubelet on a machine that is a node, or "". Machines of older journals have the
// release that was prepared.
func (s upgrade) kubelet() string {
	for _, node := range s.All("k8s/Node") {
		if node.Str("instance") != s.machine.ID {
			continue
		}
		if release := s.host().Str("kubelet"); release != "" {
			return release
		}
		return s.host().Str("prepared")
	}
	return ""
}

// downloaded refuses what prepare.sh refuses on a node, and keeps the release of its kubelet.
func (s upgrade) downloaded() error {
	runs, wanted := s.kubelet(), s.env["KUBERNETES_VERSION"]
	if runs == "" {
		return nil
	}
	if semver.Compare("v"+runs, "v"+wanted) > 0 {
		return fmt.Errorf("prepare: this node runs Kubernetes %s, and %s is asked for: a running cluster does not go back",
			runs, wanted)
	}
	s.remember(props.Map{"kubelet": runs})
	return nil
}

// apiVersion returns the oldest release of an API server.
func (s upgrade) apiVersion() string {
	oldest := ""
	for _, id := range members(s.Find(clusterType, "cluster")) {
		if version := s.serverVersion(id); oldest == "" || semver.Compare("v"+version, "v"+oldest) < 0 {
			oldest = version
		}
	}
	return oldest
}

// serverVersion returns the release of the API server on a machine. A machine of an older journal has that of the
// cluster.
func (s upgrade) serverVersion(machine string) string {
	if host := s.Find(hostType, machine); host != nil && host.Str("version") != "" {
		return host.Str("version")
	}
	return s.Find(clusterType, "cluster").Str("version")
}

// upgradeControlPlane does what upgrade.sh does on a control plane. One that joined others needs its turn.
func (s upgrade) upgradeControlPlane() error {
	wanted := s.env["KUBERNETES_VERSION"]
	if s.serverVersion(s.machine.ID) == wanted {
		return nil
	}
	own := s.object("Node", "", s.node)
	if s.env["JOINS"] != "" && (own == nil || own.Str("drained") == "") {
		return fmt.Errorf("init: it is not the turn of %s to be upgraded", s.node)
	}
	for _, node := range s.All("k8s/Node") {
		machine := s.Find(aws.InstanceType, node.Str("instance"))
		switch {
		case machine == nil || aws.IsStopped(machine):
			return fmt.Errorf("upgrade: not Ready: %s", node.Str("name"))
		case node != own && node.Str("drained") != "":
			return fmt.Errorf("upgrade: an earlier upgrade has not finished on %s", node.Str("name"))
		}
	}
	if s.host().Str("prepared") != wanted {
		return fmt.Errorf("upgrade: the packages of Kubernetes %s are not on this machine", wanted)
	}
	s.Change(s.Find(clusterType, "cluster"), func(_, state props.Map) { state["version"] = wanted })
	s.remember(props.Map{"version": wanted, "kubelet": wanted})
	if own != nil {
		s.Change(own, func(_, state props.Map) { delete(state, "drained") })
	}
	return nil
}

// takeOut does what node-drain.sh does: it refuses a second node out of service.
func (s upgrade) takeOut() (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	node := s.object("Node", "", s.node)
	if node == nil {
		return "stays", nil
	}
	if id := s.env["PROVIDER_ID"]; id != "" && path.Base(id) != node.Str("instance") {
		return "stays", nil // another machine joins under this name
	}
	host := s.Find(hostType, node.Str("instance"))
	if host == nil || host.Str("kubelet") == s.env["KUBERNETES_VERSION"] && node.Str("drained") == "" {
		return "stays", nil
	}
	if api := s.serverVersion(s.machine.ID); api != s.env["KUBERNETES_VERSION"] {
		return "", fmt.Errorf("node-drain: the API server runs %s, and %s would run %s", api, s.node, s.env["KUBERNETES_VERSION"])
	}
	for _, other := range s.All("k8s/Node") {
		if other.ID != node.ID && other.Str("drained") != "" {
			return "", fmt.Errorf("node-drain: not in service: %s", other.Str("name"))
		}
	}
	s.Change(node, func(_, state props.Map) { state["drained"] = s.env["KUBERNETES_VERSION"] })
	return "drained", nil
}

// notNewerThanAPI refuses a kubelet that is newer than the API server.
func (s upgrade) notNewerThanAPI() error {
	if api, wanted := s.apiVersion(), s.env["KUBERNETES_VERSION"]; api != "" && semver.Compare("v"+wanted, "v"+api) > 0 {
		return fmt.Errorf("the API server runs %s, and this node would run %s", api, wanted)
	}
	return nil
}

// upgradeWorker does what join.sh does on a worker with another release.
func (s upgrade) upgradeWorker(node *store.Object) error {
	wanted := s.env["KUBERNETES_VERSION"]
	if s.kubelet() == wanted {
		return nil
	}
	if err := s.notNewerThanAPI(); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if node.Str("drained") == "" {
		return fmt.Errorf("join: node %s is not drained, so its kubelet keeps %s", s.node, s.kubelet())
	}
	s.remember(props.Map{"kubelet": wanted})
	return nil
}

// upgraded refuses the return of a node that does not run its release.
func (s upgrade) upgraded(node *store.Object) error {
	if node.Str("drained") == "" {
		return nil
	}
	host := s.Find(hostType, node.Str("instance"))
	if host == nil || host.Str("kubelet") != s.env["KUBERNETES_VERSION"] {
		return fmt.Errorf("node %s does not become Ready with Kubernetes %s", s.node, s.env["KUBERNETES_VERSION"])
	}
	return nil
}
