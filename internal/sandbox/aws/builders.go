package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
	"kubeadm-aws/sweep/question"
)

const (
	// amiType is a machine image of the account. A builder is of no type of the engine, because no program makes one.
	amiType     = "aws:ec2/ami:Ami"
	builderType = "aws:ec2/instance:builder"
	// clusterTag is config.TagCluster.
	clusterTag = "kubeadm-aws/cluster"
)

// Images are the machine images of the account, and the machines that they are made from.
type Images struct{ Console }

// NewImages returns the images of the account of a console.
func NewImages(u Console) Images { return Images{u} }

// Ask does what `sweep --image` does to the account. On a backend, the builder is a machine of it.
func (i Images) Ask(ctx context.Context, q question.ImageRequest) (said question.ImageAnswer, err error) {
	switch q.Do {
	case question.ImageLaunch:
		if err := i.discard(ctx, q.Cluster, q.VPC); err != nil {
			return said, err
		}
		return i.launch(ctx, q)
	case question.ImageSave:
		return i.save(ctx, q)
	case question.ImageDiscard:
		return said, i.discard(ctx, q.Cluster, q.VPC)
	case question.ImageList:
		said.Images = map[string]map[string]string{}
		for _, o := range i.built(amiType, q.Cluster, q.VPC) {
			said.Images[o.ID] = o.Tags()
		}
		return said, nil
	}
	return said, fmt.Errorf("the sandbox cannot %q images", q.Do)
}

// built returns what builds of a cluster made.
func (i Images) built(kind, cluster, vpc string) []*store.Object {
	i.account.Lock()
	defer i.account.Unlock()
	return i.account.Where(func(o *store.Object) bool {
		return o.Type == kind && o.Tags()[clusterTag] == cluster && o.Tags()[vpcTag] == vpc
	})
}

func (i Images) put(kind, prefix string, q question.ImageRequest, name string, tags map[string]string) string {
	i.account.Lock()
	defer i.account.Unlock()
	all := map[string]any{"Name": name, clusterTag: q.Cluster, vpcTag: q.VPC}
	for key, value := range tags {
		all[key] = value
	}
	o := &store.Object{Type: kind, Inputs: props.Map{"tags": all}, State: props.Map{}}
	for n := 0; o.ID == "" || i.account.Find(kind, o.ID) != nil; n++ {
		o.ID = prefix + i.account.NewID(kind, fmt.Sprint(name, n), 17)
	}
	i.account.Put(o)
	return o.ID
}

func (i Images) launch(ctx context.Context, q question.ImageRequest) (said question.ImageAnswer, err error) {
	said.Base = "resolve:ssm:" + q.Builder.Newest
	said.Instance = i.put(builderType, "i-", q, q.Builder.Name, map[string]string{
		question.ImageTag: question.ImageBuilder})
	if i.backend == nil {
		return said, nil
	}
	var userData struct {
		Keys []string `json:"ssh_authorized_keys"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(q.Builder.UserData, "#cloud-config\n")), &userData); err != nil ||
		len(userData.Keys) == 0 {
		return said, fmt.Errorf("the user data of the builder has no ssh_authorized_keys: %w", err)
	}
	got, err := i.backend.Launch(ctx, backend.Machine{ID: said.Instance, Name: q.Builder.Name,
		UserData: q.Builder.UserData, AuthorizedKey: userData.Keys[0]})
	said.Address = got.PublicIP
	return said, err
}

func (i Images) save(ctx context.Context, q question.ImageRequest) (said question.ImageAnswer, err error) {
	old := i.built(amiType, q.Cluster, q.VPC)
	tags := maps.Clone(q.Tags)
	tags[question.ImageTag] = question.ImageReady
	said.Image = i.put(amiType, "ami-", q, q.Name, tags)
	if i.backend != nil {
		if err := i.backend.SaveImage(ctx, q.Instance, said.Image); err != nil {
			return said, err
		}
	}
	for _, o := range old {
		if o.ID == q.Keep || i.isUsed(o.ID) {
			continue
		}
		if err := i.remove(ctx, o); err != nil {
			return said, err
		}
		said.Removed = append(said.Removed, o.ID)
	}
	return said, nil
}

func (i Images) isUsed(image string) bool {
	i.account.Lock()
	defer i.account.Unlock()
	return len(i.account.Where(func(o *store.Object) bool {
		return o.Type == InstanceType && o.Inputs.Str("ami") == image
	})) > 0
}

func (i Images) remove(ctx context.Context, o *store.Object) error {
	if i.backend != nil {
		if err := i.backend.RemoveImage(ctx, o.ID); err != nil {
			return err
		}
	}
	i.account.Lock()
	defer i.account.Unlock()
	i.account.Remove(o)
	return nil
}

func (i Images) discard(ctx context.Context, cluster, vpc string) error {
	for _, o := range i.built(builderType, cluster, vpc) {
		if i.backend != nil {
			if err := i.backend.Terminate(ctx, o.ID); err != nil {
				return err
			}
		}
		i.account.Lock()
		i.account.Remove(o)
		i.account.Unlock()
	}
	return nil
}
