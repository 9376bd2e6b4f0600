package driver

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/sweepline"
)

// found returns the event of a sweep with a status.
func sweepEvent(t *testing.T, stdout, status string) report.Event {
	t.Helper()
	for _, e := range parseEvents(t, stdout) {
		if e.Kind == report.KindSweep && e.Status == status {
			return e
		}
	}
	return report.Event{}
}

func TestSweepListsBeforeItRemoves(t *testing.T) {
	needCLI(t)
	dir := project(t)
	if code, stdout, _ := drive(t, "sweep", "--stack", "dev", "--dir", dir); code != report.ExitCannotStart ||
		!strings.Contains(stdout, "go run ./sweep --cluster platform-dev") {
		t.Errorf("sweep of nothing exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	external(t, dir, func(s *sandbox.Sandbox) error { return s.Cluster.CreateIngress("default", "web") })
	code, stdout, _ := drive(t, "sweep", "--stack", "dev", "--dir", dir, "--json")
	listed := sweepEvent(t, stdout, "found").Found
	if code != report.ExitCannotStart || len(listed) == 0 || !strings.Contains(stdout, "instances of the cluster run") {
		t.Errorf("sweep of a cluster that runs exits %d:\n%s", code, stdout)
	}
	external(t, dir, func(s *sandbox.Sandbox) error {
		for _, name := range []string{"master", "worker-1", "worker-2", "storage"} {
			if err := s.AWS.TerminateInstance(name); err != nil {
				return err
			}
		}
		return nil
	})
	code, stdout, _ = drive(t, "sweep", "--stack", "dev", "--dir", dir, "--dry-run", "--json")
	if again := sweepEvent(t, stdout, "found").Found; code != report.ExitOK || !slices.Equal(again, listed) ||
		sweepEvent(t, stdout, "done").Kind != "" {
		t.Errorf("dry run exits %d and lists %v, want %v", code, again, listed)
	}
	code, stdout, _ = drive(t, "sweep", "--stack", "dev", "--dir", dir, "--json")
	if done := sweepEvent(t, stdout, "done"); code != report.ExitOK || !slices.Equal(done.Swept, listed) ||
		len(done.Left) != 0 {
		t.Errorf("sweep exits %d and removes %v, want %v", code, done.Swept, listed)
	}
	code, stdout, _ = drive(t, "sweep", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "sweep     0 found") {
		t.Errorf("another sweep exits %d:\n%s", code, stdout)
	}
}

// fakeAWS is an account that holds one volume of the cluster.
func fakeAWS(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	action, content := form.Get("Action"), ""
	if action == "DescribeVolumes" {
		content = `<volumeSet><item><volumeId>vol-1</volumeId><size>8</size><status>available</status><tagSet>` +
			`<item><key>kubernetes.io/cluster/blue</key><value>owned</value></item></tagSet></item></volumeSet>`
	}
	if action == "GetCallerIdentity" {
		content = "<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
	}
	if strings.Contains(r.Header.Get("Authorization"), "/elasticloadbalancing/") {
		content = "<" + action + "Result></" + action + "Result>"
	}
	fmt.Fprintf(w, "<%[1]sResponse>%[2]s</%[1]sResponse>", action, content)
}

// pointToAWS makes the AWS SDK talk to a server of the test.
func pointToAWS(t *testing.T, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
	} {
		t.Setenv(name, value)
	}
}

// blue is a run about a stack on AWS, in this repository.
func blue(t *testing.T) *run {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l := newTestLog(&recorder{})
	return &run{op: operation{Subject: report.Subject{Stack: "dev", Cloud: report.CloudAWS}, dir: dir}, log: l,
		cli: &workspace.CLI{}, cfg: &config.Config{Region: "eu-west-1"}}
}

// blueWorkspace is the workspace of that run, which Pulumi runs in dir.
func blueWorkspace(t *testing.T, dir string) *workspace.Workspace {
	t.Helper()
	s := blue(t)
	return &workspace.Workspace{Options: workspace.Options{Subject: s.op.Subject, Project: s.op.dir, Config: s.cfg,
		CLI: s.cli, Log: s.log}, Dir: dir}
}

const sweepText = "go run ./sweep --cluster blue --region eu-west-1 --vpc vpc-1 --volumes keep --receipt receipt-dev.json --zone Z1"

func blueState() state.State {
	return state.State{DeploymentV3: apitype.DeploymentV3{Resources: []state.Resource{
		{URN: prefix + "aws:s3/bucketV2:BucketV2::backups", Type: "aws:s3/bucketV2:BucketV2", ID: "blue-backups",
			Custom: true, RetainOnDelete: true},
		{URN: prefix + "command:local:Command::sweep", Type: "command:local:Command", Inputs: map[string]any{
			"delete": sweepText, "environment": map[string]any{"AWS_REGION": "eu-west-1"},
		}},
	}}}
}

// The last look after a destroy runs the real sweep with what the program gave it.
func TestTheAccountIsListedWithTheSweepOfTheState(t *testing.T) {
	pointToAWS(t, fakeAWS)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "receipt-dev.json"), `{"vpc":"vpc-1","removed":[{"kind":"load balancer","id":"lb-1","name":"web"}],"kept":[],"left":[]}`)
	var r report.Receipt
	if err := listAccount(t.Context(), blueWorkspace(t, dir), blueState(), &r); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Swept, []string{"load balancer lb-1 web"}) {
		t.Errorf("swept is %q", r.Swept)
	}
	if len(r.Kept) != 2 || !strings.Contains(r.Kept[0], "blue-backups") || !strings.Contains(r.Kept[1], "vol-1") ||
		len(r.Left) != 0 {
		t.Errorf("kept is %q, left %q: want the bucket and the volume to be kept", r.Kept, r.Left)
	}
}

// A command that this version does not know is refused: a part of it would be lost.
func TestTheSweepIsReadWhole(t *testing.T) {
	st := blueState()
	st.Resources[1].Inputs["delete"] = sweepText + " --colour red"
	if _, found, err := account.SweepIn(st); !found || err == nil || !strings.Contains(err.Error(), "-colour") {
		t.Errorf("got %v, want the flag --colour to be refused", err)
	}
}

// Every call that the driver makes to AWS by the sweep is signed with the keys of the role in the settings.
func TestTheDriverActsAsTheRole(t *testing.T) {
	var others, assumed atomic.Int32
	pointToAWS(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body))
		if form.Get("Action") == "AssumeRole" {
			if form.Get("RoleArn") != "arn:aws:iam::123456789012:role/deploy" || form.Get("ExternalId") != "abc" ||
				form.Get("RoleSessionName") != "ci" || form.Get("DurationSeconds") != "7200" {
				t.Errorf("AssumeRole is called with %v", form)
			}
			fmt.Fprint(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>OFTHEROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
				`<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
			return
		}
		if strings.Contains(r.Header.Get("Authorization"), "OFTHEROLE/") {
			assumed.Add(1)
		} else {
			others.Add(1)
		}
		fakeAWS(w, r)
	})
	w := blueWorkspace(t, t.TempDir())
	w.Config.AWS.AssumeRole = config.AssumeRole{RoleARN: "arn:aws:iam::123456789012:role/deploy", SessionName: "ci",
		ExternalID: "abc", Duration: "2h"}
	vpc := account.Lookup{URN: "a", Type: "aws:ec2/vpc:Vpc", Tags: map[string]string{"a": "b"}}
	instance := state.State{DeploymentV3: apitype.DeploymentV3{Resources: []state.Resource{{URN: prefix + "aws:ec2/instance:Instance::i", Type: account.InstanceType, ID: "i-1"}}}}
	for what, ask := range map[string]func() error{
		"sweep": func() error {
			_, err := account.Sweep(t.Context(), w, sweepline.Line{Cluster: "blue", Region: "eu-west-1", VPC: "vpc-1",
				Volumes: sweepline.Keep}, true)
			return err
		},
		"find":   func() error { _, err := account.Find(t.Context(), w, []account.Lookup{vpc}); return err },
		"states": func() error { _, _, err := account.Machines(t.Context(), w, instance, nil); return err },
	} {
		assumed.Store(0)
		if err := ask(); err != nil || assumed.Load() == 0 || others.Load() != 0 {
			t.Errorf("%s: %v; %d calls as the role, %d as another", what, err, assumed.Load(), others.Load())
		}
	}
}

// With volumes deleted, the same volume is left, and an earlier receipt is of another stack.
func TestWhatTheLastLookFindsIsLeft(t *testing.T) {
	pointToAWS(t, fakeAWS)
	dir, st := t.TempDir(), blueState()
	st.Resources[1].Inputs["delete"] = strings.Replace(sweepText, "keep", "delete", 1)
	write(t, filepath.Join(dir, "receipt-dev.json"), `{"vpc":"vpc-0","removed":[{"kind":"volume","id":"vol-0"}]}`)
	var r report.Receipt
	if err := listAccount(t.Context(), blueWorkspace(t, dir), st, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Swept) != 0 || len(r.Left) != 1 || !strings.HasPrefix(r.Left[0], "volume vol-1 (8 GiB") {
		t.Errorf("swept %q, left %q; want vol-1 to be left", r.Swept, r.Left)
	}
}

func TestALastLookThatFailsIsNoSuccess(t *testing.T) {
	pointToAWS(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>you may not</Message></Error></Errors></Response>`)
	})
	err := listAccount(t.Context(), blueWorkspace(t, t.TempDir()), blueState(), &report.Receipt{})
	if report.CodeOf(err) != report.ExitFailed || !strings.Contains(err.Error(), "UnauthorizedOperation") {
		t.Errorf("got %v", err)
	}
}

func TestAStackThatNeverHadInstancesIsNotListed(t *testing.T) {
	var r report.Receipt
	if err := listAccount(t.Context(), blueWorkspace(t, t.TempDir()), state.State{}, &r); err != nil || len(r.Left) != 0 {
		t.Errorf("got %v, left %q", err, r.Left)
	}
}
