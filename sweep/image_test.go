package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubeadm-aws/sweep/question"
)

// newImages returns an account that takes tags of snapshots with CreateImage. moto does not: they are sent to it later.
func newImages(t *testing.T) *external {
	t.Helper()
	w := newExternal(t)
	every := pollEvery
	pollEvery = time.Millisecond
	t.Cleanup(func() { pollEvery = every })
	server, err := url.Parse(motoURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(server)
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body := must(io.ReadAll(r.Body))
		form := must(url.ParseQuery(string(body)))
		if form.Get("Action") != "CreateImage" {
			r.Body = io.NopCloser(bytes.NewReader(body))
			proxy.ServeHTTP(rw, r)
			return
		}
		if form.Get("TagSpecification.2.ResourceType") != "snapshot" {
			t.Errorf("CreateImage does not tag the snapshots: %v", form)
		}
		var tags []types.Tag
		for key, values := range form {
			if name, is := strings.CutSuffix(key, ".Key"); is && strings.HasPrefix(key, "TagSpecification.2.") {
				tags = append(tags, types.Tag{Key: ptr(values[0]), Value: ptr(form.Get(name + ".Value"))})
			}
		}
		made := must(w.aws.ec2.CreateImage(ctx, &ec2.CreateImageInput{
			InstanceId: ptr(form.Get("InstanceId")), Name: ptr(form.Get("Name")),
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeImage, Tags: tags}},
		}))
		must(w.aws.ec2.CreateTags(ctx, &ec2.CreateTagsInput{
			Resources: []string{snapshotOf(w, deref(made.ImageId))}, Tags: tags}))
		fmt.Fprintf(rw, "<CreateImageResponse><imageId>%s</imageId></CreateImageResponse>", deref(made.ImageId))
	}))
	t.Cleanup(front.Close)
	pointTo(t, front.URL)
	return w
}

// ask sends a question about the images of a VPC's cluster and expects an answer.
func (v *vpc) ask(q question.ImageRequest) question.ImageAnswer {
	v.Helper()
	q.Cluster, q.VPC = v.cluster, v.id
	asked, err := json.Marshal(q)
	if err != nil {
		v.Fatal(err)
	}
	out := runWith(v.T, string(asked), "--image")
	if out.code != exitClean {
		v.Fatalf("%s: exit code %d: %s", q.Do, out.code, out.stderr)
	}
	var answer question.ImageAnswer
	if err := json.Unmarshal([]byte(out.stdout), &answer); err != nil {
		v.Fatal(err)
	}
	return answer
}

func (v *vpc) builder(pinned string) question.ImageAnswer {
	v.Helper()
	return v.ask(question.ImageRequest{Do: question.ImageLaunch, Builder: question.Builder{
		Name: v.cluster + "-image", Type: "t3.large", Subnet: v.subnets[0], Group: v.nodes, Newest: "/newest", Pinned: pinned,
		RootGiB: 20, UserData: "#cloud-config\n",
	}})
}

// hardened returns an image of the account's owner. moto makes no image of a machine whose image it does not know, such
// as the newest one of a parameter.
func (w *external) hardened() string {
	return deref(must(w.aws.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{})).Images[0].ImageId)
}

func (v *vpc) build(name, keep string) question.ImageAnswer {
	v.Helper()
	launched := v.builder(v.hardened())
	return v.ask(question.ImageRequest{Do: question.ImageSave, Instance: launched.Instance, Name: name, Keep: keep,
		Tags: map[string]string{question.ImageKubernetesTag: "1.36.3", question.ImageBaseTag: launched.Base}})
}

func (v *vpc) machine(id string) types.Instance {
	return must(v.aws.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})).
		Reservations[0].Instances[0]
}

// images are the ids of the images that the account has itself.
func (w *external) images() []string {
	return sorted(idsOf(must(w.aws.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})).Images,
		func(i types.Image) *string { return i.ImageId }))
}

func snapshotOf(w *external, image string) string {
	out := must(w.aws.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{image}}))
	return deref(out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId)
}

func TestABuilderIsFoundByItsTagsAndEndsItself(t *testing.T) {
	v := newImages(t).newVPC("one")
	first := v.builder("")
	if first.Base != "resolve:ssm:/newest" {
		t.Errorf("the builder is from %q, not from the newest image of the vendor", first.Base)
	}
	machine := v.machine(first.Instance)
	tags := ec2Tags(machine.Tags)
	if tags[tagProject] != "one" || tags[tagVPC] != v.id || tags[question.ImageTag] != question.ImageBuilder ||
		tags[tagCloudProvider+"one"] != "" {
		t.Errorf("the builder has the tags %v", tags)
	}
	behaviour := must(v.aws.ec2.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{
		InstanceId: &first.Instance, Attribute: types.InstanceAttributeNameInstanceInitiatedShutdownBehavior}))
	if got := deref(behaviour.InstanceInitiatedShutdownBehavior.Value); got != "terminate" {
		t.Errorf("a shutdown of the builder means %s", got)
	}
	disk := deref(machine.BlockDeviceMappings[0].Ebs.VolumeId)
	volumes := must(v.aws.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{disk}}))
	if size := deref(volumes.Volumes[0].Size); size != 20 {
		t.Errorf("the disk has %d GiB", size)
	}
	other := v.newVPC("two").builder("")
	second := v.builder("")
	if state := v.machine(first.Instance).State.Name; state != types.InstanceStateNameTerminated {
		t.Errorf("the builder of the build before is %s", state)
	}
	v.ask(question.ImageRequest{Do: question.ImageDiscard})
	if state := v.machine(second.Instance).State.Name; state != types.InstanceStateNameTerminated {
		t.Errorf("the discarded builder is %s", state)
	}
	if state := v.machine(other.Instance).State.Name; state != types.InstanceStateNameRunning {
		t.Errorf("the builder of another cluster is %s", state)
	}
}

// An image of a build is not built upon, so packages and logs of one build do not get into the next.
func TestABuildBeginsWithTheBaseOfThePinnedImage(t *testing.T) {
	v := newImages(t).newVPC("one")
	hardened := v.hardened()
	if base := v.builder(hardened).Base; base != hardened {
		t.Errorf("the builder is from %s, want the pinned image %s", base, hardened)
	}
	made := v.build("one-1", "").Image
	if base := v.builder(made).Base; base != hardened {
		t.Errorf("the builder is from %s, want the base of %s", base, made)
	}
	if base := v.builder("ami-0123456789abcdef0").Base; base != "resolve:ssm:/newest" {
		t.Errorf("the builder is from %s, although the pinned image is gone", base)
	}
}

func TestANewImageReplacesThoseThatNothingUses(t *testing.T) {
	w := newImages(t)
	v := w.newVPC("one")
	other := w.newVPC("two").build("two-1", "").Image
	first := v.build("one-1", "").Image
	v.ask(question.ImageRequest{Do: question.ImageDiscard})
	disk := snapshotOf(w, first)
	must(v.aws.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: &first, MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)), SubnetId: &v.subnets[0],
	}))
	second := v.build("one-2", "").Image
	secondDisk := snapshotOf(w, second)
	kept := v.build("one-3", second).Image
	if got, want := w.images(), sorted([]string{other, first, second, kept}); !slices.Equal(got, want) {
		t.Fatalf("images %v, want %v: one is used by a machine, one by the settings, one is of another cluster", got, want)
	}
	last := v.build("one-4", kept)
	if !slices.Equal(last.Removed, []string{second}) || len(last.Left) > 0 {
		t.Errorf("removed %v, left %v, want %s to be removed", last.Removed, last.Left, second)
	}
	if now := w.inventory(); slices.Contains(now, secondDisk) || !slices.Contains(now, disk) {
		t.Errorf("the snapshot of the removed image %s, or not that of the used one, is in %v", secondDisk, now)
	}
	listed := v.ask(question.ImageRequest{Do: question.ImageList}).Images
	if len(listed) != 3 || listed[last.Image][question.ImageKubernetesTag] != "1.36.3" || listed[other] != nil {
		t.Errorf("the images are listed as %v", listed)
	}
}

func TestTheSweepRemovesImagesAndBuilders(t *testing.T) {
	w := newImages(t)
	v := w.newVPC("dev")
	namesake := w.newVPC("dev").build("dev-0", "").Image
	made := v.build("dev-1", "").Image
	disk := snapshotOf(w, made)
	orphan := w.snapshot(w.volume(nil), []string{tagProject, "dev", tagVPC, v.id, question.ImageTag, question.ImageReady})
	left := v.builder("").Instance

	file := filepath.Join(t.TempDir(), "receipt.json")
	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete", "--images", "keep", "--receipt", file)
	kept := ids(readReceipt(t, file).Kept)
	if out.code != exitClean || !slices.Contains(kept, made) || !slices.Contains(kept, orphan) ||
		!slices.Contains(w.images(), made) {
		t.Errorf("with images kept: exit code %d, kept %v\n%s%s", out.code, kept, out.stdout, out.stderr)
	}
	if state := v.machine(left).State.Name; state != types.InstanceStateNameTerminated {
		t.Errorf("the builder that a build left is %s", state)
	}

	out = sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete")
	now := w.inventory()
	if out.code != exitClean || slices.Contains(now, orphan) || !slices.Equal(w.images(), []string{namesake}) {
		t.Errorf("exit code %d, images %v\n%s%s", out.code, w.images(), out.stdout, out.stderr)
	}
	if !strings.Contains(out.stdout, made) || slices.Contains(now, disk) {
		t.Errorf("the snapshot %s of %s is left:\n%s", disk, made, out.stdout)
	}
}

func TestAnUnknownQuestionAboutImages(t *testing.T) {
	moto(t)
	out := runWith(t, `{"do":"melt"}`, "--image")
	if out.code != exitLeft || !strings.Contains(out.stderr, `"melt"`) {
		t.Errorf("exit code %d: %s", out.code, out.stderr)
	}
	if out = runWith(t, `{`, "--image"); out.code != exitLeft {
		t.Errorf("half a question: exit code %d: %s", out.code, out.stderr)
	}
}
