package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/route53"

	"kubeadm-aws/sweep/sweepline"
)

// Tags that identify a resource. The last two are this project's own (config.TagCluster, config.TagManagedBy); they are
// written out here because package config needs the Pulumi SDK.
const (
	tagLoadBalancerController = "elbv2.k8s.aws/cluster"
	tagCloudProvider          = "kubernetes.io/cluster/" // + the cluster's name; "owned" is the value
	tagVolumeDriver           = "ebs.csi.aws.com/cluster-name"
	tagProject                = "kubeadm-aws/cluster"
	tagManagedBy              = "kubeadm-aws/managed-by"
	managedByPulumi           = "pulumi"
)

// scope decides which resources belong to the cluster.
type scope struct {
	cluster string
	// account is the number of the stack's account; empty if it is unknown.
	account string
	// vpc bounds everything: what lives in it, and by a tag (tagVPC) the volumes and snapshots, so that a second cluster
	// of the same name elsewhere is safe.
	vpc string
	// zone is the public hosted zone to look for records in; empty for none.
	zone string
	// volumes is sweepline.Delete or sweepline.Keep.
	volumes string
	// images is sweepline.Delete or sweepline.Keep.
	images string
}

func scopeOf(l sweepline.Line) scope {
	return scope{cluster: l.Cluster, account: l.Account, vpc: l.VPC, zone: l.Zone, volumes: l.Volumes,
		images: l.Images}
}

// owns reports whether a controller of the cluster created the resource with these tags. Pulumi's own resources have
// the cluster's tags too (the controllers ask for it) and are told apart by a tag that only Pulumi sets.
func (s scope) owns(tags map[string]string) bool {
	if tags[tagManagedBy] == managedByPulumi {
		return false
	}
	return tags[tagLoadBalancerController] == s.cluster ||
		tags[tagCloudProvider+s.cluster] == "owned" ||
		tags[tagVolumeDriver] == s.cluster
}

// pulumiOwns reports whether Pulumi created the resource for this cluster.
func (s scope) pulumiOwns(tags map[string]string) bool {
	return tags[tagManagedBy] == managedByPulumi && tags[tagProject] == s.cluster
}

// account is one region of one AWS account, seen by one cluster.
type account struct {
	scope
	ec2     *ec2.Client
	elb     *elb.Client
	classic *classic.Client
	route53 *route53.Client
}

// configure finds credentials and, where AWS_ENDPOINT_URL is set, the endpoint, as the AWS CLI does. A profile of the
// settings takes precedence over keys in the environment, as in the provider. It then takes the role and checks the
// account that the environment asks for. Every call to AWS is made with what it returns.
func configure(ctx context.Context, region string) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithRetryMaxAttempts(8),
		config.WithSharedConfigProfile(os.Getenv(envProfile)))
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return aws.Config{}, fmt.Errorf("find AWS credentials (set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY): %w", err)
	}
	if cfg, err = assumeRole(ctx, cfg); err != nil {
		return aws.Config{}, err
	}
	return cfg, checkAccount(ctx, cfg)
}

func open(ctx context.Context, s scope, region string) (*account, error) {
	cfg, err := configure(ctx, region)
	if err == nil {
		err = checkStack(ctx, cfg, s.account)
	}
	if err != nil {
		return nil, err
	}
	return &account{
		scope:   s,
		ec2:     ec2.NewFromConfig(cfg),
		elb:     elb.NewFromConfig(cfg),
		classic: classic.NewFromConfig(cfg),
		route53: route53.NewFromConfig(cfg),
	}, nil
}

func (a *account) inVPC() types.Filter { return filter("vpc-id", a.vpc) }

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

// tagMap turns tags into a map. Every service of the SDK has a type of its own for them, all of this one shape.
func tagMap[T any](list []T, pair func(T) (key, value *string)) map[string]string {
	tags := make(map[string]string, len(list))
	for _, t := range list {
		key, value := pair(t)
		tags[deref(key)] = deref(value)
	}
	return tags
}

func ec2Tags(list []types.Tag) map[string]string {
	return tagMap(list, func(t types.Tag) (key, value *string) { return t.Key, t.Value })
}

// deref spares the nil checks of an SDK whose every field is a pointer.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
