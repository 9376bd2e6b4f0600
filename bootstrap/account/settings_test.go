package account

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/infra/policy"
)

// loaded loads settings that a test writes as key and JSON or text.
func loaded(t *testing.T, set map[string]string) (*Settings, error) {
	t.Helper()
	all := map[string]string{"aws:region": "eu-central-1", Namespace + ":repository": "octocat@123456/my-repo@456789"}
	for key, value := range set {
		if !strings.Contains(key, ":") {
			key = Namespace + ":" + key
		}
		all[key] = value
	}
	return load(func(key string) (string, bool) { text, ok := all[key]; return text, ok && text != "" }, t.TempDir())
}

func TestSettingsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		set       map[string]string
		key, want string
	}{
		"no repository":             {map[string]string{"repository": ""}, "repository", "is missing"},
		"a URL":                     {map[string]string{"repository": "https://github.com/a/b"}, "repository", "not a GitHub repository"},
		"a pattern":                 {map[string]string{"repository": "octocat/*"}, "repository", "not a GitHub repository"},
		"one id":                    {map[string]string{"repository": "octocat@1/b"}, "repository", "both"},
		"no region":                 {map[string]string{"aws:region": "mars-1"}, "aws:region", "not a region"},
		"a text for a list":         {map[string]string{"environments": "dev"}, "environments", "a list of text"},
		"an environment's name":     {map[string]string{"environments": `["Dev"]`}, "environments[0]", "lowercase"},
		"twice":                     {map[string]string{"images": `["api","api"]`}, "images[1]", "twice"},
		"an image's name":           {map[string]string{"images": `["API"]`}, "images[0]", "ECR"},
		"import of another":         {map[string]string{"importImages": `["dev/api"]`}, "importImages[0]", "not in images"},
		"an account":                {map[string]string{"pullAccounts": `["1"]`}, "pullAccounts[0]", "12 digits"},
		"a pattern of branches":     {map[string]string{"mainBranch": "release/*"}, "mainBranch", "one branch"},
		"a day less than one":       {map[string]string{"keepUntaggedDays": "0"}, "keepUntaggedDays", "1 or more"},
		"a cluster of no stack":     {map[string]string{"clusters": `{"test":"blue"}`}, "clusters", "not in environments"},
		"a cluster over another":    {map[string]string{"environments": `["dev","dev-eu"]`}, "clusters", "begins the name dev-eu"},
		"a cluster over the bucket": {map[string]string{"clusters": `{"dev":"kubeadm"}`}, "clusters", "state bucket"},
	} {
		_, err := loaded(t, c.set)
		var faults config.Errors
		if !errors.As(err, &faults) || !slices.ContainsFunc(faults, func(f config.FieldError) bool {
			return strings.HasSuffix(f.Key, c.key) && strings.Contains(f.Reason, c.want)
		}) {
			t.Errorf("%s: %v, want a fault of %s with %q", name, err, c.key, c.want)
		}
	}
}

func TestNamesOfClustersMayDiffer(t *testing.T) {
	s, err := loaded(t, map[string]string{"clusters": `{"prod":"blue"}`})
	if err != nil || s.Cluster("prod") != "blue" || s.Cluster("dev") != "dev" {
		t.Errorf("%+v, %v", s, err)
	}
}

// The roles are for the clusters of the files of the stacks, the shipped ones and those with another name.
func TestRolesAreForTheClustersOfTheStacks(t *testing.T) {
	own := t.TempDir()
	for name, text := range map[string]string{
		"Pulumi.yaml":     "name: kubeadm-aws\nruntime: go\n",
		"Pulumi.dev.yaml": "config:\n  kubeadm-aws:cluster: {name: blue}\n",
		// The default of cluster.name is the name of the stack.
		"Pulumi.staging.yaml": "config:\n  aws:region: eu-central-1\n",
	} {
		if err := os.WriteFile(filepath.Join(own, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set := map[string]string{"aws:region": "eu-central-1", Namespace + ":repository": "octocat/my-repo"}
	get := func(key string) (string, bool) { text, ok := set[key]; return text, ok }
	for dir, want := range map[string]map[string]string{
		filepath.Join("..", ".."): {"dev": "platform-dev", "staging": "platform-staging", "prod": "platform-prod"},
		own:                       {"dev": "blue", "staging": "staging", "prod": "prod"},
	} {
		s, err := load(get, dir)
		if err != nil {
			t.Fatal(err)
		}
		for environment, cluster := range want {
			if s.Cluster(environment) != cluster {
				t.Errorf("%s: the roles of %s are for the cluster %s, and its stack has %s", dir, environment,
					s.Cluster(environment), cluster)
			}
			if cfg, err := config.LoadFile(environment, dir); dir != own && (err != nil || cfg.Cluster.Name != cluster) {
				t.Errorf("%s: the settings of %s have another name than %s: %v", dir, environment, cluster, err)
			}
		}
	}
	set[Namespace+":clusters"] = `{"dev":"green","prod":"red"}`
	if _, err := load(get, own); err == nil || strings.Count(err.Error(), "clusters") == 0 ||
		!strings.Contains(err.Error(), "cluster.name in Pulumi.dev.yaml is blue") {
		t.Errorf("another name in the setting: %v", err)
	}
	set[Namespace+":clusters"] = `{"prod":"red"}`
	if s, err := load(get, own); err != nil || s.Cluster("prod") != "red" {
		t.Errorf("a stack whose file is elsewhere: %v", err)
	}
	if err := os.WriteFile(filepath.Join(own, "Pulumi.dev.yaml"), []byte("config:\n  kubeadm-aws:cluster: blue\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(get, own); err == nil || !strings.Contains(err.Error(), "must be a mapping") {
		t.Errorf("settings that cannot be read: %v", err)
	}
}

// The subjects of the trust policies are exact values in both forms that GitHub sends.
func TestTrustIsExact(t *testing.T) {
	for repository, want := range map[string][]string{
		"octocat/my-repo":               {"repo:octocat/my-repo:environment:dev"},
		"octocat@123456/my-repo@456789": {"repo:octocat/my-repo:environment:dev", "repo:octocat@123456/my-repo@456789:environment:dev"},
	} {
		s, err := loaded(t, map[string]string{"repository": repository})
		if err != nil {
			t.Fatal(err)
		}
		d := &deployer{settings: s, accountID: "123456789012", aws: config.Config{Region: s.Region}}
		document := d.trust("environment:dev")
		values := document.Statement[0].Condition["StringEquals"]
		if len(document.Statement) != 1 || len(document.Statement[0].Condition) != 1 || strings.ContainsAny(document.JSON(), "*?") {
			t.Errorf("not only exact values: %s", document.JSON())
		}
		if !slices.Equal(values[issuer+":sub"], want) || !slices.Equal(values[issuer+":aud"], []string{"sts.amazonaws.com"}) {
			t.Errorf("%s: %v", repository, values)
		}
		if ids := values[issuer+":repository_id"]; (len(want) == 2) != slices.Equal(ids, []string{"456789"}) {
			t.Errorf("%s: repository_id %v", repository, ids)
		}
	}
}

// AWS takes 10,240 characters of inline policies for a role. The longest names make the longest policies.
func TestPoliciesFitARole(t *testing.T) {
	long := strings.Repeat("a", 20)
	s, err := loaded(t, map[string]string{"aws:region": "us-gov-west-1", "environments": `["` + long + `"]`, "clusters": `{"` + long + `":"` + strings.Repeat("b", 28) + `"}`})
	if err != nil {
		t.Fatal(err)
	}
	d := &deployer{settings: s, accountID: "123456789012", aws: config.Config{Region: s.Region}}
	bucket := "arn:aws-us-gov:s3:::" + StateBucket("123456789012", s.Region)
	key := d.arn("kms", s.Region, "key/"+strings.Repeat("0", 36))
	p := permissions{d, long}
	documents := []policy.Document{p.writeState(bucket, key)}
	for _, document := range p.changeCluster() {
		documents = append(documents, document)
	}
	total := 0
	for _, document := range documents {
		total += len(document.JSON())
		if !json.Valid([]byte(document.JSON())) {
			t.Errorf("no JSON: %s", document.JSON())
		}
	}
	t.Logf("%d characters", total)
	for _, managed := range []policy.Document{d.readAccount(), d.ofNoCluster()} {
		if n := len(managed.JSON()); n > 6144 {
			t.Errorf("%d characters of a managed policy; AWS takes 6144", n)
		}
	}
	if total > 10240 {
		t.Errorf("%d characters of inline policies; AWS takes 10240", total)
	}
}

// The role of a comparison may open and close the firewall of its cluster, and change nothing else.
func TestTheDriftRoleOnlyLetsItselfIn(t *testing.T) {
	s, err := loaded(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &deployer{settings: s, accountID: "123456789012", aws: config.Config{Region: s.Region}}
	// What the sweep calls for `access open` and `access close`, with the resource and the tag that each is bound to.
	want := map[string]string{
		"ec2:AuthorizeSecurityGroupIngress security-group":      "aws:ResourceTag/" + config.TagCluster,
		"ec2:AuthorizeSecurityGroupIngress security-group-rule": "",
		"ec2:RevokeSecurityGroupIngress security-group":         "aws:ResourceTag/" + config.TagCluster,
		"ec2:CreateTags security-group-rule":                    "aws:RequestTag/" + config.TagCluster,
		"ec2:DeleteTags security-group-rule":                    "aws:ResourceTag/" + config.TagCluster,
	}
	for _, statement := range (permissions{d, "dev"}).openAccess().Statement {
		for _, action := range statement.Action {
			_, kind, _ := strings.Cut(strings.TrimSuffix(statement.Resource[0], "/*"), "123456789012:")
			tag, expected := want[action+" "+kind]
			if !expected || len(statement.Resource) != 1 || tag != "" &&
				!slices.Equal(statement.Condition["StringEquals"][tag], []string{"dev"}) {
				t.Errorf("%s of %v if %v", action, statement.Resource, statement.Condition)
			}
			delete(want, action+" "+kind)
		}
	}
	if len(want) > 0 {
		t.Errorf("not allowed: %v", want)
	}
}
