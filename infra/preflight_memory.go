package infra

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// redisLimit is how many times its data the pod of Redis may take; package addons sets the limit.
const redisLimit = 2

// askRedis refuses more memory for Redis than the largest node that may run it has. Such a pod would stay pending, or
// take down its node. Every type that is accepted holds the default, so that one needs no question.
func (p *preflight) askRedis() {
	redis := p.cfg.Addons.Redis
	needs := redisLimit * redis.MaxMemoryMiB
	if !redis.On() || needs <= minMemoryMiB/2 {
		return
	}
	var largest config.Node
	memory := 0
	for _, n := range storageNodes(p.cfg.Nodes) {
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
	p.refuse("addons.redis.maxMemoryMiB", fmt.Sprint(redis.MaxMemoryMiB),
		fmt.Sprintf("lets the pod take %d MiB, and the largest node for it, %s (%s), has %d", needs, largest.Name,
			largest.InstanceType, memory),
		fmt.Sprintf("%d, or a larger instanceType", memory/redisLimit/2))
}

// storageNodes returns the nodes for pods with volumes: those with the label workload=storage, or else every worker.
func storageNodes(nodes []config.Node) []config.Node {
	var labelled, workers []config.Node
	for _, n := range nodes {
		if n.Labels["workload"] == "storage" {
			labelled = append(labelled, n)
		}
		if n.Role == config.Worker {
			workers = append(workers, n)
		}
	}
	if len(labelled) > 0 {
		return labelled
	}
	return workers
}
