package account

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/infra/policy"
)

// issuer is GitHub's identity provider for workflows, without https://.
const issuer = "token.actions.githubusercontent.com"

// SessionSeconds is the longest session of a role. A job that brings a stack up may take as long; the workflows ask for
// it.
const SessionSeconds = 7200

// Roles are the roles of the pipelines. They trust one repository of GitHub, and each one kind of job.
type Roles struct {
	pulumi.ResourceState

	// ARNs are by "dev/apply", "dev/drift", "dev/preview" and "images".
	ARNs pulumi.StringMap
}

func (d *deployer) newRoles(state *State, images *Images) (*Roles, error) {
	r := &Roles{ARNs: pulumi.StringMap{}}
	opts, err := d.component("Roles", "roles", r)
	if err != nil {
		return nil, err
	}
	if d.settings.CreateOIDCProvider {
		provider, err := iam.NewOpenIdConnectProvider(d.ctx, "github", &iam.OpenIdConnectProviderArgs{
			Url:           pulumi.String("https://" + issuer),
			ClientIdLists: pulumi.StringArray{pulumi.String(audience)},
			// AWS trusts the certificate of this issuer by its authorities, and does not use the thumbprint. Without one IAM
			// connects to the issuer to get it.
			ThumbprintLists: pulumi.StringArray{pulumi.String("ffffffffffffffffffffffffffffffffffffffff")},
		}, opts...)
		if err != nil {
			return nil, err
		}
		opts = with(opts, pulumi.DependsOn([]pulumi.Resource{provider}))
	}
	managed, err := d.managedPolicies(opts)
	if err != nil {
		return nil, err
	}
	for _, environment := range d.settings.Environments {
		for _, github := range GitHubEnvironments {
			role, subject := environment+"/"+github.Role, "environment:"+environment+github.Suffix
			name := "kubeadm-aws-" + environment + "-" + github.Role
			made, err := d.role(name, subject, d.policiesOf(github.Role, environment, state), opts)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", role, err)
			}
			for _, p := range managed {
				if p.role != "" && p.role != github.Role {
					continue
				}
				if _, err := iam.NewRolePolicyAttachment(d.ctx, name+"-"+p.name, &iam.RolePolicyAttachmentArgs{
					Role: made.Name, PolicyArn: p.made.Arn,
				}, opts...); err != nil {
					return nil, fmt.Errorf("%s: %w", role, err)
				}
			}
			r.ARNs[role] = made.Arn
		}
	}
	if len(images.ARNs) > 0 {
		push := []rolePolicy{{"push", pulumi.String(pushImages(images.ARNs).JSON())}}
		made, err := d.role("kubeadm-aws-images", "ref:refs/heads/"+d.settings.MainBranch, push, opts)
		if err != nil {
			return nil, fmt.Errorf("images: %w", err)
		}
		r.ARNs["images"] = made.Arn
	}
	return r, d.ctx.RegisterResourceOutputs(r, pulumi.Map{})
}

// managedPolicy is a policy that several roles have.
type managedPolicy struct {
	name string
	// role is the kind of roles that have it; empty for all.
	role     string
	document policy.Document
	made     *iam.Policy
}

// managedPolicies makes the policies that are the same for every environment. The inline policies of a role have no
// room for them.
func (d *deployer) managedPolicies(opts []pulumi.ResourceOption) ([]managedPolicy, error) {
	all := []managedPolicy{
		{name: "read", document: d.readAccount()}, {name: "apply", role: "apply", document: d.ofNoCluster()},
	}
	for i, p := range all {
		made, err := iam.NewPolicy(d.ctx, p.name, &iam.PolicyArgs{
			Name:        pulumi.String("kubeadm-aws-" + p.name),
			Description: pulumi.String("What the pipelines of kubeadm-aws may do beyond one cluster: " + p.name),
			Policy:      pulumi.String(p.document.JSON()),
		}, opts...)
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", p.name, err)
		}
		all[i].made = made
	}
	return all, nil
}

// rolePolicy is one inline policy of a role.
type rolePolicy struct {
	name     string
	document pulumi.StringInput
}

// policiesOf are the policies of a kind of role for an environment.
func (d *deployer) policiesOf(kind, environment string, state *State) []rolePolicy {
	bucket := fmt.Sprintf("arn:%s:s3:::%s", d.aws.Partition(), state.Name)
	p := permissions{d, environment}
	access := map[string]func(bucket, key string) policy.Document{
		"apply": p.writeState, "drift": p.readState, "preview": p.readRedacted,
	}[kind]
	policies := []rolePolicy{
		{"state", state.Key.Arn.ApplyT(func(key string) string {
			return access(bucket, key).JSON()
		}).(pulumi.StringOutput)},
	}
	if kind == "drift" {
		policies = append(policies, rolePolicy{"access", pulumi.String(p.openAccess().JSON())})
	}
	if kind == "apply" {
		documents := p.changeCluster()
		for _, name := range slices.Sorted(maps.Keys(documents)) {
			policies = append(policies, rolePolicy{name, pulumi.String(documents[name].JSON())})
		}
	}
	return policies
}

func (d *deployer) role(name, subject string, policies []rolePolicy, opts []pulumi.ResourceOption) (*iam.Role, error) {
	repository := d.settings.Repository.Owner + "/" + d.settings.Repository.Name
	role, err := iam.NewRole(d.ctx, name, &iam.RoleArgs{
		Name:               pulumi.String(name),
		Description:        pulumi.String("GitHub Actions of " + repository + ", " + subject),
		AssumeRolePolicy:   pulumi.String(d.trust(subject).JSON()),
		MaxSessionDuration: pulumi.Int(SessionSeconds),
	}, opts...)
	if err != nil {
		return nil, err
	}
	// IAM limits the size of all policies together. One after the other in this order, those that became smaller go
	// before the policy "tagged", which took over a part of them.
	var before []pulumi.Resource
	for _, p := range policies {
		made, err := iam.NewRolePolicy(d.ctx, name+"-"+p.name, &iam.RolePolicyArgs{
			Name: pulumi.String(p.name), Role: role.Name, Policy: p.document,
		}, append(slices.Clone(opts), pulumi.DependsOn(before))...)
		if err != nil {
			return nil, err
		}
		before = []pulumi.Resource{made}
	}
	return role, nil
}

// audience is the audience of the token that aws-actions/configure-aws-credentials requests.
const audience = "sts.amazonaws.com"

// trust lets jobs of the repository take a role. subject is the part of the token's subject after the repository, such
// as "environment:dev". GitHub writes the repository in two forms, so both are trusted, each as an exact value: a
// pattern would let another repository in. Where the ids are known, the token has to show the repository's own, because
// names can be taken over.
func (d *deployer) trust(subject string) policy.Document {
	r := d.settings.Repository
	values := policy.Operands{
		issuer + ":aud": {audience},
		issuer + ":sub": {fmt.Sprintf("repo:%s/%s:%s", r.Owner, r.Name, subject)},
	}
	if r.RepositoryID != 0 {
		values[issuer+":sub"] = append(values[issuer+":sub"],
			fmt.Sprintf("repo:%s@%d/%s@%d:%s", r.Owner, r.OwnerID, r.Name, r.RepositoryID, subject))
		values[issuer+":repository_id"] = []string{fmt.Sprint(r.RepositoryID)}
	}
	return policy.New(policy.Statement{
		Effect:    "Allow",
		Principal: map[string]string{"Federated": d.arn("iam", "", "oidc-provider/"+issuer)},
		Action:    []string{"sts:AssumeRoleWithWebIdentity"},
		Condition: map[string]policy.Operands{"StringEquals": values},
	})
}
