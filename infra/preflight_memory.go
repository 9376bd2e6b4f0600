package infra

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// redisLimit is the ratio of the pod's memory limit to maxMemoryMiB. addons/redis.go sets that limit.
const redisLimit = 2

// askMemory refuses more memory for Redis and RabbitMQ than the largest node that may run them has.
func (p *preflight) askMemory() {
	a := p.cfg.Addons
	if a.Redis.On() {
		p.askPod("addons.redis.maxMemoryMiB", a.Redis.MaxMemoryMiB, redisLimit)
	}
	if a.RabbitMQ.On() {
		p.askPod("addons.rabbitmq.memoryMiB", a.RabbitMQ.MemoryMiB, 1)
	}
}

// askPod refuses a pod that takes times the memory of a setting, if no node has that. Such a pod would stay pending, or
// take down its node. Every accepted instance type has at least minMemoryMiB, so up to half of that needs no request.
func (p *preflight) askPod(key string, value, times int) {
	needs := times * value
	if needs <= minMemoryMiB/2 {
		return
	}
	var largest config.Node
	memory := 0
	for _, n := range p.cfg.DataNodes() {
		answer, err := ec2.GetInstanceType(p.ctx, &ec2.GetInstanceTypeArgs{InstanceType: n.InstanceType},
			pulumi.Provider(p.provider))
		if !p.answered("the instance type "+n.InstanceType, err) {
			return
		}
		if answer.MemorySize > memory {
			largest, memory = n, answer.MemorySize
		}
	}
	if needs < memory {
		return
	}
	p.refuse(key, fmt.Sprint(value),
		fmt.Sprintf("lets the pod take %d MiB, and the largest node for it, %s (%s), has %d", needs, largest.Name,
			largest.InstanceType, memory),
		fmt.Sprintf("%d, or a larger instanceType", memory/times/2))
}

// needs are the memory in bytes and the CPUs that the platform's own pods take on a node.
type needs struct{ memory, cpu float64 }

var needsOf = map[string]needs{
	config.ControlPlane: {1.5 * (1 << 30), 1.1},
	config.Worker:       {0.5 * (1 << 30), 0.25},
}

// podsOf returns how many pods of the platform a node of a role runs at least: those of kubeadm, of the network, and of
// the add-ons that are on.
func podsOf(cfg *config.Config, role string) int {
	a := cfg.Addons
	onEveryNode := 1 // kube-proxy
	for _, on := range []bool{cfg.Cluster.CNI == "calico", a.EBSCSI.On(), a.Monitoring.On(), a.Logging.On()} {
		if on {
			onEveryNode++
		}
	}
	if role != config.ControlPlane {
		return onEveryNode
	}
	own := 5 // etcd, the API server, the controller manager, the scheduler, the cloud controller manager
	if a.EBSCSI.On() {
		own += 2 // its controller, and that of snapshots
	}
	if a.LoadBalancer.On() {
		own++
	}
	if a.Logging.On() {
		own++ // Loki
	}
	return onEveryNode + own
}

// askReserves refuses kubelet settings that leave the platform's pods no room on a node. If more is reserved than the
// node has, its kubelet does not even start. Without such settings there is nothing to ask.
func (m machineCheck) askReserves() {
	_, _, memory := config.LargestKept(m.cfg.Kubernetes.KeptFromPods(config.Memory, 1))
	_, _, cpu := config.LargestKept(m.cfg.Kubernetes.KeptFromPods(config.CPU, 1))
	if !memory && !cpu && m.cfg.Kubernetes.PodsPerCore() == 0 {
		return
	}
	asked := map[string]bool{}
	for _, n := range m.cfg.Nodes {
		if asked[n.Role+n.InstanceType] {
			continue
		}
		asked[n.Role+n.InstanceType] = true
		answer, err := ec2.GetInstanceType(m.ctx, &ec2.GetInstanceTypeArgs{InstanceType: n.InstanceType},
			pulumi.Provider(m.provider))
		if !m.answered("the instance type "+n.InstanceType, err) {
			return
		}
		if m.keepsTooMuch(n, answer) {
			return
		}
	}
}

// keepsTooMuch refuses what the kubelet keeps from pods on one node.
func (m machineCheck) keepsTooMuch(n config.Node, t *ec2.GetInstanceTypeResult) bool {
	if last, text, ok := m.cfg.Kubernetes.LastReservedCPU(); ok && last >= t.DefaultVcpus {
		m.refuse("kubernetes.kubelet.reservedSystemCPUs", fmt.Sprintf("%q", text),
			fmt.Sprintf("names CPU %d, and %s (%s) has %d, counted from 0: its kubelet does not start", last, n.Name,
				n.InstanceType, t.DefaultVcpus), "numbers that every node has, or a larger instanceType")
		return true
	}
	perCore, pods := m.cfg.Kubernetes.PodsPerCore(), podsOf(m.cfg, n.Role)
	if perCore > 0 && perCore*t.DefaultVcpus < pods {
		m.refuse("kubernetes.kubelet.podsPerCore", fmt.Sprint(perCore),
			fmt.Sprintf("lets %s (%s) run %d pods on its %d CPUs, and the platform alone has %d there", n.Name,
				n.InstanceType, perCore*t.DefaultVcpus, t.DefaultVcpus, pods),
			fmt.Sprintf("%d or more, or 0 for no such limit", (pods+t.DefaultVcpus-1)/t.DefaultVcpus))
		return true
	}
	const mebi = 1 << 20
	for _, r := range []struct {
		resource              string
		capacity, needs, unit float64
		of                    string
	}{
		{config.Memory, float64(t.MemorySize) * mebi, needsOf[n.Role].memory, mebi, "MiB of memory"},
		{config.CPU, float64(t.DefaultVcpus), needsOf[n.Role].cpu, 1, "CPUs"},
	} {
		largest, sum, ok := config.LargestKept(m.cfg.Kubernetes.KeptFromPods(r.resource, r.capacity))
		if ok && r.capacity-sum < r.needs {
			m.refuse(largest.Key, fmt.Sprintf("%q", fmt.Sprint(largest.Value)),
				fmt.Sprintf("keeps, with what else is reserved, %.4g of the %.4g %s of %s (%s), and the platform's own pods take "+
					"%.4g there", sum/r.unit, r.capacity/r.unit, r.of, n.Name, n.InstanceType, r.needs/r.unit),
				"a smaller amount, or a larger instanceType")
			return true
		}
	}
	return false
}
