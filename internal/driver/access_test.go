package driver

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

const ingressRule = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"

// A new stack lets the machine in as soon as its firewall exists. Nothing that plans, refreshes or destroys minds the
// rules.
func TestAccessIsNoDrift(t *testing.T) {
	needCLI(t)
	t.Setenv("GITHUB_RUN_ID", "")
	dir := project(t)
	does := func(want int, says string, command ...string) {
		t.Helper()
		code, stdout, stderr := drive(t, append(command, "--stack", "dev", "--dir", dir)...)
		if code != want || !strings.Contains(stdout, says) {
			t.Fatalf("%v exits %d:\n%s%s", command, code, stdout, stderr)
		}
	}
	open := func(address string) (n int) {
		t.Helper()
		external(t, dir, func(s *sandbox.Sandbox) error {
			n = len(s.AWS.Find(ingressRule, nil, map[string]any{"cidrIpv4": address + "/32"}))
			return nil
		})
		return n
	}
	wants := func(when, address string, want int) {
		t.Helper()
		if n := open(address); n != want {
			t.Errorf("%s: %d rules for %s, want %d", when, n, address, want)
		}
	}
	does(report.ExitOK, "The stack has no firewall yet", "access", "open")
	does(report.ExitOK, "192.0.2.7 reaches the nodes for 1h0m0s", "up", "--admit", "1h", "--address", "192.0.2.7")
	wants("after up --admit", "192.0.2.7", 2)
	does(report.ExitOK, "", "preview", "--refresh", "--expect-no-changes")
	does(report.ExitOK, "", "refresh")
	does(report.ExitOK, "", "up")
	wants("after refresh and up", "192.0.2.7", 2)
	does(report.ExitOK, "192.0.2.8 reaches the nodes for 1h30m0s", "access", "open", "--address", "192.0.2.8/32")
	t.Setenv("GITHUB_RUN_ID", "1")
	does(report.ExitOK, "Nothing was open", "access", "close")
	wants("after the close of another run", "192.0.2.8", 2)
	does(report.ExitOK, "192.0.2.9 reaches", "access", "open", "--address", "192.0.2.9")
	t.Setenv("GITHUB_RUN_ID", "")
	does(report.ExitOK, " from 192.0.2.8/32", "access", "close")
	wants("after its own close", "192.0.2.7", 0)
	wants("after its own close", "192.0.2.9", 2)
	does(report.ExitOK, "receipt", "destroy")
	wants("after destroy", "192.0.2.9", 0)
}

// A destroy that failed half way leaves the firewall in the state, with groups that do not exist. The stack can be
// destroyed and brought up all the same, and up opens the groups that it creates.
func TestAccessAfterADestroyThatFailedHalfWay(t *testing.T) {
	needCLI(t)
	dir := project(t)
	fails := true
	instrument = func(o *sandbox.Options) {
		withoutCheckpoints(o)
		o.Fault = func(op sandbox.Operation) error {
			if fails && op.Verb == "delete" && strings.HasSuffix(op.URN, "SecurityGroup::platform-dev-load-balancer") {
				return errors.New("DependencyViolation: a network interface of something else")
			}
			return nil
		}
	}
	t.Cleanup(func() { instrument = withoutCheckpoints })
	does := func(want int, says string, command ...string) {
		t.Helper()
		code, stdout, stderr := drive(t, append(command, "--stack", "dev", "--dir", dir, "--address", "192.0.2.7")...)
		if code != want || !strings.Contains(stdout, says) {
			t.Fatalf("%v exits %d:\n%s%s", command, code, stdout, stderr)
		}
	}
	does(report.ExitOK, "", "up")
	does(report.ExitBlocked, "", "destroy")
	does(report.ExitOK, "do not exist anymore", "access", "open")
	fails = false
	does(report.ExitOK, "192.0.2.7 reaches the nodes for 1h0m0s", "up", "--admit", "1h")
	external(t, dir, func(s *sandbox.Sandbox) error {
		if n := len(s.AWS.Find(ingressRule, nil, map[string]any{"cidrIpv4": "192.0.2.7/32"})); n != 2 {
			t.Errorf("%d rules for the address after up, want 2", n)
		}
		return nil
	})
	does(report.ExitOK, "receipt", "destroy")
}

func TestAccessIsForOneAddressAndALimitedTime(t *testing.T) {
	dir := project(t)
	for _, tt := range []struct{ args, says string }{
		{"access open --address 192.0.2.0/24", "one address, not a range"},
		{"access open --address 0.0.0.0/0", "one address, not a range"},
		{"access open --address 0.0.0.0", "no machine comes from it"},
		{"access open --address 2001:db8::1", "IPv4"},
		{"access open --address here", "not an IP address"},
		{"access open --for 13h", "at most 12h"},
		{"access open --for 0s", "more than 0"},
		{"up --admit 100h", "at most 12h"},
		{"access", `there is no command "access`},
		{"access ajar", `there is no command "access ajar"`},
	} {
		code, _, stderr := drive(t, append(strings.Fields(tt.args), "--stack", "dev", "--dir", dir)...)
		if code != report.ExitUsage || !strings.Contains(stderr, tt.says) {
			t.Errorf("%s: exit %d, %q", tt.args, code, stderr)
		}
	}
}

// On AWS the driver asks the sweep for the two groups of the state, by their ids, and for nothing else.
func TestAccessOnAWSNamesTheGroupsOfTheState(t *testing.T) {
	fakeCLI(t, `*"stack select"*) ;;
*"stack export"*) echo '{"deployment":{"resources":[
  {"urn":"`+prefix+`kubeadm-aws:infra:Firewall::firewall","type":"kubeadm-aws:infra:Firewall",
   "outputs":{"nodes":"sg-1","controlPlane":"sg-2","backend":"sg-3","loadBalancer":"sg-4"}},
  {"urn":"`+prefix+`aws:ec2/securityGroup:SecurityGroup::nodes","type":"aws:ec2/securityGroup:SecurityGroup","id":"sg-5","custom":true}]}}';;`)
	var mu sync.Mutex
	gone := false
	asked := map[string]string{}
	ec2 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		action := form.Get("Action")
		if action == "AuthorizeSecurityGroupIngress" {
			mu.Lock()
			asked[form.Get("GroupId")] = form.Get("IpPermissions.1.FromPort") + " " + form.Get("IpPermissions.1.IpRanges.1.CidrIp")
			mu.Unlock()
		}
		if gone {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "<Response><Errors><Error><Code>InvalidGroup.NotFound</Code></Error></Errors></Response>")
			return
		}
		_, _ = io.WriteString(w, "<"+action+"Response></"+action+"Response>")
	}))
	defer ec2.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": ec2.URL, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := drive(t, "access", "open", "--stack", "dev", "--cloud", "aws", "--dir", root, "--address", "192.0.2.7")
	text, _ := json.Marshal(asked)
	if code != report.ExitOK || string(text) != `{"sg-1":"22 192.0.2.7/32","sg-2":"6443 192.0.2.7/32"}` {
		t.Errorf("exit %d, asked for %s\n%s%s", code, text, stdout, stderr)
	}
	gone = true
	code, stdout, _ = drive(t, "access", "open", "--stack", "dev", "--cloud", "aws", "--dir", root, "--address", "192.0.2.7")
	if code != report.ExitOK || !strings.Contains(stdout, "do not exist anymore") {
		t.Errorf("without the groups: exit %d\n%s", code, stdout)
	}
}
