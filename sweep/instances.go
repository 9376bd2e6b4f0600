package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// notTerminated are instances that run or could be started again.
var notTerminated = filter("instance-state-name", "pending", "running", "stopping", "stopped")

// instances finds the cluster's instances that still run or could be started again. They are Pulumi's, so the sweep only
// names them; while one is there, controllers may be at work, and what they hold is in use. Instances of others block the VPC.
func (a *account) instances(ctx context.Context, s *survey) error {
	pages := ec2.NewDescribeInstancesPaginator(a.ec2, &ec2.DescribeInstancesInput{Filters: []types.Filter{a.inVPC(), notTerminated}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				tags := ec2Tags(i.Tags)
				item := Item{Kind: "instance", ID: deref(i.InstanceId), Name: tags["Name"], Detail: string(i.State.Name)}
				if _, ours := tags[tagCloudProvider+a.cluster]; ours {
					s.alive = append(s.alive, item)
					continue
				}
				s.blocks(item)
			}
		}
	}
	return nil
}
