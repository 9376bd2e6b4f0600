package infra

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// deployer holds the account, the region and the settings that every phase uses.
type deployer struct {
	ctx      *pulumi.Context
	cfg      *config.Config
	provider *aws.Provider
	// accountID and partition are known before any resource is created, so that ARNs and bucket names are plain text
	// in a preview.
	accountID string
	partition string
	// exists holds the facts about the account that the stack's state records.
	exists Exists
	// root is the component that holds all groups.
	root pulumi.Resource
	// err is the error of the first phase that failed.
	err error
}

// phase creates one group of resources from the results of other phases, unless an earlier phase has failed. It then
// returns nil, so a phase may read its args only when it runs.
func phase[Args, Group any](s *deployer, build func(*deployer, Args) (*Group, error), args Args) *Group {
	if s.err != nil {
		return nil
	}
	var group *Group
	group, s.err = build(s, args)
	return group
}

// none is the argument of a phase that needs no other phase.
type none struct{}

func newDeployer(ctx *pulumi.Context, cfg *config.Config, exists Exists, parent pulumi.Resource) (*deployer, error) {
	s := &deployer{ctx: ctx, cfg: cfg, exists: exists, partition: cfg.Partition(), root: parent}
	var err error
	if s.provider, err = aws.NewProvider(ctx, "aws", providerArgs(cfg), pulumi.Parent(parent)); err != nil {
		return nil, fmt.Errorf("configure the AWS provider: %w", err)
	}
	caller, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{}, pulumi.Provider(s.provider))
	if excluded := excludedAccount.FindStringSubmatch(fmt.Sprint(err)); excluded != nil {
		s.accountID = excluded[1]
		return nil, refusals(exists, s.wrongAccount(exists, "the provider looked"))
	}
	if err != nil {
		return nil, fmt.Errorf("ask AWS who is calling (check the credentials with `aws sts get-caller-identity`): %w", err)
	}
	s.accountID = caller.AccountId
	if err := refusals(exists, s.wrongAccount(exists, caller.Arn)); err != nil {
		return nil, err
	}
	return s, s.preflight(exists)
}

// excludedAccount matches the provider's message when its settings exclude the account of the credentials.
var excludedAccount = regexp.MustCompile(`AWS account ID not allowed: ([0-9]{12})`)

// providerArgs returns the settings of the explicit provider, which inherits no key of the namespace aws.
func providerArgs(cfg *config.Config) *aws.ProviderArgs {
	args := &aws.ProviderArgs{
		Region:              pulumi.String(cfg.Region),
		DefaultTags:         aws.ProviderDefaultTagsArgs{Tags: pulumi.ToStringMap(cfg.PulumiTags())},
		AllowedAccountIds:   accounts(cfg.AWS.AllowedAccountIDs),
		ForbiddenAccountIds: accounts(cfg.AWS.ForbiddenAccountIDs),
	}
	if cfg.AWS.Profile != "" {
		args.Profile = pulumi.String(cfg.AWS.Profile)
	}
	if role := cfg.AWS.AssumeRole; role.RoleARN != "" {
		args.AssumeRole = aws.ProviderAssumeRoleArgs{
			RoleArn:     pulumi.String(role.RoleARN),
			SessionName: optional(role.SessionName),
			ExternalId:  optional(role.ExternalID),
			Duration:    optional(role.Duration),
		}
	}
	return args
}

// accounts returns nil for an empty list, so that the provider of a stack without these settings does not change.
func accounts(ids []string) pulumi.StringArrayInput {
	if len(ids) == 0 {
		return nil
	}
	return pulumi.ToStringArray(ids)
}

func optional(text string) pulumi.StringPtrInput {
	if text == "" {
		return nil
	}
	return pulumi.String(text)
}

// wrongAccount refuses credentials of an account that the settings exclude, or that differs from the stack's account.
func (s *deployer) wrongAccount(exists Exists, caller string) []config.FieldError {
	allowed, forbidden := s.cfg.AWS.AllowedAccountIDs, s.cfg.AWS.ForbiddenAccountIDs
	const instead = "credentials of another account: set AWS_PROFILE or aws:profile, and look with `aws sts " +
		"get-caller-identity`"
	switch {
	case len(allowed) > 0 && !slices.Contains(allowed, s.accountID):
		return []config.FieldError{{Key: "aws:allowedAccountIds", Value: fmt.Sprintf("%q", allowed), Example: instead,
			Reason: fmt.Sprintf("do not hold the account %s, which the credentials belong to (%s)", s.accountID, caller)}}
	case slices.Contains(forbidden, s.accountID):
		return []config.FieldError{{Key: "aws:forbiddenAccountIds", Value: fmt.Sprintf("%q", forbidden), Example: instead,
			Reason: fmt.Sprintf("hold the account %s, which the credentials belong to (%s)", s.accountID, caller)}}
	case exists.Account != "" && exists.Account != s.accountID:
		return []config.FieldError{{Key: "aws:profile", Value: fmt.Sprintf("%q", s.cfg.AWS.Profile), Example: instead,
			Reason: fmt.Sprintf("the stack runs in the account %s (%s), and the credentials belong to %s (%s)", exists.Account,
				exists.VPC, s.accountID, caller)}}
	}
	return nil
}

// clusterTag returns the key of the tag by which Kubernetes controllers recognise the cluster's resources.
func (s *deployer) clusterTag() string { return "kubernetes.io/cluster/" + s.cfg.Cluster.Name }

// named prefixes a name that is visible in the whole account.
func (s *deployer) named(subject string) string { return s.cfg.Cluster.Name + "-" + subject }

// tags returns the Name and the tags of a resource in addition to the default tags.
func (s *deployer) tags(subject string, more ...map[string]string) pulumi.StringMap {
	tags := pulumi.StringMap{"Name": pulumi.String(s.named(subject))}
	for _, m := range more {
		for k, v := range m {
			tags[k] = pulumi.String(v)
		}
	}
	return tags
}

// component registers a group of resources and returns the options its children start from.
func (s *deployer) component(kind, name string, group pulumi.ComponentResource) ([]pulumi.ResourceOption, error) {
	err := s.ctx.RegisterComponentResource("kubeadm-aws:infra:"+kind, name, group, pulumi.Parent(s.root),
		pulumi.Provider(s.provider))
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", kind, err)
	}
	return []pulumi.ResourceOption{pulumi.Parent(group)}, nil
}

// protect guards resources that hold data or identity against a destroy, if the stack asks for it.
func (s *deployer) protect() pulumi.ResourceOption { return pulumi.Protect(*s.cfg.Protection.Protect) }

// with appends options to a copy of the slice, because other resources share it.
func with(opts []pulumi.ResourceOption, more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append(opts[:len(opts):len(opts)], more...)
}

func (s *deployer) arn(service, region, account, resource string) string {
	return strings.Join([]string{"arn", s.partition, service, region, account, resource}, ":")
}
