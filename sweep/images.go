package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"kubeadm-aws/sweep/question"
	"kubeadm-aws/sweep/sweepline"
)

// machineImages finds the images that builds of this cluster made, and their snapshots. A snapshot can outlive its
// image if a run was killed between the two.
func (a *account) machineImages(ctx context.Context, s *survey) error {
	found, err := imagesOf(ctx, a.ec2, a.cluster, a.vpc)
	if err != nil {
		return err
	}
	after := map[string]string{} // the image of a snapshot
	for _, i := range found {
		tags := ec2Tags(i.Tags)
		for _, d := range i.BlockDeviceMappings {
			if d.Ebs != nil {
				after[deref(d.Ebs.SnapshotId)] = deref(i.ImageId)
			}
		}
		a.addImage(s, leftover{
			Item: Item{Kind: "image", ID: deref(i.ImageId), Name: deref(i.Name),
				Detail: "Kubernetes " + tags[question.ImageKubernetesTag]},
			remove: func(ctx context.Context) error {
				_, err := a.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: i.ImageId})
				return err
			},
		})
	}
	pages := ec2.NewDescribeSnapshotsPaginator(a.ec2, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"}, Filters: imageFilters(a.cluster, a.vpc, question.ImageReady),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, snap := range page.Snapshots {
			t := leftover{
				Item: Item{Kind: "snapshot", ID: deref(snap.SnapshotId), Name: ec2Tags(snap.Tags)["Name"],
					Detail: fmt.Sprintf("%d GiB, of an image", deref(snap.VolumeSize))},
				remove: func(ctx context.Context) error {
					_, err := a.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: snap.SnapshotId})
					return err
				},
			}
			if image := after[t.ID]; image != "" {
				t.after = []string{image}
			}
			a.addImage(s, t)
		}
	}
	return nil
}

// addImage adds a leftover, or keeps it if the settings say so.
func (a *account) addImage(s *survey, t leftover) {
	if a.images == sweepline.Keep {
		t.Reason = "images are kept"
		s.kept = append(s.kept, t.Item)
		return
	}
	s.add(t)
}
