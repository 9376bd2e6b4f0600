package infra

import iam "kubeadm-aws/infra/policy"

type (
	policy    = iam.Document
	statement = iam.Statement
	operands  = iam.Operands
)

func document(statements ...statement) policy { return iam.New(statements...) }

func allow(sid string, actions, resources []string, condition map[string]operands) statement {
	return iam.Allow(sid, actions, resources, condition)
}

func equals(key, value string) map[string]operands { return iam.Equals(key, value) }

func tlsOnly(bucket string) policy { return iam.TLSOnly(bucket) }

// assumedByRole lets another role assume a role.
func assumedByRole(arn string) policy {
	return document(statement{
		Effect:    "Allow",
		Principal: map[string]string{"AWS": arn},
		Action:    []string{"sts:AssumeRole"},
	})
}

// assumedBy lets an AWS service assume a role.
func assumedBy(service string) policy {
	return document(statement{
		Effect:    "Allow",
		Principal: map[string]string{"Service": service},
		Action:    []string{"sts:AssumeRole"},
	})
}
