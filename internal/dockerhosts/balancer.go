package dockerhosts

import (
	"context"
	"fmt"

	"kubeadm-aws/cluster/kubeapi"
)

// balance replaces the Load Balancer Controller: an Ingress gets the host name of a load balancer, which the
// platform's DNS records point to. The name does not resolve.
func (k cluster) balance(ctx context.Context, c *client, path string, ingress map[string]any) (map[string]any, error) {
	metadata, _ := ingress["metadata"].(map[string]any)
	name := fmt.Sprintf("k8s-%v-%v.elb.%s.internal", metadata["namespace"], metadata["name"], k.stack.options.Stack)
	status := map[string]any{"status": map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"hostname": name}}}}}
	var live map[string]any
	err := patiently(ctx, func() error {
		return c.Call(ctx, kubeapi.Patch, path+"/status", status, &live)
	})
	if err != nil {
		return nil, fmt.Errorf("name the load balancer of %s: %w", title(ingress), err)
	}
	return live, nil
}
