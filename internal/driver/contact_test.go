package driver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/report"
)

// stateOnAWS is a state with a control plane, and one object in a cluster whose API is at an address.
func stateOnAWS(t *testing.T, api string) {
	t.Helper()
	kubeconfig := kubeconfigFor(t, api)
	fakeCLI(t, `*"stack select"*) ;;
*"stack output"*"show-secrets"*) printf '%s' '{"cluster":"blue","kubeconfig":"`+kubeconfig+
		`","nodes":{"master":{"role":"control-plane"}}}';;
*"stack output"*) echo '{"cluster":"blue","kubeconfig":"[secret]","nodes":{"master":{"role":"control-plane"}}}';;
*"stack history"*) echo "[]";;
*"config get"*) exit 255;;
*"stack export"*) echo '{"deployment":{"resources":[
  {"urn":"`+prefix+`aws:ec2/instance:Instance::master","type":"aws:ec2/instance:Instance","id":"i-1","custom":true},
  {"urn":"`+prefix+`kubernetes:core/v1:Namespace::n","type":"kubernetes:core/v1:Namespace","id":"n","custom":true}]}}';;
*"stack import"*) echo imported >&2; exit 98;;`)
}

// ec2With answers as EC2 about one instance in a state.
func ec2With(state string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		content := ""
		switch action := form.Get("Action"); {
		case action == "DescribeInstances" && state != "":
			content = `<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><name>` + state +
				`</name></instanceState><groupSet><item><groupId>sg-1</groupId></item></groupSet></item></instancesSet></item></reservationSet>`
		case action == "GetCallerIdentity":
			content = "<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
		case action == "DescribeSecurityGroupRules":
			content = `<securityGroupRuleSet><item><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol><fromPort>6443</fromPort>` +
				`<toPort>6443</toPort><cidrIpv4>198.51.100.0/24</cidrIpv4></item></securityGroupRuleSet>`
		}
		fmt.Fprintf(w, "<%[1]sResponse>%[2]s</%[1]sResponse>", form.Get("Action"), content)
	}
}

// On AWS the account says whether the machine of a silent API exists. --yes does not answer for it.
func TestASilentClusterOnAWSIsAskedOfTheAccount(t *testing.T) {
	askAfter = 0
	t.Cleanup(func() { askAfter = 5 * time.Second })
	for _, tt := range []struct {
		state string
		says  []string
		code  int
	}{
		{"running", []string{"its machine runs: master (i-1) is running", "access.adminCidrs", "--without-cluster blue"},
			report.ExitUnreachable},
		{"pending", []string{"master (i-1) is pending", "--without-cluster blue"}, report.ExitUnreachable},
		{"stopped", []string{"aws ec2 start-instances --region eu-central-1 --instance-ids i-1"}, report.ExitUnreachable},
		{"stopping", []string{"aws ec2 start-instances"}, report.ExitUnreachable},
		{"shutting-down", []string{"the machine of the control plane is gone"}, report.ExitFailed},
		{"terminated", []string{"the machine of the control plane is gone"}, report.ExitFailed},
		{"", []string{"the machine of the control plane is gone: master (i-1) is gone"}, report.ExitFailed},
	} {
		t.Run(tt.state, func(t *testing.T) {
			pointToAWS(t, ec2With(tt.state))
			stateOnAWS(t, "https://api.invalid:6443")
			code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--cloud", "aws", "--yes", "--dir", "../..")
			for _, want := range tt.says {
				if code != tt.code || !strings.Contains(stdout, want) {
					t.Errorf("destroy exits %d and does not say %q:\n%s", code, want, stdout)
				}
			}
			if touched := strings.Contains(stdout, "imported"); touched != (tt.code == report.ExitFailed) {
				t.Errorf("the state was written: %v:\n%s", touched, stdout)
			}
		})
	}
	t.Run("no credentials", func(t *testing.T) {
		pointToAWS(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		stateOnAWS(t, "https://api.invalid:6443")
		code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--cloud", "aws", "--yes", "--dir", "../..")
		if code != report.ExitUnreachable || !strings.Contains(stdout, "could not be asked") {
			t.Errorf("destroy exits %d:\n%s", code, stdout)
		}
	})
	t.Run("refused", func(t *testing.T) {
		pointToAWS(t, ec2With("running"))
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		stateOnAWS(t, "https://"+listener.Addr().String())
		code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--cloud", "aws", "--yes", "--dir", "../..")
		if code != report.ExitUnreachable || !strings.Contains(stdout, "journalctl -u kubelet") {
			t.Errorf("destroy exits %d:\n%s", code, stdout)
		}
	})
}

// kubeconfigFor is a kubeconfig for an API server at an address, with a certificate of its own that is valid for an
// hour.
func kubeconfigFor(t *testing.T, server string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	data := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return fmt.Sprintf("{clusters: [{cluster: {server: %s, certificate-authority-data: %s}}], "+
		"users: [{user: {client-certificate-data: %[2]s, client-key-data: %[3]s}}]}",
		server, data("CERTIFICATE", der), data("EC PRIVATE KEY", private))
}
