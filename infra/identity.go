package infra

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Identity holds the permissions of the nodes in AWS. The control plane has one role. Controllers that call AWS run
// there and use it, unless the stack has workload identity: see Issuer. The workers have another role, which allows
// pulling images only.
type Identity struct {
	pulumi.ResourceState

	// Profiles are the instance profiles by node role.
	Profiles map[string]*iam.InstanceProfile
	// Policies are the policies of each role. Without its policy, a controller cannot clean up.
	Policies map[string][]pulumi.Resource
	// DatabaseBackupRole is the ARN of the role for PostgreSQL's backups, or nil if there are none.
	DatabaseBackupRole pulumi.StringInput
	roles              map[string]*iam.Role
}

type identityArgs struct {
	network *Network
	storage *Storage
}

func newIdentity(s *deployer, args identityArgs) (*Identity, error) {
	id := &Identity{Profiles: map[string]*iam.InstanceProfile{}, Policies: map[string][]pulumi.Resource{},
		roles: map[string]*iam.Role{}}
	opts, err := s.component("Identity", "identity", id)
	if err != nil {
		return nil, err
	}
	for _, role := range []struct {
		name     string
		policies []rolePolicy
	}{
		{config.ControlPlane, nodePolicies{s}.controlPlane(args.storage, args.network)},
		{config.Worker, nodePolicies{s}.worker()},
	} {
		if err := id.role(s, role.name, role.policies, opts); err != nil {
			return nil, fmt.Errorf("role of a %s node: %w", role.name, err)
		}
	}
	if s.cfg.Addons.PostgreSQL.BacksUp() {
		if err := id.databaseBackups(s, args.storage, id.roles[config.ControlPlane], opts); err != nil {
			return nil, err
		}
	}
	return id, s.ctx.RegisterResourceOutputs(id, pulumi.Map{})
}

func (id *Identity) role(s *deployer, name string, policies []rolePolicy, opts []pulumi.ResourceOption) error {
	role, err := iam.NewRole(s.ctx, s.named(name), &iam.RoleArgs{
		Description:      pulumi.Sprintf("What a %s node of cluster %s may do", name, s.cfg.Cluster.Name),
		AssumeRolePolicy: pulumi.String(assumedBy("ec2." + s.cfg.PrincipalSuffix()).JSON()),
		// Others attach policies too, such as Systems Manager's Quick Setup. IAM deletes no role that has one.
		ForceDetachPolicies: pulumi.Bool(true),
		Tags:                s.tags(name),
	}, opts...)
	if err != nil {
		return err
	}
	id.roles[name] = role
	// Session Manager gives access if SSH does not work.
	session, err := iam.NewRolePolicyAttachment(s.ctx, name+"-session-manager", &iam.RolePolicyAttachmentArgs{
		Role:      role.Name,
		PolicyArn: pulumi.String(s.arn("iam", "", "aws", "policy/AmazonSSMManagedInstanceCore")),
	}, opts...)
	if err != nil {
		return err
	}
	id.Policies[name] = append(id.Policies[name], session)
	for _, g := range policies {
		p, err := iam.NewRolePolicy(s.ctx, name+"-"+g.name, &iam.RolePolicyArgs{
			Role:   role.Name,
			Name:   pulumi.String(g.name),
			Policy: g.document,
		}, opts...)
		if err != nil {
			return err
		}
		id.Policies[name] = append(id.Policies[name], p)
	}
	id.Profiles[name], err = iam.NewInstanceProfile(s.ctx, s.named(name), &iam.InstanceProfileArgs{
		Role: role.Name,
		Tags: s.tags(name),
	}, opts...)
	return err
}
