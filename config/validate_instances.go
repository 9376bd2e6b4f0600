package config

import (
	"slices"
	"strings"
)

// instanceType checks what the name of an instance type reveals. Only AWS knows which types a zone offers; package
// infra asks.
func (v nodesValidator) instanceType(path string, n Node) {
	family, size, _ := strings.Cut(n.InstanceType, ".")
	example := "t3.medium"
	if n.Role == ControlPlane {
		example = "t3.large"
	}
	fault := func(reason string) { v.fault(path, n.InstanceType, reason, example) }
	switch {
	case !instanceType.MatchString(n.InstanceType):
		fault("must be the name of an EC2 instance type")
	case arm(family) && n.Role == ControlPlane:
		fault("has an ARM processor, and a control plane needs x86: the etcd tools are pinned for x86 only")
	case arm(family) && v.c.Image.AMI != "":
		fault("has an ARM processor, and image.ami pins an image for x86, which the control plane needs")
	case strings.HasPrefix(family, "mac"):
		fault("runs macOS only")
	case slices.Contains(paravirtual, family):
		fault("is of a generation that cannot boot the images of image.os")
	case slices.Contains([]string{"nano", "micro"}, size):
		fault("has at most 1 GiB of memory: the kubelet and the agents on every node leave nothing for pods")
	case n.Role == ControlPlane && size == "small":
		fault("has 2 GiB of memory, and the control plane carries etcd, the API server and the cloud controllers")
	case n.Role == ControlPlane && size == "medium" && !burstable(family):
		fault("has 1 vCPU, and kubeadm wants two for a control plane")
	}
}

// Architectures of a node, as Debian, Kubernetes and the registries name them.
const (
	AMD64 = "amd64"
	ARM64 = "arm64"
)

// Architecture returns the processor architecture of the node, which the name of its instance type reveals.
func (n Node) Architecture() string {
	if family, _, _ := strings.Cut(n.InstanceType, "."); arm(family) {
		return ARM64
	}
	return AMD64
}

// paravirtual are the first families of EC2, which cannot boot hardware-virtualised (HVM) Linux images.
var paravirtual = []string{"c1", "m1", "m2", "t1"}

// burstable reports whether a family is one of t2, t3, t3a, t8i and so on. Their medium size has 2 vCPUs and 4 GiB.
// The medium size of every other family has 1 vCPU.
func burstable(family string) bool {
	return len(family) > 1 && family[0] == 't' && family[1] >= '0' && family[1] <= '9'
}

// arm reports whether a family such as t4g, m7gd, a1 or p6e-gb200 has Arm processors: Graviton of AWS or Grace of
// Nvidia.
func arm(family string) bool {
	if family == "a1" {
		return true
	}
	i := strings.IndexAny(family, "0123456789")
	if i < 0 {
		return false
	}
	// The letters after the generation are the attributes of a family; g is Graviton.
	after := strings.TrimLeft(family[i:], "0123456789")
	attributes, chip, _ := strings.Cut(after, "-")
	return strings.Contains(attributes, "g") || strings.HasPrefix(chip, "gb")
}
