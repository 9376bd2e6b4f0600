package infra

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	awsconfig "github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"kubeadm-aws/config"
)

// site is the account and region that every subject builds in.
type site struct {
	ctx      *pulumi.Context
	cfg      *config.Config
	provider *aws.Provider
	// accountID and partition are known before anything is made, so that ARNs and bucket names are plain text in a preview.
	accountID string
	partition string
	// profile is aws:profile, empty when the environment decides.
	profile string
}

func newSite(ctx *pulumi.Context, cfg *config.Config, parent pulumi.Resource) (*site, error) {
	s := &site{ctx: ctx, cfg: cfg, partition: partitionOf(cfg.Region), profile: awsconfig.Get(ctx, "aws:profile")}
	args := &aws.ProviderArgs{
		Region:      pulumi.String(cfg.Region),
		DefaultTags: aws.ProviderDefaultTagsArgs{Tags: pulumi.ToStringMap(cfg.PulumiTags())},
	}
	if s.profile != "" {
		args.Profile = pulumi.String(s.profile)
	}
	var err error
	if s.provider, err = aws.NewProvider(ctx, "aws", args, pulumi.Parent(parent)); err != nil {
		return nil, fmt.Errorf("configure the AWS provider: %w", err)
	}
	caller, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{}, pulumi.Provider(s.provider))
	if err != nil {
		return nil, fmt.Errorf("ask AWS who is calling (check the credentials with `aws sts get-caller-identity`): %w", err)
	}
	s.accountID = caller.AccountId
	return s, nil
}

// clusterTag is the key by which Kubernetes controllers tell what belongs to a cluster.
func (s *site) clusterTag() string { return "kubernetes.io/cluster/" + s.cfg.Cluster.Name }

// named prefixes a name that AWS shows account-wide.
func (s *site) named(subject string) string { return s.cfg.Cluster.Name + "-" + subject }

// tags are the Name and what else a resource carries beside the default tags.
func (s *site) tags(subject string, more ...map[string]string) pulumi.StringMap {
	tags := pulumi.StringMap{"Name": pulumi.String(s.named(subject))}
	for _, m := range more {
		for k, v := range m {
			tags[k] = pulumi.String(v)
		}
	}
	return tags
}

// component registers a group of resources under parent and returns the options its children start from.
func (s *site) component(kind, name string, group pulumi.ComponentResource, parent pulumi.Resource) ([]pulumi.ResourceOption, error) {
	err := s.ctx.RegisterComponentResource("kubeadm-aws:infra:"+kind, name, group, pulumi.Parent(parent), pulumi.Provider(s.provider))
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", kind, err)
	}
	return []pulumi.ResourceOption{pulumi.Parent(group)}, nil
}

// protect guards what holds data or identity against a destroy, where the stack asks for it.
func (s *site) protect() pulumi.ResourceOption { return pulumi.Protect(*s.cfg.Protection.Protect) }

// with adds options without touching the slice that others share.
func with(opts []pulumi.ResourceOption, more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append(opts[:len(opts):len(opts)], more...)
}

func (s *site) arn(service, region, account, resource string) string {
	return strings.Join([]string{"arn", s.partition, service, region, account, resource}, ":")
}

// partitionOf is the part of AWS that a region belongs to; it is the second word of every ARN there.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}
