package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"kubeadm-aws/config"
	"kubeadm-aws/sweep/question"
	"kubeadm-aws/sweep/sweepline"
)

// The caller is in moto's first account and the role in another one.
const (
	callerAccount = "123456789012"
	roleAccount   = "210987654321"
	testRole      = "arn:aws:iam::" + roleAccount + ":role/deploy"
)

// setIdentity sets the variables as the program and the driver do, so that the test covers their names.
func setIdentity(t *testing.T, settings config.AWS) {
	t.Helper()
	c := config.Config{Region: region, AWS: settings}
	for name, value := range c.SweepEnvironment() {
		t.Setenv(name, value)
	}
}

// TestTheSweepActsAsTheRole creates the volume in the role's account, so only a sweep with the role finds and removes
// it.
func TestTheSweepActsAsTheRole(t *testing.T) {
	caller := newExternal(t)
	args := []string{"--cluster", "dev", "--vpc", "vpc-1", "--volumes", "delete"}
	mine := caller.volume([]string{tagCloudProvider + "dev", "owned"})
	setIdentity(t, config.AWS{
		AssumeRole:          config.AssumeRole{RoleARN: testRole, SessionName: "ci", ExternalID: "a/b", Duration: "1h"},
		AllowedAccountIDs:   []string{roleAccount},
		ForbiddenAccountIDs: []string{callerAccount},
	})
	there := &external{T: t, aws: must(open(ctx, scope{}, region))}
	theirs := there.volume([]string{tagCloudProvider + "dev", "owned"})
	if o := sweepIt(t, args...); o.code != exitClean || !strings.Contains(o.stdout, theirs) ||
		strings.Contains(o.stdout, mine) {
		t.Fatalf("exit code %d, want %s and not %s in\n%s%s", o.code, theirs, mine, o.stdout, o.stderr)
	}
	if left := must(there.aws.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})).Volumes; len(left) != 0 {
		t.Errorf("%d volumes are left in the role's account", len(left))
	}
	if left := must(caller.aws.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})).Volumes; len(left) != 1 {
		t.Errorf("the caller's account has %d volumes, want the one that is not the role's", len(left))
	}
}

// TestTheProfileOfTheSettingsPrecedesKeys has access keys of one account in the environment and a profile of another
// account in the settings. The provider uses the profile.
func TestTheProfileOfTheSettingsPrecedesKeys(t *testing.T) {
	newExternal(t)
	t.Setenv(envRoleARN, testRole)
	keys := must(must(configure(ctx, region)).Credentials.Retrieve(ctx))
	t.Setenv(envRoleARN, "")
	file := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("[platform]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n",
		keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	setIdentity(t, config.AWS{Profile: "platform"})
	o := runWith(t, `[]`, "--states")
	var answer question.Instances
	if err := json.Unmarshal([]byte(o.stdout), &answer); err != nil || answer.Account != roleAccount {
		t.Errorf("account %q, want %s; error %v %s", answer.Account, roleAccount, err, o.stderr)
	}
}

// TestTheSweepRefusesAnotherAccountThanTheStacks checks that a sweep does not report that nothing is left because it
// looked into another account.
func TestTheSweepRefusesAnotherAccountThanTheStacks(t *testing.T) {
	newExternal(t)
	for account, want := range map[string]int{callerAccount: exitClean, "": exitClean, roleAccount: exitLeft} {
		line := sweepline.Line{Cluster: "dev", Region: region, Account: account, VPC: "vpc-1", Volumes: sweepline.Delete}
		o := sweepIt(t, line.Args()...)
		if o.code != want || want == exitLeft && !strings.Contains(o.stderr, "the stack is in the account "+roleAccount) {
			t.Errorf("the stack's account %q: exit code %d, want %d: %s", account, o.code, want, o.stderr)
		}
	}
}

// TestQuestionsAreAskedAsTheRole checks that the driver's questions read the account of the role.
func TestQuestionsAreAskedAsTheRole(t *testing.T) {
	newExternal(t)
	setIdentity(t, config.AWS{AssumeRole: config.AssumeRole{RoleARN: testRole}})
	s := (&external{T: t, aws: must(open(ctx, scope{}, region))}).newSite("one")
	s.network()
	const vpc = "aws:ec2/vpc:Vpc::vpc"
	if found, code, said := look(t, s.lookups[:1]); code != exitClean || len(found[vpc]) != 1 ||
		found[vpc][0] != s.ids[vpc] {
		t.Errorf("with the role: exit code %d, found %v, want %s: %s", code, found, s.ids[vpc], said)
	}
	t.Setenv(envRoleARN, "")
	if found, code, said := look(t, s.lookups[:1]); code != exitClean || len(found[vpc]) != 0 {
		t.Errorf("without the role: exit code %d, found %v, want nothing: %s", code, found, said)
	}
}

func TestAnotherAccountIsNotTouched(t *testing.T) {
	for name, c := range map[string]struct {
		settings config.AWS
		want     string
	}{
		"not allowed": {config.AWS{AllowedAccountIDs: []string{roleAccount}},
			"aws:allowedAccountIds (" + roleAccount + ") does not hold the account " + callerAccount},
		"forbidden": {config.AWS{ForbiddenAccountIDs: []string{callerAccount}},
			"aws:forbiddenAccountIds holds the account " + callerAccount},
		"role in a forbidden one": {config.AWS{AssumeRole: config.AssumeRole{RoleARN: testRole},
			ForbiddenAccountIDs: []string{roleAccount}}, "holds the account " + roleAccount},
		"a duration of no form": {config.AWS{AssumeRole: config.AssumeRole{RoleARN: testRole, Duration: "soon"}},
			"SWEEP_ROLE_DURATION"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newExternal(t)
			w.volume([]string{tagCloudProvider + "dev", "owned"})
			setIdentity(t, c.settings)
			for _, args := range [][]string{{"--cluster", "dev", "--vpc", "vpc-1", "--volumes", "delete"}, {"--find"},
				{"--states"}} {
				question := map[string]string{"--find": `[{"urn":"a","type":"aws:ec2/vpc:Vpc","tags":{"a":"b"}}]`,
					"--states": `["i-1"]`}[args[0]]
				if o := runWith(t, question, args...); o.code != exitLeft || !strings.Contains(o.stderr, c.want) {
					t.Errorf("%s: exit code %d, want %q in %s", args[0], o.code, c.want, o.stderr)
				}
			}
			if left := must(w.aws.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})).Volumes; len(left) != 1 {
				t.Errorf("%d volumes are left, want 1", len(left))
			}
		})
	}
}

// TestStatesNameTheAccount checks that the answer says whose account was asked, also if it was asked about no instance.
func TestStatesNameTheAccount(t *testing.T) {
	newExternal(t)
	for _, asked := range []string{`[]`, `["i-00000000000000001"]`} {
		o := runWith(t, asked, "--states")
		var answer question.Instances
		if err := json.Unmarshal([]byte(o.stdout), &answer); err != nil || answer.Account != callerAccount {
			t.Errorf("%s: account %q, error %v %s", asked, answer.Account, err, o.stderr)
		}
	}
}
