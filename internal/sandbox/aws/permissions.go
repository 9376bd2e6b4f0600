package aws

import (
	"encoding/json"
	"strings"

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
	var documents []string
	for _, o := range a.Where(func(o *store.Object) bool { return strings.HasPrefix(o.Type, "aws:iam/rolePolicy") }) {
		if role == "" || o.Inputs.Str("role") != role {
			continue
		}
		documents = append(documents, o.Inputs.Str("policy"))
	}
	for _, text := range documents {
		var doc struct{ Statement []map[string]any }
		if json.Unmarshal([]byte(text), &doc) != nil {
			continue
		}
		for _, s := range doc.Statement {
			for _, pattern := range props.Map(s).Strings("Action") {
				if s["Effect"] == "Allow" && matches(pattern, wanted) && (s["Condition"] == nil || wanted != SetRulePriorities) {
					return true
				}
			}
		}
	}
	return false
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
