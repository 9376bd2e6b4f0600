package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubeadm-aws/sweep/sweepline"
)

// Tags that the volume driver sets on a volume for its claim.
const (
	tagClaimNamespace = "kubernetes.io/created-for/pvc/namespace"
	tagClaimName      = "kubernetes.io/created-for/pvc/name"
)

// volumesAndSnapshots finds the volumes of claims. Snapshots are backups: they are reported and never removed.
// Neither is in a VPC, so a tag identifies the cluster among those of this name.
func (a *account) volumesAndSnapshots(ctx context.Context, s *survey) error {
	namesakes, err := a.namesakes(ctx)
	if err != nil {
		return err
	}
	tagged := filter("tag-key", tagVolumeDriver, tagCloudProvider+a.cluster)
	volumes := ec2.NewDescribeVolumesPaginator(a.ec2, &ec2.DescribeVolumesInput{Filters: []types.Filter{tagged}})
	for volumes.HasMorePages() {
		page, err := volumes.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, v := range page.Volumes {
			tags := ec2Tags(v.Tags)
			if !a.owns(tags) {
				continue
			}
			item := Item{
				Kind:   "volume",
				ID:     deref(v.VolumeId),
				Name:   claim(tags),
				Detail: fmt.Sprintf("%d GiB in %s, %s", deref(v.Size), deref(v.AvailabilityZone), v.State),
			}
			if other := a.otherVPC(tags, namesakes); other != "" {
				item.Reason = otherReason(tags, other)
				s.foreign = append(s.foreign, item)
				continue
			}
			if a.volumes == sweepline.Keep {
				item.Reason = "volumes are kept"
				s.kept = append(s.kept, item)
				continue
			}
			s.add(leftover{Item: item, remove: func(ctx context.Context) error {
				_, err := a.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
				return err
			}})
		}
	}

	snapshots := ec2.NewDescribeSnapshotsPaginator(a.ec2, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"},
		Filters:  []types.Filter{tagged},
	})
	for snapshots.HasMorePages() {
		page, err := snapshots.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, snap := range page.Snapshots {
			if tags := ec2Tags(snap.Tags); a.owns(tags) && a.otherVPC(tags, namesakes) == "" {
				s.kept = append(s.kept, Item{
					Kind:   "snapshot",
					ID:     deref(snap.SnapshotId),
					Detail: fmt.Sprintf("%d GiB, of volume %s", deref(snap.VolumeSize), deref(snap.VolumeId)),
					Reason: "snapshots are never removed",
				})
			}
		}
	}
	return nil
}

// otherReason returns why a volume is not touched.
func otherReason(tags map[string]string, vpc string) string {
	if tags[tagVPC] == "" {
		return "it has no tag of a VPC, and " + vpc +
			" has a cluster of this name too; delete it by hand unless it belongs to that one"
	}
	return "it belongs to the cluster of this name in " + vpc
}

// claim describes a volume by its PVC.
func claim(tags map[string]string) string {
	if tags[tagClaimName] != "" {
		return fmt.Sprintf("PVC %s/%s", tags[tagClaimNamespace], tags[tagClaimName])
	}
	return tags["Name"]
}
