package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubeadm-aws/sweep/question"
)

// How long EC2 may take to start or stop a builder, and to copy its disk into a snapshot.
const (
	builderWait  = 10 * time.Minute
	snapshotWait = 40 * time.Minute
)

// pollEvery is the shortest time between two looks at what EC2 works on.
var pollEvery = 5 * time.Second

// image reads a question.ImageRequest and writes a question.ImageAnswer. It makes and removes builders and images of
// one cluster.
func image(ctx context.Context, region string, asked io.Reader, answer io.Writer) error {
	var q question.ImageRequest
	if err := json.NewDecoder(asked).Decode(&q); err != nil {
		return fmt.Errorf("read the question from standard input: %w", err)
	}
	cfg, err := configure(ctx, region)
	if err != nil {
		return err
	}
	i := &images{ImageRequest: q, ec2: ec2.NewFromConfig(cfg)}
	do := map[string]func(context.Context) error{
		question.ImageLaunch: i.launch, question.ImageSave: i.save, question.ImageDiscard: i.discard,
		question.ImageList: i.list,
	}[q.Do]
	if do == nil {
		return fmt.Errorf("the question asks to do %q: say launch, save, discard or list", q.Do)
	}
	if err := do(ctx); err != nil {
		return err
	}
	return json.NewEncoder(answer).Encode(i.said)
}

// images are the builders and images of the cluster of one question.
type images struct {
	question.ImageRequest
	ec2  *ec2.Client
	said question.ImageAnswer
}

// tags are those of everything that a build makes. kind is the value of question.ImageTag.
func (i *images) tags(kind, name string, more map[string]string) []types.Tag {
	all := map[string]string{tagProject: i.Cluster, tagVPC: i.VPC, question.ImageTag: kind, "Name": name}
	maps.Copy(all, more)
	var tags []types.Tag
	for _, key := range slices.Sorted(maps.Keys(all)) {
		tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(all[key])})
	}
	return tags
}

// own selects what a build of this cluster made.
func (i *images) own(kind string) []types.Filter {
	return imageFilters(i.Cluster, i.VPC, kind)
}

func imageFilters(cluster, vpc, kind string) []types.Filter {
	return []types.Filter{filter("tag:"+question.ImageTag, kind), filter("tag:"+tagProject, cluster),
		filter("tag:"+tagVPC, vpc)}
}

// launch starts the builder and waits until it runs. Its shutdown terminates it, so a builder whose driver was killed
// can end itself.
func (i *images) launch(ctx context.Context) error {
	if err := i.discard(ctx); err != nil {
		return err
	}
	base, err := i.base(ctx)
	if err != nil {
		return err
	}
	b := i.Builder
	spec := func(of types.ResourceType) types.TagSpecification {
		return types.TagSpecification{ResourceType: of, Tags: i.tags(question.ImageBuilder, b.Name, nil)}
	}
	out, err := i.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: &base, InstanceType: types.InstanceType(b.Type), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		UserData:                          aws.String(base64.StdEncoding.EncodeToString([]byte(b.UserData))),
		InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
		MetadataOptions: &types.InstanceMetadataOptionsRequest{
			HttpTokens: types.HttpTokensStateRequired, HttpPutResponseHopLimit: aws.Int32(1),
		},
		NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: aws.Int32(0), SubnetId: &b.Subnet, Groups: []string{b.Group}, AssociatePublicIpAddress: aws.Bool(true),
			DeleteOnTermination: aws.Bool(true),
		}},
		TagSpecifications: []types.TagSpecification{spec(types.ResourceTypeInstance), spec(types.ResourceTypeVolume)},
	})
	if err != nil {
		return fmt.Errorf("launch a builder from %s: %w", base, err)
	}
	id := deref(out.Instances[0].InstanceId)
	described := &ec2.DescribeInstancesInput{InstanceIds: []string{id}}
	running, err := ec2.NewInstanceRunningWaiter(i.ec2, func(o *ec2.InstanceRunningWaiterOptions) {
		o.MinDelay = pollEvery
	}).WaitForOutput(ctx, described, builderWait)
	if err != nil {
		return fmt.Errorf("wait until the builder %s runs: %w", id, err)
	}
	builder := running.Reservations[0].Instances[0]
	i.said.Instance, i.said.Address, i.said.Base = id, deref(builder.PublicIpAddress), base
	return i.grow(ctx, builder)
}

// grow gives the root disk its size. The vendor's image decides its device name, which is known only now; prepare.sh
// grows the file system.
func (i *images) grow(ctx context.Context, builder types.Instance) error {
	for _, d := range builder.BlockDeviceMappings {
		if deref(d.DeviceName) != deref(builder.RootDeviceName) || d.Ebs == nil {
			continue
		}
		_, err := i.ec2.ModifyVolume(ctx, &ec2.ModifyVolumeInput{VolumeId: d.Ebs.VolumeId, Size: &i.Builder.RootGiB})
		if err != nil {
			return fmt.Errorf("make the disk of the builder %d GiB: %w", i.Builder.RootGiB, err)
		}
		return nil
	}
	return fmt.Errorf("the builder %s has no EBS root disk: its base has to be an image with one",
		deref(builder.InstanceId))
}

// base returns the image to launch from. An image that was made here is based on another one.
func (i *images) base(ctx context.Context) (string, error) {
	newest := "resolve:ssm:" + i.Builder.Newest
	if i.Builder.Pinned == "" {
		return newest, nil
	}
	out, err := i.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Filters: []types.Filter{filter("image-id", i.Builder.Pinned)}, IncludeDeprecated: aws.Bool(true),
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("look at the image %s: %w", i.Builder.Pinned, err)
	case len(out.Images) == 0:
		// It may have been an image of this cluster, which a destroy has removed.
		return newest, nil
	}
	if base := ec2Tags(out.Images[0].Tags)[question.ImageBaseTag]; base != "" {
		return base, nil
	}
	return i.Builder.Pinned, nil
}

// discard ends the builders of the cluster.
func (i *images) discard(ctx context.Context) error {
	var ids []string
	pages := ec2.NewDescribeInstancesPaginator(i.ec2,
		&ec2.DescribeInstancesInput{Filters: append(i.own(question.ImageBuilder), notTerminated)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list builders: %w", err)
		}
		for _, r := range page.Reservations {
			for _, machine := range r.Instances {
				ids = append(ids, deref(machine.InstanceId))
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := i.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
	if err != nil && !missing(err) {
		return fmt.Errorf("end the builders %v: %w", ids, err)
	}
	return nil
}

// save makes the image of the stopped builder, because the disk of a running one may be in the middle of a write.
func (i *images) save(ctx context.Context) error {
	id := []string{i.Instance}
	if _, err := i.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: id}); err != nil {
		return fmt.Errorf("stop the builder: %w", err)
	}
	stopped := ec2.NewInstanceStoppedWaiter(i.ec2, func(o *ec2.InstanceStoppedWaiterOptions) { o.MinDelay = pollEvery })
	if err := stopped.Wait(ctx, &ec2.DescribeInstancesInput{InstanceIds: id}, builderWait); err != nil {
		return fmt.Errorf("wait until the builder %s is stopped: %w", i.Instance, err)
	}
	tags := i.tags(question.ImageReady, i.Name, i.Tags)
	out, err := i.ec2.CreateImage(ctx, &ec2.CreateImageInput{
		InstanceId: &i.Instance, Name: &i.Name, Description: aws.String("kubeadm-aws: prepared node of " + i.Cluster),
		TagSpecifications: []types.TagSpecification{
			{ResourceType: types.ResourceTypeImage, Tags: tags}, {ResourceType: types.ResourceTypeSnapshot, Tags: tags},
		},
	})
	if err != nil {
		return fmt.Errorf("make an image of the builder %s: %w", i.Instance, err)
	}
	i.said.Image = deref(out.ImageId)
	ready := ec2.NewImageAvailableWaiter(i.ec2, func(o *ec2.ImageAvailableWaiterOptions) { o.MinDelay = pollEvery })
	described := &ec2.DescribeImagesInput{ImageIds: []string{i.said.Image}}
	made, err := ready.WaitForOutput(ctx, described, snapshotWait)
	if err != nil {
		return fmt.Errorf("wait until the image %s is available (the next build removes it): %w", i.said.Image, err)
	}
	return i.prune(ctx, made.Images[0])
}

// prune removes the images of the cluster that the new one replaces, with their snapshots. It leaves those of another
// architecture and those that an instance was launched from.
func (i *images) prune(ctx context.Context, made types.Image) error {
	all, err := imagesOf(ctx, i.ec2, i.Cluster, i.VPC)
	if err != nil {
		return err
	}
	for _, old := range all {
		id := deref(old.ImageId)
		if id == i.said.Image || id == i.Keep || old.Architecture != made.Architecture {
			continue
		}
		used, err := i.ec2.DescribeInstances(ctx,
			&ec2.DescribeInstancesInput{Filters: []types.Filter{filter("image-id", id), notTerminated}})
		if err != nil {
			return fmt.Errorf("list instances of %s: %w", id, err)
		}
		if len(used.Reservations) > 0 {
			continue
		}
		if err := removeImage(ctx, i.ec2, old); err != nil {
			i.said.Left = append(i.said.Left, id+": "+reason(err))
			continue
		}
		i.said.Removed = append(i.said.Removed, id)
	}
	return nil
}

func (i *images) list(ctx context.Context) error {
	all, err := imagesOf(ctx, i.ec2, i.Cluster, i.VPC)
	if err != nil {
		return err
	}
	i.said.Images = map[string]map[string]string{}
	for _, one := range all {
		i.said.Images[deref(one.ImageId)] = ec2Tags(one.Tags)
	}
	return nil
}

// imagesOf returns the images that builds of a cluster made, in any state.
func imagesOf(ctx context.Context, client *ec2.Client, cluster, vpc string) ([]types.Image, error) {
	var all []types.Image
	pages := ec2.NewDescribeImagesPaginator(client, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDeprecated: aws.Bool(true), Filters: imageFilters(cluster, vpc, question.ImageReady),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list images: %w", err)
		}
		all = append(all, page.Images...)
	}
	return all, nil
}

// removeImage deregisters an image and deletes the snapshots that it consists of.
func removeImage(ctx context.Context, client *ec2.Client, old types.Image) error {
	_, err := client.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: old.ImageId})
	if err != nil && !missing(err) {
		return err
	}
	for _, d := range old.BlockDeviceMappings {
		if d.Ebs == nil || d.Ebs.SnapshotId == nil {
			continue
		}
		_, err := client.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: d.Ebs.SnapshotId})
		if err != nil && !missing(err) {
			return err
		}
	}
	return nil
}
