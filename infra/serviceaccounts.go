package infra

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
	"kubeadm-aws/infra/policy"
)

// readable is how much of a service account's name the name of its role shows. With it, the name of the role of the
// longest cluster name has IAM's 64 characters.
const readable = 15

// serviceAccounts creates the role of each service account in the settings.
func (is *Issuer) serviceAccounts() error {
	for _, a := range is.deployer.cfg.Identity.ServiceAccounts {
		role, err := is.role(a)
		if err != nil {
			return err
		}
		if arn := a.PolicyARN(); arn != "" {
			_, err = iam.NewRolePolicyAttachment(is.deployer.ctx, roleName(a), &iam.RolePolicyAttachmentArgs{
				Role: role.Name, PolicyArn: pulumi.String(arn),
			}, is.opts...)
		} else {
			_, err = is.policy(a, role, rolePolicy{"settings", pulumi.String(a.PolicyDocument())})
		}
		if err != nil {
			return fmt.Errorf("policy of the service account %s/%s: %w", a.Namespace, a.Name, err)
		}
	}
	return nil
}

// controllers creates the role of each controller of the platform.
func (is *Issuer) controllers(all []controllerPolicy) error {
	for _, c := range all {
		role, err := is.role(c.account)
		if err != nil {
			return err
		}
		made, err := is.policy(c.account, role, c.policy)
		if err != nil {
			return fmt.Errorf("policy of the service account %s/%s: %w", c.account.Namespace, c.account.Name, err)
		}
		is.Policies = append(is.Policies, made)
	}
	return nil
}

// role creates the role of a service account and adds it to Roles.
func (is *Issuer) role(a config.ServiceAccount) (*iam.Role, error) {
	s, name := is.deployer, roleName(a)
	trust := pulumi.All(is.Provider.Arn, is.URL).ApplyT(func(v []any) string {
		return assumedByPod(v[0].(string), v[1].(string), a.Subject()).JSON()
	}).(pulumi.StringOutput)
	role, err := iam.NewRole(s.ctx, s.named(name), &iam.RoleArgs{
		Description: pulumi.Sprintf("What pods of the service account %s/%s in cluster %s may do", a.Namespace, a.Name,
			s.cfg.Cluster.Name),
		AssumeRolePolicy:    trust,
		ForceDetachPolicies: pulumi.Bool(true), // those of others
		Tags:                s.tags(name),
	}, is.opts...)
	if err != nil {
		return nil, fmt.Errorf("role of the service account %s/%s: %w", a.Namespace, a.Name, err)
	}
	is.Roles[a.Namespace+"/"+a.Name] = role.Arn
	return role, nil
}

func (is *Issuer) policy(a config.ServiceAccount, role *iam.Role, p rolePolicy) (*iam.RolePolicy, error) {
	return iam.NewRolePolicy(is.deployer.ctx, roleName(a), &iam.RolePolicyArgs{
		Role: role.Name, Name: pulumi.String(p.name), Policy: p.document,
	}, is.opts...)
}

// roleName returns a name that no other service account has: a-b/c and a/b-c differ in the digest.
func roleName(a config.ServiceAccount) string {
	digest := sha256.Sum256([]byte(a.Subject()))
	text := a.Namespace + "-" + a.Name
	return "sa-" + text[:min(len(text), readable)] + "-" + hex.EncodeToString(digest[:4])
}

// assumedByPod lets the pods of one service account assume a role, with a token for AWS.
func assumedByPod(provider, issuer, subject string) policy.Document {
	host := strings.TrimPrefix(issuer, "https://")
	return policy.New(policy.Statement{
		Effect:    "Allow",
		Principal: map[string]string{"Federated": provider},
		Action:    []string{"sts:AssumeRoleWithWebIdentity"},
		Condition: map[string]policy.Operands{"StringEquals": {host + ":aud": {config.TokenAudience},
			host + ":sub": {subject}}},
	})
}
