// Bootstrap makes what an AWS account needs once, before the first cluster; see docs/bootstrap.md.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/bootstrap/account"
)

func main() { pulumi.Run(account.Deploy) }
