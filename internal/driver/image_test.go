package driver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/remote"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

const amiType = "aws:ec2/ami:Ami"

// An image is built, replaces the one before, starts new workers, and is gone after destroy.
func TestImagesFromBuildToDestroy(t *testing.T) {
	needCLI(t)
	dir := project(t)
	does := func(want int, says string, command ...string) string {
		t.Helper()
		code, stdout, stderr := drive(t, append(command, "--stack", "dev", "--dir", dir)...)
		if code != want || !strings.Contains(stdout, says) {
			t.Fatalf("%v exits %d:\n%s%s", command, code, stdout, stderr)
		}
		return stdout
	}
	images := func() (list []string) {
		t.Helper()
		external(t, dir, func(s *sandbox.Sandbox) error { list = s.Account(amiType); return nil })
		return list
	}
	does(report.ExitCannotStart, "has no network for a builder", "image", "build")
	does(report.ExitOK, "", "up")
	id := regexp.MustCompile(`ami-[0-9a-f]{17}`)
	first := id.FindString(does(report.ExitOK, "pulumi config set --path kubeadm-aws:image.ami ami-", "image", "build"))
	said := does(report.ExitOK, "Removed older images: "+first, "image", "build")
	second := id.FindString(strings.ReplaceAll(said, first, ""))
	if now := images(); first == "" || second == "" || len(now) != 1 || !strings.Contains(now[0], second) {
		t.Fatalf("after the builds of %s and %s there are %v", first, second, now)
	}
	file := filepath.Join(dir, "Pulumi.dev.yaml")
	settings, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(settings)+"\n  kubeadm-aws:image:\n    ami: "+second+"\n")
	does(report.ExitOK, "", "up")
	external(t, dir, func(s *sandbox.Sandbox) error {
		if n := len(s.AWS.Find("aws:ec2/instance:Instance", nil, map[string]any{"ami": second})); n != 3 {
			t.Errorf("%d machines are from %s, want the three workers", n, second)
		}
		return nil
	})
	does(report.ExitOK, "", "image", "build")
	if now := images(); len(now) != 2 {
		t.Errorf("a build leaves %v, want the new image and the one of the workers", now)
	}
	does(report.ExitOK, "left      0", "destroy")
}

func TestTheCommandIsImageBuild(t *testing.T) {
	dir := project(t)
	for _, args := range [][]string{{"image"}, {"image", "bake"}} {
		code, _, stderr := drive(t, append(args, "--stack", "dev", "--dir", dir)...)
		if code != report.ExitUsage || !strings.Contains(stderr, `there is no command "image`) {
			t.Errorf("%v exits %d: %s", args, code, stderr)
		}
	}
}

// The user data of a builder stays readable in EC2. It holds keys that are made for this build, and ends the builder.
func TestTheUserDataOfABuilder(t *testing.T) {
	login, err := remote.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	host, err := remote.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := builderUserData(login, host)
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		Keys       map[string]string `json:"ssh_keys"`
		Authorized []string          `json:"ssh_authorized_keys"`
		Power      struct {
			Mode  string `json:"mode"`
			Delay int    `json:"delay"`
		} `json:"power_state"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "#cloud-config\n")), &data); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey([]byte(data.Keys["ed25519_private"]))
	if err != nil {
		t.Fatal(err)
	}
	if public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))); public != host.Public {
		t.Errorf("the host key is %s, and the driver pins %s", public, host.Public)
	}
	if strings.Contains(text, login.Private) || len(data.Authorized) != 1 || data.Authorized[0] != login.Public {
		t.Errorf("the keys that may log in are %v", data.Authorized)
	}
	if data.Power.Mode != "poweroff" || data.Power.Delay != 60 {
		t.Errorf("the builder of a killed driver ends with %+v", data.Power)
	}
}
