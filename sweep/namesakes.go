package main

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// tagVPC is on the volumes and snapshots that the controllers of a cluster create. Its value is the id of the VPC
// (config.TagVPC).
const tagVPC = "kubeadm-aws/vpc"

// namesakes returns the ids of other VPCs with a cluster of this name: the VPC or instances in it have its tag.
func (a *account) namesakes(ctx context.Context) ([]string, error) {
	var found []string
	add := func(vpc string) {
		if vpc != "" && vpc != a.vpc && !slices.Contains(found, vpc) {
			found = append(found, vpc)
		}
	}
	tagged := filter("tag-key", tagCloudProvider+a.cluster)
	vpcs := ec2.NewDescribeVpcsPaginator(a.ec2, &ec2.DescribeVpcsInput{Filters: []types.Filter{tagged}})
	for vpcs.HasMorePages() {
		page, err := vpcs.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range page.Vpcs {
			add(deref(v.VpcId))
		}
	}
	instances := ec2.NewDescribeInstancesPaginator(a.ec2,
		&ec2.DescribeInstancesInput{Filters: []types.Filter{notTerminated, tagged}})
	for instances.HasMorePages() {
		page, err := instances.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				add(deref(i.VpcId))
			}
		}
	}
	return sorted(found), nil
}

// otherVPC returns the VPC of the volume or snapshot with these tags if it is not ours, and "" if it is ours. One
// that was created before the tag was introduced is ours, unless the account has another cluster of this name: then
// it may belong to that one.
func (a *account) otherVPC(tags map[string]string, namesakes []string) string {
	switch vpc := tags[tagVPC]; {
	case vpc == a.vpc:
		return ""
	case vpc != "":
		return vpc
	case len(namesakes) > 0:
		return namesakes[0]
	}
	return ""
}
