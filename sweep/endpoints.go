package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// tagGuardDuty marks the endpoint and the security group that GuardDuty Runtime Monitoring creates in a VPC. AWS
// leaves both there when the instances are deleted, and they block the deletion of the VPC.
const tagGuardDuty = "GuardDutyManaged"

// endpoints finds the VPC endpoints that Pulumi did not create. GuardDuty's are removed; all others are reported. It
// returns the ids of GuardDuty's.
func (a *account) endpoints(ctx context.Context, s *survey) ([]string, error) {
	var removed []string
	pages := ec2.NewDescribeVpcEndpointsPaginator(a.ec2,
		&ec2.DescribeVpcEndpointsInput{Filters: []types.Filter{a.inVPC()}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range page.VpcEndpoints {
			tags, id := ec2Tags(e.Tags), deref(e.VpcEndpointId)
			item := Item{Kind: "VPC endpoint", ID: id, Detail: deref(e.ServiceName)}
			switch {
			case e.State == "deleted" || tags[tagManagedBy] == managedByPulumi:
			case tags[tagGuardDuty] == "true" && e.State == "deleting":
				removed = append(removed, id)
				item.Reason = "AWS is deleting it"
				s.add(leftover{Item: item})
			case tags[tagGuardDuty] == "true":
				removed = append(removed, id)
				s.add(leftover{Item: item, remove: a.deleteEndpoint(id)})
			default:
				item.Reason = inTheWay + ": aws ec2 delete-vpc-endpoints --vpc-endpoint-ids " + id
				s.blocks(item)
			}
		}
	}
	return removed, nil
}

func (a *account) deleteEndpoint(id string) func(context.Context) error {
	return func(ctx context.Context) error {
		out, err := a.ec2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err != nil {
			return err
		}
		// This call answers with status 200 and lists the endpoints that it did not delete.
		for _, u := range out.Unsuccessful {
			if u.Error != nil {
				return fmt.Errorf("%s (%s)", deref(u.Error.Message), deref(u.Error.Code))
			}
		}
		return nil
	}
}
