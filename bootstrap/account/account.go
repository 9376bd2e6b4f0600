// Package account makes what an AWS account needs once and what outlives every cluster in it: the bucket and the key of
// the state, the roles of the pipelines, and the image registry.
package account

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Deploy is the Pulumi program that the CLI starts.
func Deploy(ctx *pulumi.Context) error { return deploy(ctx, ctx.RootDirectory()) }

// In is Deploy for a program inside the driver, which the engine does not tell the directory of the project.
func In(project string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error { return deploy(ctx, project) }
}

// deploy is settings -> bucket and key of the state -> image registry -> roles -> exports.
func deploy(ctx *pulumi.Context, project string) error {
	settings, err := fromContext(ctx, project)
	if err != nil {
		return err
	}
	d, err := newDeployer(ctx, settings)
	if err != nil {
		return err
	}
	state, err := d.newState()
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	images, err := d.newImages()
	if err != nil {
		return fmt.Errorf("image registry: %w", err)
	}
	roles, err := d.newRoles(state, images)
	if err != nil {
		return fmt.Errorf("roles: %w", err)
	}
	return d.export(state, images, roles)
}

// deployer is the account and region that everything is made in.
type deployer struct {
	ctx       *pulumi.Context
	settings  *Settings
	provider  *aws.Provider
	accountID string
	// aws knows the partition of the region.
	aws config.Config
}

func newDeployer(ctx *pulumi.Context, settings *Settings) (*deployer, error) {
	d := &deployer{ctx: ctx, settings: settings, aws: config.Config{Region: settings.Region}}
	var err error
	d.provider, err = aws.NewProvider(ctx, "aws", &aws.ProviderArgs{
		Region:      pulumi.String(settings.Region),
		DefaultTags: aws.ProviderDefaultTagsArgs{Tags: pulumi.StringMap{config.TagManagedBy: pulumi.String(Namespace)}},
	})
	if err != nil {
		return nil, fmt.Errorf("configure the AWS provider: %w", err)
	}
	caller, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{}, pulumi.Provider(d.provider))
	if err != nil {
		return nil, fmt.Errorf("ask AWS who is calling (check the credentials with `aws sts get-caller-identity`): %w", err)
	}
	d.accountID = caller.AccountId
	return d, nil
}

// component registers a group of resources and returns the options its children start from.
func (d *deployer) component(kind, name string, group pulumi.ComponentResource) ([]pulumi.ResourceOption, error) {
	err := d.ctx.RegisterComponentResource("kubeadm-aws:bootstrap:"+kind, name, group, pulumi.Provider(d.provider))
	return []pulumi.ResourceOption{pulumi.Parent(group)}, err
}

// protect keeps what cannot be made again from being deleted.
func (d *deployer) protect() pulumi.ResourceOption { return pulumi.Protect(d.settings.Protect) }

func with(opts []pulumi.ResourceOption, more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append(opts[:len(opts):len(opts)], more...)
}

// arn is the ARN of a resource of this account; region is empty for what has none.
func (d *deployer) arn(service, region, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", d.aws.Partition(), service, region, d.accountID, resource)
}

// StateBucket is the name of the bucket of the state of an account in a region.
func StateBucket(account, region string) string { return "kubeadm-aws-state-" + account + "-" + region }

// KeyAlias is the name of the key of the secrets in the state.
const KeyAlias = "alias/kubeadm-aws-state"

// Backend is the URL of the state of all stacks.
func Backend(bucket, region string) string { return fmt.Sprintf("s3://%s?region=%s", bucket, region) }

// PreviewBackend is the URL of the copies of the state that hold no secrets.
func PreviewBackend(bucket, region string) string {
	return fmt.Sprintf("s3://%s/%s?region=%s", bucket, redactedFolder, region)
}

// SecretsProvider is the URL of the key for the secrets of a stack. KMS decrypts them only with the same name of the
// stack.
func SecretsProvider(stack, region string) string {
	return fmt.Sprintf("awskms://%s?region=%s&context_stack=%s", KeyAlias, region, stack)
}

// redactedFolder is the folder of the bucket for copies of the state without secrets.
const redactedFolder = "redacted"

// GitHubEnvironments are the GitHub environments of an environment, with the kind of role that each gets.
var GitHubEnvironments = []struct{ Suffix, Role string }{
	{"", "apply"}, {"-drift", "drift"}, {"-preview", "preview"},
}

func (d *deployer) export(state *State, images *Images, roles *Roles) error {
	region := d.settings.Region
	variables := pulumi.Map{}
	for _, environment := range d.settings.Environments {
		for _, github := range GitHubEnvironments {
			backend := Backend(state.Name, region)
			if github.Role == "preview" {
				backend = PreviewBackend(state.Name, region)
			}
			// An environment of another account has another region and account.
			variables[environment+github.Suffix] = pulumi.StringMap{
				"AWS_REGION":         pulumi.String(region),
				"AWS_ACCOUNT_ID":     pulumi.String(d.accountID),
				"AWS_ROLE_ARN":       roles.ARNs[environment+"/"+github.Role],
				"PULUMI_BACKEND_URL": pulumi.String(backend),
			}
		}
	}
	d.ctx.Export("repository", pulumi.String(d.settings.Repository.Owner+"/"+d.settings.Repository.Name))
	d.ctx.Export("mainBranch", pulumi.String(d.settings.MainBranch))
	// The job that pushes images has no environment. One account of a repository has the images.
	shared := pulumi.StringMap{}
	if len(d.settings.Images) > 0 {
		shared = pulumi.StringMap{
			"AWS_REGION":      pulumi.String(region),
			"AWS_ACCOUNT_ID":  pulumi.String(d.accountID),
			"AWS_ROLE_IMAGES": roles.ARNs["images"],
			"IMAGE_REGISTRY":  pulumi.String(d.registryHost()),
		}
	}
	d.ctx.Export("repositoryVariables", shared)
	d.ctx.Export("environmentVariables", variables)
	d.ctx.Export("backend", pulumi.String(Backend(state.Name, region)))
	d.ctx.Export("images", images.URLs)
	secrets := pulumi.StringMap{}
	for _, environment := range d.settings.Environments {
		secrets[environment] = pulumi.String(SecretsProvider(environment, region))
	}
	d.ctx.Export("secretsProviders", secrets)
	return nil
}
