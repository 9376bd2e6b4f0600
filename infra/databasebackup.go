package infra

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
	"kubeadm-aws/infra/policy"
)

// databaseBackups creates the role for PostgreSQL's backups. The control plane assumes it for an hour at a time and
// passes the credentials to the database's pods, which cannot reach the metadata service. The credentials allow
// access to the database's folder only.
func (id *Identity) databaseBackups(s *deployer, storage *Storage, controlPlane *iam.Role,
	opts []pulumi.ResourceOption) error {
	const name = "postgresql-backup"
	role, err := iam.NewRole(s.ctx, s.named(name), &iam.RoleArgs{
		Description: pulumi.Sprintf("What the backups of PostgreSQL in cluster %s may do", s.cfg.Cluster.Name),
		AssumeRolePolicy: controlPlane.Arn.ApplyT(func(arn string) string {
			return assumedByRole(arn).JSON()
		}).(pulumi.StringOutput),
		ForceDetachPolicies: pulumi.Bool(true), // those of others
		Tags:                s.tags(name),
	}, opts...)
	if err != nil {
		return fmt.Errorf("role of the database's backups: %w", err)
	}
	id.DatabaseBackupRole = role.Arn
	for _, p := range []struct {
		name, policy string
		role         *iam.Role
		document     pulumi.StringInput
	}{
		{name + "-folder", "folder", role, storage.Backups.Arn.ApplyT(func(arn string) string {
			return databaseFolder(arn, s.cfg.Cluster.Name).JSON()
		}).(pulumi.StringOutput)},
		{config.ControlPlane + "-" + name, name, controlPlane, role.Arn.ApplyT(func(arn string) string {
			return policy.New(policy.Allow("TakeRole", []string{"sts:AssumeRole"}, []string{arn}, nil)).JSON()
		}).(pulumi.StringOutput)},
	} {
		made, err := iam.NewRolePolicy(s.ctx, p.name,
			&iam.RolePolicyArgs{Role: p.role.Name, Name: pulumi.String(p.policy), Policy: p.document}, opts...)
		if err != nil {
			return fmt.Errorf("policy of the database's backups: %w", err)
		}
		id.Policies[config.ControlPlane] = append(id.Policies[config.ControlPlane], made)
	}
	return nil
}

// databaseFolder allows the calls of barman-cloud. It removes base backups and segments whose retention has ended.
// The bucket keeps a removed version as long as its lifecycle rules say.
func databaseFolder(bucket, cluster string) policy.Document {
	return policy.New(
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("Backups", []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"},
			[]string{bucket + "/" + cluster + "/postgresql/*"}, nil),
	)
}
