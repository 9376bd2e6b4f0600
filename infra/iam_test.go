package infra

import (
	"encoding/json"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/infra/policy"
)

// reference is the part of AWS's Service Authorization Reference that testdata/iam-actions.sh extracts.
type reference struct {
	// ARNs are the ARN patterns of resource types, by service and type: "ec2:volume".
	ARNs map[string]string `json:"arns"`
	// Actions are the condition keys of each action by resource type. The type "" holds the keys of the request.
	Actions map[string]map[string][]string `json:"actions"`
}

func loadReference(t *testing.T) reference {
	t.Helper()
	text, err := os.ReadFile("testdata/iam-actions.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	// The reference does not list the key that the driver's own policy uses (aws-ebs-csi-driver v1.64.0,
	// docs/AmazonEBSCSIDriverPolicyV2.json, CopyManagedVolumes).
	r.Actions["ec2:CopyVolumes"]["volume"] = append(r.Actions["ec2:CopyVolumes"]["volume"], "ec2:ResourceTag/${TagKey}")
	return r
}

func (r reference) types(action string) []string {
	var types []string
	for name := range r.Actions[action] {
		if name != "" {
			types = append(types, name)
		}
	}
	return types
}

// knows reports whether a condition key is in the request for an action on a resource type.
func (r reference) knows(action, resourceType, key string) bool {
	for _, known := range slices.Concat(r.Actions[action][resourceType], r.Actions[action][""]) {
		prefix, _, template := strings.Cut(known, "${")
		if key == known || template && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// arn returns an example ARN of the type, with "x" for every variable part.
func (r reference) arn(service, resourceType string) string {
	parts := strings.SplitN(r.ARNs[service+":"+resourceType], ":", 6)
	for i, value := range map[int]string{1: "aws", 3: "eu-central-1", 4: "123456789012"} {
		if parts[i] == "*" {
			parts[i] = value
		}
	}
	return strings.ReplaceAll(strings.Join(parts, ":"), "*", "x")
}

// fits matches a resource as IAM does: "*" matches any text, including slashes and colons.
func fits(pattern, text string) bool {
	flat := strings.NewReplacer("/", "\x00", "[", "", "]", "")
	ok, err := path.Match(flat.Replace(pattern), flat.Replace(text))
	return err == nil && ok
}

// overlaps reports whether a statement's resource can match an ARN of a type.
func (r reference) overlaps(service, resourceType, resource string) bool {
	return fits(resource, r.arn(service, resourceType)) ||
		fits(r.ARNs[service+":"+resourceType], strings.ReplaceAll(resource, "*", "x"))
}

// request is one authorization: an action on one resource. Most API calls need several of them.
type request struct {
	action string
	// on is the type of the resource in the reference, such as "volume". It is empty for actions that name no
	// resource.
	on string
	// arn is the resource. Empty means any resource of the type.
	arn string
	// tags are the tags of the resource, adds the tags that the call sets.
	tags, adds map[string]string
	// context are further keys.
	context map[string]string
}

func (q request) service() string {
	service, _, _ := strings.Cut(q.action, ":")
	return service
}

// keys returns the condition keys that AWS includes: only those that the reference lists for the action and the type.
func (r reference) keys(q request) map[string][]string {
	keys := map[string][]string{}
	for k, v := range q.context {
		keys[k] = []string{v}
	}
	for k, v := range q.tags {
		keys["aws:ResourceTag/"+k], keys[q.service()+":ResourceTag/"+k] = []string{v}, []string{v}
	}
	for k, v := range q.adds {
		keys["aws:RequestTag/"+k] = []string{v}
		keys["aws:TagKeys"] = append(keys["aws:TagKeys"], k)
	}
	for key := range keys {
		if !r.knows(q.action, q.on, key) {
			delete(keys, key)
		}
	}
	return keys
}

// allows evaluates policies as IAM does: an action that no statement allows is denied. An operator that it does not
// implement fails the test.
func (r reference) allows(t *testing.T, policies map[string]policy.Document, q request) bool {
	t.Helper()
	resource := q.arn
	if resource == "" {
		resource = "*"
		if q.on != "" {
			resource = r.arn(q.service(), q.on)
		}
	}
	keys := r.keys(q)
	for _, p := range policies {
		for _, s := range p.Statement {
			if s.Effect != "Allow" {
				t.Fatalf("statement %s: this evaluator implements Allow only", s.Sid)
			}
			matches := func(pattern string) bool { return fits(pattern, resource) }
			if slices.Contains(s.Action, q.action) && slices.ContainsFunc(s.Resource, matches) && holds(t, s.Condition, keys) {
				return true
			}
		}
	}
	return false
}

// holds evaluates a condition block: every key of every operator must match.
func holds(t *testing.T, condition map[string]policy.Operands, keys map[string][]string) bool {
	t.Helper()
	for operator, all := range condition {
		for key, values := range all {
			if !matches(t, operator, keys[key], values) {
				return false
			}
		}
	}
	return true
}

func matches(t *testing.T, operator string, got, values []string) bool {
	t.Helper()
	in := func(v string) bool { return slices.Contains(values, v) }
	switch operator {
	case "StringEquals", "Bool":
		return len(got) > 0 && slices.ContainsFunc(got, in)
	case "StringEqualsIfExists":
		return len(got) == 0 || slices.ContainsFunc(got, in)
	case "ForAllValues:StringNotEquals":
		return !slices.ContainsFunc(got, in)
	case "Null":
		return slices.Contains(values, "true") == (len(got) == 0)
	}
	t.Fatalf("this evaluator does not implement the operator %s", operator)
	return false
}
