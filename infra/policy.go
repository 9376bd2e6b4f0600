package infra

import (
	"encoding/json"
	"fmt"
)

// policy is an IAM or resource policy document. Equal content gives equal JSON, so that resources do not change
// without a reason.
type policy struct {
	Version   string      `json:"Version"`
	Statement []statement `json:"Statement"`
}

// statement allows or denies actions. An empty Sid, Principal or Condition is left out.
type statement struct {
	Sid       string              `json:"Sid,omitempty"`
	Effect    string              `json:"Effect"`
	Principal any                 `json:"Principal,omitempty"`
	Action    []string            `json:"Action"`
	Resource  []string            `json:"Resource,omitempty"`
	Condition map[string]operands `json:"Condition,omitempty"`
}

// operands are the keys of one condition operator and the allowed values of each.
type operands map[string][]string

func document(statements ...statement) policy {
	return policy{Version: "2012-10-17", Statement: statements}
}

// JSON returns the document in the compact form that AWS counts towards its size limits.
func (p policy) JSON() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("policy document: %v", err)) // strings only, cannot fail
	}
	return string(text)
}

func allow(sid string, actions, resources []string, condition map[string]operands) statement {
	return statement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources, Condition: condition}
}

// equals is a condition on one key.
func equals(key, value string) map[string]operands {
	return map[string]operands{"StringEquals": {key: {value}}}
}

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
