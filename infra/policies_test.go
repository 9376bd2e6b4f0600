package infra

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/infra/policy"
)

// policies returns the parsed inline policies of a node's role in a stack, by name.
func (w *external) policies(role string) map[string]policy.Document {
	w.t.Helper()
	found := map[string]policy.Document{}
	for name, r := range w.all("RolePolicy") {
		name, ok := strings.CutPrefix(name, role+"-")
		if !ok {
			continue
		}
		found[name] = parse(w.t, r.at("policy").StringValue())
	}
	return found
}

func parse(t *testing.T, text string) policy.Document {
	t.Helper()
	var p policy.Document
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("policy does not parse: %v\n%s", err, text)
	}
	if p.Version != "2012-10-17" || len(p.Statement) == 0 {
		t.Errorf("not a policy: %s", text)
	}
	return p
}

// reads reports whether an action only reads.
func reads(action string) bool {
	_, verb, _ := strings.Cut(action, ":")
	for _, prefix := range []string{"Describe", "List", "Get", "BatchGet", "BatchCheck"} {
		if strings.HasPrefix(verb, prefix) {
			return true
		}
	}
	return false
}

// Every statement that allows writes to more than one resource restricts them by tag. The exceptions are listed here
// with the reason.
func TestNoWriteWithoutCondition(t *testing.T) {
	exceptions := map[string]bool{
		"backups/Snapshots":      true, // the objects of one bucket
		"backups/RabbitMQ":       true, // the objects of one folder of it
		"logs/Chunks":            true, // the objects of one bucket
		"load-balancers/Reorder": true, // AWS has no condition key for it
	}
	w := deploy(t, "staging", settings{"environment": "staging"})
	for _, role := range []string{"control-plane", "worker"} {
		for name, p := range w.policies(role) {
			for _, s := range p.Statement {
				writes := slices.ContainsFunc(s.Action, func(a string) bool { return !reads(a) })
				wide := slices.ContainsFunc(s.Resource, func(r string) bool { return strings.HasSuffix(r, "*") })
				if writes && wide && len(s.Condition) == 0 && !exceptions[name+"/"+s.Sid] {
					t.Errorf("%s %s/%s: %v on %v without a condition", role, name, s.Sid, s.Action, s.Resource)
				}
				if slices.ContainsFunc(s.Action, func(a string) bool { return strings.Contains(a, "*") }) {
					t.Errorf("%s %s/%s: wildcard action %v", role, name, s.Sid, s.Action)
				}
				if writes && slices.Contains(s.Resource, "*") {
					t.Errorf("%s %s/%s: %v on everything", role, name, s.Sid, s.Action)
				}
			}
		}
	}
}

// With conditions that name another cluster, two clusters in one account could delete each other's resources.
func TestConditionsNameThisCluster(t *testing.T) {
	w := deploy(t, "staging", settings{"environment": "staging", "cluster": `{"name":"blue"}`})
	for name, p := range w.policies("control-plane") {
		for _, s := range p.Statement {
			for _, operands := range s.Condition {
				for key, values := range operands {
					switch {
					case strings.HasSuffix(key, "/elbv2.k8s.aws/cluster"):
						if !slices.Equal(values, []string{"blue"}) {
							t.Errorf("%s/%s: %s = %v", name, s.Sid, key, values)
						}
					case strings.Contains(key, "kubernetes.io/cluster/"):
						if !strings.HasSuffix(key, "/kubernetes.io/cluster/blue") || !slices.Equal(values, []string{"owned"}) {
							t.Errorf("%s/%s: %s = %v", name, s.Sid, key, values)
						}
					}
				}
			}
		}
	}
}

func TestWorkersMayPullAndNothingElse(t *testing.T) {
	w := deploy(t, "prod", settings{"environment": "prod"})
	for name, p := range w.policies("worker") {
		for _, s := range p.Statement {
			for _, a := range s.Action {
				if !strings.HasPrefix(a, "ecr:") || !reads(a) {
					t.Errorf("%s lets workers %s", name, a)
				}
			}
		}
	}
	var attached []string
	for _, r := range w.all("RolePolicyAttachment") {
		attached = append(attached, r.at("role").StringValue()+" "+r.at("policyArn").StringValue())
	}
	slices.Sort(attached)
	want := []string{
		"prod-control-plane arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
		"prod-worker arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
	}
	if !slices.Equal(attached, want) {
		t.Errorf("attached %v, want %v", attached, want)
	}
}

func TestNodesCannotDeleteBackups(t *testing.T) {
	w := deploy(t, "staging", settings{"environment": "staging"})
	p := w.policies("control-plane")["backups"]
	for _, s := range p.Statement {
		if slices.Contains(s.Action, "s3:DeleteObject") || slices.Contains(s.Action, "s3:DeleteObjectVersion") {
			t.Errorf("%s may delete snapshots", s.Sid)
		}
		for _, r := range s.Resource {
			if !strings.HasPrefix(r, "arn:aws:s3:::staging-backups-0a1b2c3") {
				t.Errorf("%s reaches %s", s.Sid, r)
			}
		}
	}
}

func TestPoliciesFollowTheAddons(t *testing.T) {
	for name, want := range map[string][]string{
		`{}`:                                 {"backups", "cloud-controller", "images", "load-balancers", "volumes"},
		`{"logging":{"enabled":true}}`:       {"backups", "cloud-controller", "images", "load-balancers", "logs", "volumes"},
		`{"loadBalancer":{"enabled":false}}`: {"backups", "cloud-controller", "images", "volumes"},
		`{"loadBalancer":{"enabled":true},"logging":{"enabled":true}}`: {"backups", "cloud-controller", "images",
			"load-balancers", "logs", "volumes"},
	} {
		w := deploy(t, "dev", settings{"addons": name})
		var got []string
		for name := range w.policies("control-plane") {
			got = append(got, name)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: policies %v, want %v", name, got, want)
		}
		if on := w.infra.LogBucket != nil; on != slices.Contains(want, "logs") {
			t.Errorf("%s: log bucket %v", name, on)
		}
	}
}

// inlineLimit is AWS's limit for all inline policies of a role together, without white space.
const inlineLimit = 10240

func TestPoliciesFitTheirLimit(t *testing.T) {
	// The longest name that validation accepts gives the longest policies.
	w := deploy(t, "dev", settings{
		"cluster": `{"name":"` + strings.Repeat("a", 28) + `"}`,
		"addons":  `{"logging":{"enabled":true}}`,
	})
	total := 0
	for name, r := range w.all("RolePolicy") {
		if strings.HasPrefix(name, "control-plane-") {
			total += len(r.at("policy").StringValue())
		}
	}
	t.Logf("%d characters", total)
	if total > inlineLimit {
		t.Errorf("%d characters of inline policies; AWS takes %d", total, inlineLimit)
	}
}

func TestPolicyTextIsStable(t *testing.T) {
	p := nodePolicies{&deployer{cfg: load(t, "dev", nil), accountID: "123456789012", partition: "aws"}}
	for range 20 {
		if a, b := p.loadBalancers("vpc-1").JSON(), p.loadBalancers("vpc-1").JSON(); a != b {
			t.Fatalf("the same policy renders as\n%s\nand\n%s", a, b)
		}
	}
}

// In every region that settings accept, each ARN and service principal belongs to the region's partition.
func TestEveryRegionHasItsPartition(t *testing.T) {
	for _, region := range config.Regions() {
		w := deploy(t, "dev", settings{"aws:region": region})
		partition, principal := "aws", "ec2.amazonaws.com\""
		switch {
		case strings.HasPrefix(region, "cn-"):
			partition, principal = "aws-cn", "ec2.amazonaws.com.cn\""
		case strings.HasPrefix(region, "us-gov-"):
			partition = "aws-us-gov"
		case strings.HasPrefix(region, "eusc-"):
			partition = "aws-eusc"
		}
		for _, kind := range []string{"Role", "RolePolicy", "RolePolicyAttachment"} {
			for name, r := range w.all(kind) {
				text := fmt.Sprint(r.Inputs.Mappable())
				for _, arn := range regexp.MustCompile(`arn:[a-z-]+:`).FindAllString(text, -1) {
					if arn != "arn:"+partition+":" {
						t.Errorf("%s: %s %s has an ARN of another partition: %s", region, kind, name, arn)
					}
				}
			}
		}
		for _, node := range []string{"control-plane", "worker"} {
			if trust := w.all("Role")["dev-"+node].at("assumeRolePolicy").StringValue(); !strings.Contains(trust, principal) {
				t.Errorf("%s: a %s node is not %s in %s", region, node, principal, trust)
			}
		}
	}
}

// An attacker in the database has credentials for its own folder only, and cannot change the snapshots of etcd.
func TestDatabaseKeysOpenTheDatabasesFolderAlone(t *testing.T) {
	w := deploy(t, "staging", settings{"environment": "staging"})
	text := w.all("RolePolicy")["postgresql-backup-folder"].at("policy").StringValue()
	for _, s := range parse(t, text).Statement {
		for _, resource := range s.Resource {
			if !strings.HasSuffix(resource, "/staging/postgresql/*") && !slices.Equal(s.Action, []string{"s3:ListBucket"}) {
				t.Errorf("%v on %s", s.Action, resource)
			}
		}
	}
	for name, r := range w.all("Role") {
		trust := r.at("assumeRolePolicy").StringValue()
		if name == "staging-postgresql-backup" &&
			!strings.Contains(trust, `"AWS":"arn:aws:iam::123456789012:role/staging-control-plane"`) {
			t.Errorf("the role can be taken by others: %s", trust)
		}
	}
}

// Nodes pull the applications' images, whose registry can be in another account or region.
func TestNodesPullFromTheRegistryOfTheApplications(t *testing.T) {
	const own = "arn:aws:ecr:eu-central-1:123456789012:repository/*"
	for registry, want := range map[string][]string{
		"": {own},
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com":   {own},
		"111122223333.dkr.ecr.eu-central-1.amazonaws.com":   {"arn:aws:ecr:eu-central-1:111122223333:repository/*", own},
		"123456789012.dkr.ecr.us-east-1.amazonaws.com/shop": {own, "arn:aws:ecr:us-east-1:123456789012:repository/*"},
		"ghcr.io/example": {own},
	} {
		w := deploy(t, "dev", settings{"addons": fmt.Sprintf(`{"argocd":{"registry":%q}}`, registry)})
		for _, role := range []string{"control-plane", "worker"} {
			for _, s := range w.policies(role)["images"].Statement {
				if s.Sid == "Pull" && !slices.Equal(s.Resource, want) {
					t.Errorf("with the registry %q, a %s pulls from %q, want %q", registry, role, s.Resource, want)
				}
			}
		}
	}
}
