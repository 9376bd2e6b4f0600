package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
	"kubeadm-aws/sweep/question"
)

// ChangeAccess does what `sweep --access` does to the account, with a rule for each holder.
func (u Console) ChangeAccess(d question.AccessRequest) question.AccessChange {
	a := u.account
	a.Lock()
	defer a.Unlock()
	var change question.AccessChange
	for _, group := range slices.Sorted(maps.Keys(d.Ports)) {
		exists := slices.ContainsFunc(a.All(GroupType), func(o *store.Object) bool { return o.ID == group })
		if !d.Until.IsZero() && exists {
			a.letIn(group, d)
			change.Address, change.Opened = d.Address, append(change.Opened, group)
		}
		for _, rule := range a.All(IngressRuleType) {
			if rule.Inputs.Str("securityGroupId") == group && isOver(rule, d) {
				a.Remove(rule)
				change.Closed = append(change.Closed, fmt.Sprintf("%d from %s", d.Ports[group], rule.Inputs.Str("cidrIpv4")))
			}
		}
	}
	return change
}

func (a *Account) letIn(group string, d question.AccessRequest) {
	port := float64(d.Ports[group])
	a.Put(&store.Object{
		Type: IngressRuleType, ID: fmt.Sprintf("sgr-%s-%s", group, d.Holder), State: props.Map{},
		Inputs: props.Map{
			"securityGroupId": group, "ipProtocol": "tcp", "fromPort": port, "toPort": port, "cidrIpv4": d.Address + "/32",
			"tags": map[string]any{question.HolderTag + d.Holder: d.Until.UTC().Format(time.RFC3339)},
		},
	})
}

// isOver reports whether a rule is a temporary one that has expired, or that its holder closes.
func isOver(rule *store.Object, d question.AccessRequest) bool {
	for key, value := range rule.Tags() {
		holder, is := strings.CutPrefix(key, question.HolderTag)
		if !is {
			continue
		}
		end, err := time.Parse(time.RFC3339, value)
		return err != nil || !end.After(time.Now()) || holder == d.Holder && d.Until.IsZero()
	}
	return false
}
