package infra

import "kubeadm-aws/infra/policy"

// assumedByRole lets another role assume a role.
func assumedByRole(arn string) policy.Document {
	return policy.New(policy.Statement{
		Effect:    "Allow",
		Principal: map[string]string{"AWS": arn},
		Action:    []string{"sts:AssumeRole"},
	})
}

// assumedBy lets an AWS service assume a role.
func assumedBy(service string) policy.Document {
	return policy.New(policy.Statement{
		Effect:    "Allow",
		Principal: map[string]string{"Service": service},
		Action:    []string{"sts:AssumeRole"},
	})
}
