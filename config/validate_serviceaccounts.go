package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// policyVersion is the version of the language of IAM policies.
const policyVersion = "2012-10-17"

// maxInlinePolicy is IAM's limit for the inline policies of a role, without white space.
const maxInlinePolicy = 10240

var (
	policyARN    = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,512}$`)
	policyAction = regexp.MustCompile(`^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$`)
	statementID  = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	// statementKeys are the keys of a statement of a role's policy, which has no principal.
	statementKeys = []string{"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)

// Subject is the subject in the tokens of the service account.
func (a ServiceAccount) Subject() string {
	return "system:serviceaccount:" + a.Namespace + ":" + a.Name
}

// PolicyARN returns the policy that the role gets, or "" if the settings hold its document.
func (a ServiceAccount) PolicyARN() string {
	arn, _ := a.Policy.(string)
	return arn
}

// PolicyDocument returns the role's own policy as JSON, or "" if the settings name a policy.
func (a ServiceAccount) PolicyDocument() string {
	document, ok := a.Policy.(map[string]any)
	if !ok {
		return ""
	}
	whole := map[string]any{"Version": policyVersion}
	maps.Copy(whole, document)
	text, err := json.Marshal(whole)
	if err != nil {
		return "" // values come from JSON, so this cannot happen
	}
	return string(text)
}

func (v identityValidator) serviceAccounts(id Identity) {
	seen := map[string]int{}
	for i, a := range id.ServiceAccounts {
		path := fmt.Sprintf("identity.serviceAccounts[%d]", i)
		if a.Namespace == "" || !dnsLabel.MatchString(a.Namespace) {
			v.fault(path+".namespace", a.Namespace, "must be the name of a namespace: 1 to 63 lowercase letters, digits and "+
				"dashes, with no dash at the ends", "apps")
		}
		if !subdomain(a.Name) {
			v.fault(path+".name", a.Name, "must be the name of a service account: lowercase letters, digits, dashes and dots",
				"fastapi")
		}
		if a.ofPlatform() {
			v.fault(path, nil, fmt.Sprintf("is the service account %s/%s of the platform, which has a role of its own",
				a.Namespace, a.Name), "the service account of the pods that need the policy")
		}
		if first, ok := seen[a.Subject()]; ok {
			v.fault(path, nil, fmt.Sprintf("is the service account %s/%s, which is already at identity.serviceAccounts[%d]",
				a.Namespace, a.Name, first), "one entry with one policy; its document may have several statements")
		} else {
			seen[a.Subject()] = i
		}
		v.policy(path+".policy", a)
	}
	if len(id.ServiceAccounts) > 0 && !id.Enabled {
		v.fault("identity.serviceAccounts", nil, "need identity.enabled: true",
			"identity.enabled: true, or no identity.serviceAccounts")
	}
}

// policy validates the policy of a service account.
func (v identityValidator) policy(path string, a ServiceAccount) {
	const example = "a mapping with Statement, or arn:aws:iam::123456789012:policy/fastapi"
	switch policy := a.Policy.(type) {
	case nil:
		v.fault(path, nil, "is missing: a role without a policy may do nothing", example)
	case string:
		parts := policyARN.FindStringSubmatch(policy)
		switch own := v.c.Partition(); {
		case parts == nil:
			v.fault(path, policy, "is not the ARN of an IAM policy", example)
		case own != "" && parts[1] != own:
			v.fault(path, policy, fmt.Sprintf("is in the partition %s, and aws:region = %s is in %s", parts[1], v.c.Region, own),
				strings.Replace(policy, "arn:"+parts[1]+":", "arn:"+own+":", 1))
		}
	case map[string]any:
		before := len(v.found)
		v.policyDocument(path, policy)
		if character := refusedCharacter(a.PolicyDocument()); character != "" {
			v.fault(path, character, "is a character that IAM does not take: policies have those up to U+00FF, such as é",
				"the name in such characters, or * in its place")
		}
		if size := len(a.PolicyDocument()); len(v.found) == before && size > maxInlinePolicy {
			v.fault(path, nil, fmt.Sprintf("has %d characters, and IAM takes %d for a role", size, maxInlinePolicy),
				"fewer resources by wildcards, or the ARN of a policy")
		}
	default:
		v.fault(path, policy, "must be a mapping or the ARN of a policy", example)
	}
}

func (v identityValidator) policyDocument(path string, document map[string]any) {
	for _, key := range sortedKeys(document) {
		switch value := document[key]; {
		case !slices.Contains([]string{"Version", "Id", "Statement"}, key):
			v.fault(child(path, key), value, "is not a part of an IAM policy", "Statement, with Effect, Action and Resource")
		case key == "Version" && value != policyVersion:
			v.fault(path+".Version", value, "must be the text 2012-10-17; YAML reads it as a date without quotes",
				`"2012-10-17" in quotes, or no Version`)
		}
	}
	statements, isList := document["Statement"].([]any)
	if one, ok := document["Statement"].(map[string]any); ok {
		statements, isList = []any{one}, true
	}
	if !isList || len(statements) == 0 {
		v.fault(path+".Statement", document["Statement"], "must be a list of statements", "[{Effect: Allow, Action: "+
			"s3:GetObject, Resource: arn:aws:s3:::my-bucket/*}]")
		return
	}
	ids := map[string]bool{}
	for i, s := range statements {
		at := fmt.Sprintf("%s.Statement[%d]", path, i)
		statement, ok := s.(map[string]any)
		if !ok {
			v.fault(at, s, "must be a mapping", "{Effect: Allow, Action: s3:GetObject, Resource: arn:aws:s3:::my-bucket/*}")
			continue
		}
		v.statement(at, statement, ids)
	}
}

func (v identityValidator) statement(path string, s map[string]any, ids map[string]bool) {
	for _, key := range sortedKeys(s) {
		switch {
		case key == "Principal" || key == "NotPrincipal":
			v.fault(path+"."+key, s[key], "does not belong into the policy of a role: its trust policy is the program's",
				"remove it")
		case !slices.Contains(statementKeys, key):
			instead := "one of " + strings.Join(statementKeys, ", ")
			if near := nearest(key, statementKeys); near != "" {
				instead = fmt.Sprintf("did you mean %s?", near)
			}
			v.fault(child(path, key), s[key], "is not a part of a statement", instead)
		}
	}
	if s["Effect"] != "Allow" && s["Effect"] != "Deny" {
		v.fault(path+".Effect", s["Effect"], "must be Allow or Deny", "Allow")
	}
	if id, ok := s["Sid"]; ok {
		text, isText := id.(string)
		if !isText || !statementID.MatchString(text) || ids[text] {
			v.fault(path+".Sid", id, "must be letters and digits, and once in the policy", "Read")
		}
		ids[text] = true
	}
	if condition, ok := s["Condition"]; ok {
		v.conditions(path+".Condition", condition)
	}
	v.eitherOf(path, s, "Action", "s3:GetObject", policyAction.MatchString)
	v.eitherOf(path, s, "Resource", "arn:aws:s3:::my-bucket/*", func(text string) bool {
		return text == "*" || strings.HasPrefix(text, "arn:")
	})
	v.resources(path, s)
}

// eitherOf checks the texts of a key or of its negation, of which a statement has one.
func (v identityValidator) eitherOf(path string, s map[string]any, key, example string, fits func(string) bool) {
	_, has := s[key]
	_, hasNot := s["Not"+key]
	if has == hasNot {
		v.fault(path+"."+key, s[key], fmt.Sprintf("is needed, or Not%s, and not both", key), example)
		return
	}
	if hasNot {
		key = "Not" + key
	}
	list, ok := s[key].([]any)
	if !ok {
		list = []any{s[key]}
	}
	for _, item := range list {
		if text, ok := item.(string); !ok || !fits(text) {
			v.fault(path+"."+key, item, "is not one that IAM knows", example)
		}
	}
	if len(list) == 0 {
		v.fault(path+"."+key, nil, "is empty", example)
	}
}
