package infra

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/infra/policy"
)

// fullStack is a stack with every add-on that has a policy.
func fullStack(t *testing.T) *external {
	t.Helper()
	return deploy(t, "dev",
		settings{"addons": `{"logging":{"enabled":true},"loadBalancer":{"enabled":true},"postgresql":{"enabled":true}}`})
}

// AWS does not send a condition key that the reference does not list. A condition on such a key denies every call, or
// is ignored.
func TestPoliciesFitTheServiceAuthorizationReference(t *testing.T) {
	ref, w := loadReference(t), fullStack(t)
	for _, role := range []string{"control-plane", "worker"} {
		for name, p := range w.policies(role) {
			for _, s := range p.Statement {
				for _, fault := range ref.faults(s) {
					t.Errorf("%s %s/%s: %s", role, name, s.Sid, fault)
				}
			}
		}
	}
}

// faults returns the parts of a statement that the service does not define.
func (r reference) faults(s policy.Statement) []string {
	var faults []string
	useful := map[string]bool{}
	for _, action := range s.Action {
		service, _, _ := strings.Cut(action, ":")
		if _, exists := r.Actions[action]; !exists {
			faults = append(faults,
				action+" is not in testdata/iam-actions.json: run testdata/iam-actions.sh; if it still is not, AWS has no such "+
					"action")
			continue
		}
		var on []string
		for _, resource := range s.Resource {
			for _, kind := range r.types(action) {
				if resource == "*" || r.overlaps(service, kind, resource) {
					on, useful[resource] = append(on, kind), true
				}
			}
			if len(r.types(action)) == 0 && resource == "*" {
				on, useful[resource] = append(on, ""), true
			}
		}
		if len(on) == 0 {
			faults = append(faults, action+" never has a resource such as "+strings.Join(s.Resource, ", "))
		}
		for operator, all := range s.Condition {
			for key := range all {
				unknown := func(kind string) bool { return !r.knows(action, kind, key) }
				// With IfExists, a condition on an absent key has no effect.
				if strings.HasSuffix(operator, "IfExists") {
					continue
				}
				if i := slices.IndexFunc(on, unknown); i >= 0 {
					faults = append(faults, "a request for "+action+" on "+on[i]+" has no "+key)
				}
			}
		}
	}
	for _, resource := range s.Resource {
		if !useful[resource] {
			faults = append(faults, resource+" fits none of the actions")
		}
	}
	return faults
}

func TestControllersMayDoWhatTheyDo(t *testing.T) {
	ref, w := loadReference(t), fullStack(t)
	policies := w.policies("control-plane")
	for name, requests := range calls() {
		p, ok := policies[name]
		if !ok {
			t.Errorf("no policy %s", name)
		}
		for _, q := range requests {
			if !ref.allows(t, map[string]policy.Document{name: p}, q) {
				t.Errorf("%s denies %s on %s, tags %v, adds %v, %v", name, q.action, q.on, q.tags, q.adds, q.context)
			}
		}
	}
	for name := range policies {
		if _, ok := calls()[name]; !ok {
			t.Errorf("nothing is known to need the policy %s: add its calls to calls_test.go", name)
		}
	}
}

func TestForbiddenCallsAreDenied(t *testing.T) {
	ref, w := loadReference(t), fullStack(t)
	for _, role := range []string{"control-plane", "worker"} {
		for _, q := range forbidden() {
			if _, exists := ref.Actions[q.action]; !exists {
				t.Errorf("%s is not in testdata/iam-actions.json: run testdata/iam-actions.sh", q.action)
			}
			if ref.allows(t, w.policies(role), q) {
				t.Errorf("%s is allowed %s on %s, tags %v, adds %v, %v", role, q.action, q.on, q.tags, q.adds, q.context)
			}
		}
	}
}

// No statement allows more than the calls need.
func TestEveryStatementIsNeeded(t *testing.T) {
	ref, w := loadReference(t), fullStack(t)
	for name, p := range w.policies("control-plane") {
		for i, s := range p.Statement {
			rest := policy.Document{Statement: slices.Delete(slices.Clone(p.Statement), i, i+1)}
			denied := func(q request) bool { return !ref.allows(t, map[string]policy.Document{name: rest}, q) }
			if !slices.ContainsFunc(calls()[name], denied) {
				t.Errorf("%s/%s: no call needs it", name, s.Sid)
			}
			for _, action := range s.Action {
				if !slices.ContainsFunc(calls()[name], func(q request) bool { return q.action == action }) {
					t.Errorf("%s/%s: nothing calls %s", name, s.Sid, action)
				}
			}
		}
	}
}

// The mistakes that the tests above have to find.
func TestReferenceSeesFaults(t *testing.T) {
	ref := loadReference(t)
	rule := "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/*"
	for _, s := range []policy.Statement{
		policy.Allow("an action", []string{"ec2:DescribeEverything"}, all, nil),
		policy.Allow("a condition key", elbActions("SetRulePriorities"), []string{rule},
			policy.Equals("aws:ResourceTag/elbv2.k8s.aws/cluster", "dev")),
		policy.Allow("a resource", []string{"ec2:DeleteSnapshot"}, []string{"arn:aws:ec2:eu-central-1:123456789012:snapshot/*"},
			nil),
		policy.Allow("a type", []string{"ec2:DeleteVolume"}, []string{"arn:aws:ec2:eu-central-1:123456789012:instance/*"},
			nil),
	} {
		if len(ref.faults(s)) == 0 {
			t.Errorf("the statement %s with an error that AWS would ignore is not found", s.Sid)
		}
	}
}
