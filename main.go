// kubeadm-aws turns an empty AWS account into a self-managed Kubernetes platform; see README.md.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/stack"
)

func main() { pulumi.Run(stack.Deploy) }
