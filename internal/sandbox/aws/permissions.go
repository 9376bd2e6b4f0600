package aws

import (
	"encoding/json"
	"slices"
	"strings"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// SetRulePriorities is the only action of the controllers for which AWS passes no condition keys. A statement with a
// condition does not allow it.
const SetRulePriorities = "elasticloadbalancing:SetRulePriorities"

// Permits reports whether the role of a machine allows an action.
func (a *Account) Permits(machine *store.Object, wanted string) bool {
	role := ""
	for _, profile := range a.All(ProfileType) {
		if profile.Str("name") == machine.Inputs.Str("iamInstanceProfile") {
			role = profile.Str("role")
		}
	}
	return role != "" && a.allows(role, wanted)
}

// PermitsPod reports whether a pod gets the credentials of a role and the role allows an action. subject is that of
// the pod's service account. The role must trust it through a provider that exists, and the key set of the tokens
// must be published.
func (a *Account) PermitsPod(arn, subject, wanted string) bool {
	published := slices.ContainsFunc(a.All(BucketObjectType), func(o *store.Object) bool {
		return o.Str("key") == config.KeySetPath
	})
	for _, role := range a.All(roleType) {
		if role.Str("arn") == arn {
			return published && a.trusts(role, subject) && a.allows(role.Str("name"), wanted)
		}
	}
	return false
}

// trusts reports whether a role may be assumed with a token of a service account.
func (a *Account) trusts(role *store.Object, subject string) bool {
	return slices.ContainsFunc(statements(role.Str("assumeRolePolicy")), func(s props.Map) bool {
		provider := s.Str("Principal.Federated")
		known := slices.ContainsFunc(a.All(issuerType), func(o *store.Object) bool { return o.Str("arn") == provider })
		for key, value := range s.Object("Condition").Object("StringEquals") {
			if strings.HasSuffix(key, ":sub") && slices.Contains(props.Map{"subjects": value}.Strings("subjects"), subject) {
				return known
			}
		}
		return false
	})
}

// allows reports whether the inline policies of a role allow an action.
func (a *Account) allows(role, wanted string) bool {
	for _, o := range a.Where(func(o *store.Object) bool { return strings.HasPrefix(o.Type, "aws:iam/rolePolicy") }) {
		if o.Inputs.Str("role") != role {
			continue
		}
		for _, s := range statements(o.Inputs.Str("policy")) {
			for _, pattern := range s.Strings("Action") {
				if s["Effect"] == "Allow" && matches(pattern, wanted) && (s["Condition"] == nil || wanted != SetRulePriorities) {
					return true
				}
			}
		}
	}
	return false
}

// statements returns the statements of a policy document, and none of a text that is not a policy document.
func statements(document string) []props.Map {
	var doc struct{ Statement []props.Map }
	if json.Unmarshal([]byte(document), &doc) != nil {
		return nil
	}
	return doc.Statement
}

// matches reports whether an action matches a pattern of IAM, which may contain *.
func matches(pattern, action string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(action, parts[0]) {
		return false
	}
	rest := action[len(parts[0]):]
	for i, part := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(rest, part)
		}
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return rest == ""
}
