package account

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/infra/policy"
	"kubeadm-aws/internal/sandbox/sandboxtest"
)

// The role of an environment has the calls of every resource type and function that the program of the clusters uses,
// and of no other.
func TestTheTableHasEveryType(t *testing.T) {
	ours := []string{
		"aws:kms/key:Key", "aws:kms/alias:Alias",
		"aws:ecr/repositoryPolicy:RepositoryPolicy", "aws:iam/policy:Policy",
	}
	sandboxtest.CheckTokens(t, "aws", append(slices.Collect(maps.Keys(clusterCalls)), ours...), "aws:ebs/volume:Volume")
}

// The sweep runs with the role of a deploy. Its source shows what it calls.
func TestTheTableHasEveryCallOfTheSweep(t *testing.T) {
	files, err := filepath.Glob("../../sweep/*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := collect(func(c calls) []string { return slices.Concat(c.reads, c.creates, c.changes) })
	call := regexp.MustCompile(`\b(acm|ec2|ecr|elb|iam|route53)\.(?:New(\w+)Paginator|([A-Z]\w+))\(`)
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			if name := m[2] + m[3]; name != "NewFromConfig" && !strings.HasSuffix(name, "Waiter") {
				found[strings.Replace(m[1], "elb", "elasticloadbalancing", 1)+":"+name] = true
			}
		}
	}
	if len(found) < 30 {
		t.Fatalf("found only %d calls", len(found))
	}
	for action := range found {
		if !slices.Contains(all, action) {
			t.Errorf("no role may call %s", action)
		}
	}
}

// What the sweep removes of GuardDuty carries no tag of the cluster.
func TestTheSweepMayRemoveWhatGuardDutyLeft(t *testing.T) {
	s, err := loaded(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &deployer{settings: s, accountID: "123456789012", aws: config.Config{Region: s.Region}}
	for _, action := range []string{
		"ec2:DeleteSecurityGroup", "ec2:DeleteVpcEndpoints", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
	} {
		if !slices.ContainsFunc(d.ofNoCluster().Statement, func(s policy.Statement) bool {
			tag := s.Condition["StringEquals"]["aws:ResourceTag/GuardDutyManaged"]
			return slices.Contains(s.Action, action) && slices.Equal(tag, []string{"true"})
		}) {
			t.Errorf("the role of a deploy may not call %s on GuardDuty's", action)
		}
	}
}

// A role that can remove a resource can also make it: an up of a new stack comes first.
func TestEveryResourceCanBeMade(t *testing.T) {
	function := regexp.MustCompile(`^aws:[a-z0-9]+/get`)
	removes := regexp.MustCompile(`:(Delete|Untag|Remove)`)
	for token, c := range clusterCalls {
		if token == "aws:acm/certificateValidation:CertificateValidation" {
			continue // it only waits for a certificate
		}
		makes := slices.DeleteFunc(slices.Concat(c.creates, c.changes), removes.MatchString)
		if !function.MatchString(token) && len(makes) == 0 {
			t.Errorf("%s: the role may call %v, which makes nothing", token, slices.Concat(c.creates, c.changes))
		}
	}
}

// The provider reads the request of a spot instance whenever it reads the instance: also in a refresh and in the
// comparison of a drift run. Its calls depend on the settings, so the table of types alone does not show them.
func TestEveryRoleReadsSpotInstances(t *testing.T) {
	s, err := loaded(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := permissions{&deployer{settings: s, accountID: "123456789012", aws: config.Config{Region: s.Region}}, "dev"}
	if reads := p.readAccount().Statement[0]; !slices.Contains(reads.Action, "ec2:DescribeSpotInstanceRequests") {
		t.Errorf("no role reads spot instances: %v", reads.Action)
	}
	all := p.changeCluster()
	role := slices.ContainsFunc(all["identities"].Statement, func(s policy.Statement) bool {
		return slices.Equal(s.Action, []string{"iam:CreateServiceLinkedRole"}) &&
			slices.Equal(s.Resource, []string{"arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/*"})
	})
	if !role {
		t.Error("the first spot instance of an account needs its service-linked role, which the deploy role cannot make")
	}
}

// CreateImage asks for the right to the builder, which exists, and to the image and its snapshots, which get their tags
// with the request. Nothing of another cluster can become an image or lose one.
func TestImagesAreMadeOfTheClusterOnly(t *testing.T) {
	s, err := loaded(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := permissions{&deployer{settings: s, accountID: "123456789012", aws: config.Config{Region: s.Region}}, "dev"}
	conditions := map[string][]string{}
	for _, document := range p.changeCluster() {
		for _, s := range document.Statement {
			for _, action := range s.Action {
				for key := range s.Condition["StringEquals"] {
					conditions[action] = append(conditions[action], key)
				}
				if len(s.Condition) == 0 {
					conditions[action] = append(conditions[action], "none")
				}
			}
		}
	}
	request, resource := "aws:RequestTag/"+config.TagCluster, "aws:ResourceTag/"+config.TagCluster
	for action, want := range map[string][]string{
		"ec2:CreateImage": {request, resource}, "ec2:DeregisterImage": {resource}, "ec2:DeleteSnapshot": {resource},
		"ec2:StopInstances": {resource},
	} {
		got := conditions[action]
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s is bound by %v, want %v", action, got, want)
		}
	}
	public := p.readAccount().Statement[1]
	if !slices.Equal(public.Action, []string{"ssm:GetParameter", "ssm:GetParameters"}) ||
		!strings.HasSuffix(public.Resource[0], ":parameter/aws/service/*") {
		t.Errorf("the newest image of a vendor is read with %v of %v", public.Action, public.Resource)
	}
}
