// Package policy writes IAM and resource policy documents.
package policy

import (
	"encoding/json"
	"fmt"
)

// Document is an IAM or resource policy. Equal content gives equal JSON, so that resources do not change
// without a reason.
type Document struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows or denies actions. An empty Sid, Principal or Condition is left out.
type Statement struct {
	Sid       string              `json:"Sid,omitempty"`
	Effect    string              `json:"Effect"`
	Principal any                 `json:"Principal,omitempty"`
	Action    []string            `json:"Action"`
	Resource  []string            `json:"Resource,omitempty"`
	Condition map[string]Operands `json:"Condition,omitempty"`
}

// Operands are the keys of one condition operator and the allowed values of each.
type Operands map[string][]string

// New returns a document with the statements.
func New(statements ...Statement) Document {
	return Document{Version: "2012-10-17", Statement: statements}
}

// JSON renders the document in the compact form that AWS counts towards its size limits.
func (p Document) JSON() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("policy document: %v", err)) // strings only, cannot fail
	}
	return string(text)
}

// Allow returns a statement that allows actions on resources; condition may be nil.
func Allow(sid string, actions, resources []string, condition map[string]Operands) Statement {
	return Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources, Condition: condition}
}

// Equals returns the condition that key has one of the values.
func Equals(key string, values ...string) map[string]Operands {
	return map[string]Operands{"StringEquals": {key: values}}
}

// TLSOnly returns a bucket policy that denies requests without TLS. bucket is an ARN.
func TLSOnly(bucket string) Document {
	return New(Statement{
		Sid:       "TLSOnly",
		Effect:    "Deny",
		Principal: "*",
		Action:    []string{"s3:*"},
		Resource:  []string{bucket, bucket + "/*"},
		Condition: map[string]Operands{"Bool": {"aws:SecureTransport": {"false"}}},
	})
}
