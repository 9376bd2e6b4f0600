package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// instances finds the cluster's instances that still run or could be started again. They are Pulumi's, so the sweep only
// names them; while one is there, controllers may be at work, and what they hold is in use.
func (a *account) instances(ctx context.Context, s *survey) error {
	pages := ec2.NewDescribeInstancesPaginator(a.ec2, &ec2.DescribeInstancesInput{
		Filters: []types.Filter{
			a.inVPC(),
			filter("instance-state-name", "pending", "running", "stopping", "stopped"),
			filter("tag-key", tagCloudProvider+a.cluster),
		},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				s.alive = append(s.alive, Item{
					Kind:   "instance",
					ID:     deref(i.InstanceId),
					Name:   ec2Tags(i.Tags)["Name"],
					Detail: string(i.State.Name),
				})
			}
		}
	}
	return nil
}
