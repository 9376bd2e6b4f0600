package aws

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

var iamName = regexp.MustCompile(`^[\w+=,.@-]+$`)

// checkIAMName checks a name against IAM's alphabet and the length for its kind.
func checkIAMName(c *call, limit int) error {
	name := c.Inputs.Str("name")
	if !iamName.MatchString(name) || len(name) > limit {
		return fmt.Errorf("ValidationError: the name %q must have 1 to %d characters of letters, digits and +=,.@_-",
			name, limit)
	}
	return nil
}

func checkRole(c *call) error {
	if err := checkIAMName(c, 64); err != nil {
		return err
	}
	return checkPolicyDocument("assumeRolePolicy")(c)
}

func checkProfile(c *call) error { return checkIAMName(c, 128) }

func checkInlinePolicy(c *call) error {
	if err := checkIAMName(c, 128); err != nil {
		return err
	}
	if n := len(c.Inputs.Str("policy")); n > 10240 {
		return fmt.Errorf("LimitExceeded: inline policies of a role may have 10240 characters, this one has %d", n)
	}
	return checkPolicyDocument("policy")(c)
}

func checkManagedPolicy(c *call) error {
	if err := checkIAMName(c, 128); err != nil {
		return err
	}
	if n := len(c.Inputs.Str("policy")); n > 6144 {
		return fmt.Errorf("LimitExceeded: a managed policy may have 6144 characters, this one has %d", n)
	}
	return checkPolicyDocument("policy")(c)
}

func policyUnattached(c *call) error {
	for _, o := range c.All(attachmentType) {
		if o.Inputs.Str("policyArn") == c.object.Str("arn") {
			return fmt.Errorf("DeleteConflict: must remove %s first", o.Title())
		}
	}
	return nil
}

// awsPolicies are the policies of AWS that a role can have, one a line with its path. The list is that of moto 5.2.5,
// without the policies of service-linked roles.
//
//go:embed policies.txt
var awsPolicies string

// policyARN matches the ARN of a policy; the groups are its owner, and its name with the path.
var policyARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([^:]+):policy/(.+)$`)

// checkAttachment refuses policies that AWS does not have. It accepts every policy of the account itself.
func checkAttachment(c *call) error {
	arn := c.Inputs.Str("policyArn")
	if parts := policyARN.FindStringSubmatch(arn); parts != nil && (parts[1] == c.number ||
		parts[1] == "aws" && slices.Contains(strings.Fields(awsPolicies), parts[2])) {
		return nil
	}
	return fmt.Errorf("NoSuchEntity: the policy %s does not exist", arn)
}

// roleUnattached returns IAM's DeleteConflict while a role has a policy or is in an instance profile. With
// forceDetachPolicies the provider detaches the policies first. The model does so only with those of others, so that a
// wrong order of the program's own is seen.
func roleUnattached(c *call) error {
	for _, o := range c.Where(func(o *store.Object) bool {
		return strings.HasPrefix(o.Type, "aws:iam/role") && o.Type != roleType || o.Type == ProfileType
	}) {
		switch {
		case o.Inputs.Str("role") != c.object.Str("name"):
		case o.URN == "" && o.Type == attachmentType && c.object.Inputs["forceDetachPolicies"] == true:
			c.Remove(o)
		default:
			return fmt.Errorf("DeleteConflict: must remove %s first", o.Title())
		}
	}
	return nil
}

// action is "service:Operation" with wildcards, or "*".
var action = regexp.MustCompile(`^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$`)

// checkPolicyDocument parses a policy as IAM does: a version, statements, an effect and actions in each.
func checkPolicyDocument(field string) func(*call) error {
	return func(c *call) error {
		var doc struct {
			Version   string
			Statement []map[string]any
		}
		if err := json.Unmarshal([]byte(c.Inputs.Str(field)), &doc); err != nil {
			return fmt.Errorf("MalformedPolicyDocument: %s: %w", field, err)
		}
		if doc.Version != "2012-10-17" || len(doc.Statement) == 0 {
			return fmt.Errorf("MalformedPolicyDocument: %s: must have Version 2012-10-17 and a Statement", field)
		}
		for i, s := range doc.Statement {
			if s["Effect"] != "Allow" && s["Effect"] != "Deny" {
				return fmt.Errorf("MalformedPolicyDocument: %s: statement %d has no Effect", field, i)
			}
			actions := append(props.Map(s).Strings("Action"), props.Map(s).Strings("NotAction")...)
			if len(actions) == 0 {
				return fmt.Errorf("MalformedPolicyDocument: %s: statement %d has no Action", field, i)
			}
			for _, a := range actions {
				if !action.MatchString(a) {
					return fmt.Errorf("MalformedPolicyDocument: %s: statement %d: %q is not an action", field, i, a)
				}
			}
			identity := field == "policy" && strings.HasPrefix(c.Type, "aws:iam/")
			if identity && s["Resource"] == nil && s["NotResource"] == nil {
				return fmt.Errorf("MalformedPolicyDocument: %s: statement %d has no Resource", field, i)
			}
			if !identity && s["Principal"] == nil && s["NotPrincipal"] == nil {
				return fmt.Errorf("MalformedPolicyDocument: %s: statement %d has no Principal", field, i)
			}
		}
		return nil
	}
}

// checkIssuer refuses a URL that IAM refuses for an identity provider.
func checkIssuer(c *call) error {
	text := c.Inputs.Str("url")
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Port() != "" || u.RawQuery != "" || u.Fragment != "" ||
		len(text) > 255 {
		return fmt.Errorf("ValidationError: %q is not the https URL of an issuer, without port, query and fragment", text)
	}
	return nil
}

func checkAlias(c *call) error {
	name := c.Inputs.Str("name")
	if !strings.HasPrefix(name, "alias/") || strings.HasPrefix(name, "alias/aws/") {
		return fmt.Errorf("ValidationException: an alias begins with alias/ and not with alias/aws/: %q", name)
	}
	return nil
}

// keyWithoutAlias refuses to delete a key that has an alias. KMS would delete both, which would hide a wrong order.
func keyWithoutAlias(c *call) error {
	for _, o := range c.All("aws:kms/alias:Alias") {
		if o.Inputs.Str("targetKeyId") == c.object.ID {
			return fmt.Errorf("DependencyViolation: %s still names the key", o.Title())
		}
	}
	return nil
}
