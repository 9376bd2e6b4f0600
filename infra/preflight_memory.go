package infra

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// redisLimit is the ratio of the pod's memory limit to maxMemoryMiB. addons/redis.go sets that limit.
const redisLimit = 2

// askRedis refuses more memory for Redis than the largest node that may run it has. Such a pod would stay pending, or
// take down its node. Every accepted instance type has at least minMemoryMiB, so a limit of up to half of that needs
// no request.
func (p *preflight) askRedis() {
	redis := p.cfg.Addons.Redis
	needs := redisLimit * redis.MaxMemoryMiB
	if !redis.On() || needs <= minMemoryMiB/2 {
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
	p.refuse("addons.redis.maxMemoryMiB", fmt.Sprint(redis.MaxMemoryMiB),
		fmt.Sprintf("lets the pod take %d MiB, and the largest node for it, %s (%s), has %d", needs, largest.Name,
			largest.InstanceType, memory),
		fmt.Sprintf("%d, or a larger instanceType", memory/redisLimit/2))
}
