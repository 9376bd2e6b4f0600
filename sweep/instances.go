package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubeadm-aws/sweep/question"
)

// notTerminated are the states of instances that run or could be started again.
var notTerminated = filter("instance-state-name", "pending", "running", "stopping", "stopped")

// instances finds the cluster's instances that still run or could be started again. They belong to Pulumi, so the
// sweep only reports them. While one exists, controllers may still run and use their resources. Instances of others
// block the deletion of the VPC. A builder of a machine image that a killed build left is removed.
func (a *account) instances(ctx context.Context, s *survey) error {
	pages := ec2.NewDescribeInstancesPaginator(a.ec2,
		&ec2.DescribeInstancesInput{Filters: []types.Filter{a.inVPC(), notTerminated}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				tags := ec2Tags(i.Tags)
				item := Item{Kind: "instance", ID: deref(i.InstanceId), Name: tags["Name"], Detail: string(i.State.Name)}
				if tags[question.ImageTag] == question.ImageBuilder && tags[tagProject] == a.cluster {
					s.add(leftover{Item: item, remove: func(ctx context.Context) error {
						_, err := a.ec2.TerminateInstances(ctx,
							&ec2.TerminateInstancesInput{InstanceIds: []string{item.ID}})
						return err
					}})
					continue
				}
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
