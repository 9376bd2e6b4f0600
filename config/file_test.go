package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// project writes a project with one stack, dev.
func project(t *testing.T, projectYAML, stackYAML string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"Pulumi.yaml": projectYAML, "Pulumi.dev.yaml": stackYAML} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	bareProject = "name: kubeadm-aws\nruntime: go\n"
	bareStack   = `
config:
  aws:region: eu-west-1
  kubeadm-aws:access: {adminCidrs: [198.51.100.7/32]}
`
)

func TestLoadFile(t *testing.T) {
	c, err := LoadFile("dev", project(t, bareProject, `
encryptionsalt: v1:abc
config:
  aws:region: eu-west-1
  pulumi:disable-default-providers: ["*"]
  kubeadm-aws:owner: 42
  kubeadm-aws:access:
    adminCidrs: [198.51.100.7/32]
  kubeadm-aws:nodes:
    - {name: m, role: control-plane, volumeSize: 50}
    - {name: w, labels: {tier: "1"}}
  kubeadm-aws:redisPassword: {secure: v1:xyz}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Region != "eu-west-1" || c.Owner != "42" || c.Nodes[0].VolumeSize != 50 || c.Nodes[1].Labels["tier"] != "1" ||
		c.Stack != "dev" {
		t.Errorf("loaded %+v", c)
	}
}

// TestKeysWithoutANamespace checks that a message names the key to write. Pulumi's own names none.
func TestKeysWithoutANamespace(t *testing.T) {
	for line, want := range map[string]string{
		"owner: a": "instead: kubeadm-aws:owner", "region: eu-west-1": "instead: aws:region",
		"kubeadm-aws: {owner: a}": "is a namespace and no key",
	} {
		_, err := LoadFile("dev", project(t, bareProject, bareStack+"  "+line+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: no %q in %v", line, want, err)
		}
	}
}

// TestLoadFileTakesProjectValues checks that a value in Pulumi.yaml applies if the stack does not set it.
func TestLoadFileTakesProjectValues(t *testing.T) {
	c, err := LoadFile("dev", project(t, bareProject+`
config:
  aws:region: {value: us-east-1}
  environment: {default: staging}
  kubeadm-aws:owner: {value: web}
  pulumi:tags: {value: {a: b}}
`, bareStack))
	if err != nil {
		t.Fatal(err)
	}
	if c.Region != "eu-west-1" || c.Environment != Staging || c.Owner != "web" {
		t.Errorf("region %s, environment %s, owner %s", c.Region, c.Environment, c.Owner)
	}
}

func TestLoadFileRefuses(t *testing.T) {
	for name, c := range map[string]struct{ project, stack, want string }{
		"no file":            {bareProject, "", "adminCidrs"},
		"not YAML":           {bareProject, "config: [", "Pulumi.dev.yaml"},
		"project not YAML":   {"config: [", bareStack, "Pulumi.yaml"},
		"key without a name": {bareProject, "config: {region: eu-west-1}", "region"},
		"unknown key":        {bareProject, bareStack + "  kubeadm-aws:colour: red\n", "kubeadm-aws:colour\n"},
		"project's unknown":  {bareProject + "config: {colour: {value: red}}\n", bareStack, "kubeadm-aws:colour\n"},
		"plain password":     {bareProject, bareStack + "  kubeadm-aws:redisPassword: correct-horse\n", "in plain text"},
		"secret among values": {bareProject, bareStack + "  kubeadm-aws:addons: {redis: {values: {a: {secure: v1:xyz}}}}\n",
			"holds an encrypted value"},
		"second document":  {bareProject, bareStack + "---\nconfig:\n  kubeadm-aws:owner: web\n", "second YAML document"},
		"second, empty":    {bareProject, bareStack + "---\n", "second YAML document"},
		"section misspelt": {bareProject, bareStack + "confg: {}\n", "did you mean config?"},
		"setting at the top": {bareProject, bareStack + "protection: {protect: true}\n",
			"kubeadm-aws:protection below config:"},
		"key at the top": {bareProject, bareStack + "kubeadm-aws:protection: {protect: true}\n",
			"move kubeadm-aws:protection below config:"},
		"section of Pulumi's": {bareProject, bareStack + "environment: [prod]\n", "Pulumi.dev.yaml: environment"},
		"wrong namespace":     {bareProject, bareStack + "  kubeadm:owner: web\n", "did you mean kubeadm-aws:owner?"},
		"aws key":             {bareProject, bareStack + "  aws:secretKey: abcdef\n", "aws:secretKey\n"},
		"key twice":           {bareProject, bareStack + "  aws:region: eu-west-2\n", "already defined"},
		"secret account": {bareProject, bareStack + "  aws:assumeRole: {externalId: {secure: v1:xyz}}\n",
			"holds an encrypted value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadFile("dev", project(t, c.project, c.stack))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("want %q in: %v", c.want, err)
			}
			if strings.Contains(err.Error(), "correct-horse") {
				t.Errorf("the password is in the message: %v", err)
			}
		})
	}
	if _, err := LoadFile("qa", project(t, bareProject, bareStack)); err == nil ||
		!strings.Contains(err.Error(), "copy Pulumi.dev.yaml") {
		t.Errorf("missing stack: %v", err)
	}
	if _, err := LoadFile("dev", t.TempDir()); err == nil {
		t.Error("a directory without a project is accepted")
	}
}

func TestWarnings(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                  {"addresses for documentation"},
		"access: {adminCidrs: [0.0.0.0/0]}": {"the whole internet"},
		"access: {adminCidrs: [10.0.0.0/8, 100.64.3.0/24]}":        {"private addresses only"},
		"access: {adminCidrs: [203.0.113.0/24, 192.168.7.0/24]}":   {"access open --stack dev --cloud aws"},
		"access: {adminCidrs: [10.0.0.0/8, 9.9.9.9/32]}":           nil,
		"access: {adminCidrs: [9.9.9.9/32, 203.0.113.0/24]}":       nil,
		"access: {adminCidrs: [9.9.9.9/32]}\ncluster: {cni: none}": {"installed a network"},
		"access: {adminCidrs: [9.9.9.9/32]}\naddons: {argocd: {repoUrl: 'git@git.example.com:a/b.git'}}": {
			"argocdRepositoryKey is not set", "has no key of git.example.com", "need addons.postgresql.enabled: true, " +
				"addons.argocd.registry. See"},
		"access: {adminCidrs: [9.9.9.9/32]}\naddons: {argocd: {enabled: false, repoUrl: 'git@git.example.com:a/b.git'}}": {
			"need addons.argocd.enabled: true, "},
		"access: {adminCidrs: [9.9.9.9/32]}\naddons: {monitoring: {enabled: false}, argoRollouts: {enabled: false}, argocd: " +
			"{repoUrl: 'https://git.example.com/a/b.git'}}": {"addons.argoRollouts.enabled: true, addons.monitoring.enabled: true"},
		"access: {adminCidrs: [9.9.9.9/32]}\naddons: {postgresql: {enabled: true}, argocd: {registry: r.example.com, " +
			"repoUrl: 'https://git.example.com/a/b.git'}}": nil,
		"access: {adminCidrs: [9.9.9.9/32]}\nkubernetes: {scheduler: {leader-elect: 'false'}}":       {"kubernetes.scheduler.leader-elect is off"},
		"access: {adminCidrs: [9.9.9.9/32]}\nkubernetes: {controllerManager: {leader-elect: 'F'}}":   {"kubernetes.controllerManager.leader-elect is off"},
		"access: {adminCidrs: [9.9.9.9/32]}\nkubernetes: {controllerManager: {leader-elect: '1'}}":   nil,
		"environment: prod\naccess: {adminCidrs: [9.9.9.9/32]}":                                      {"Alerts are sent nowhere"},
		"environment: prod\naccess: {adminCidrs: [9.9.9.9/32]}\n" + mailed:                           nil,
		"access: {adminCidrs: [9.9.9.9/32]}\naddons: {postgresql: {enabled: true, storageGiB: 50}}":  nil,
		"access: {adminCidrs: [9.9.9.9/32]}\naddons: {postgresql: {enabled: true, storageGiB: 100}}": {"about 50 GiB"},
		"access: {adminCidrs: [9.9.9.9/32]}\naddons: {monitoring: {enabled: false}}\n" + mailed:      {"is not used: addons.monitoring"},
	} {
		c, err := loadText(t, "dev", text)
		if err != nil {
			t.Fatal(err)
		}
		got := c.Warnings()
		if len(got) != len(want) || slices.ContainsFunc(want,
			func(w string) bool { return !strings.Contains(strings.Join(got, "\n"), w) }) {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestPlaceholdersAreRefusedOnAWS(t *testing.T) {
	for ranges, refused := range map[string]bool{
		"203.0.113.0/24":                true,
		"192.0.2.7/32, 198.51.100.0/25": true,
		"9.9.9.9/32":                    false,
		"203.0.113.0/24, 9.9.9.9/32":    false,
		"203.0.112.0/23":                false, // larger than the range for documentation
	} {
		c, err := loadText(t, "dev", "access: {adminCidrs: ["+ranges+"]}")
		if err != nil {
			t.Fatal(err)
		}
		faults := c.RefusedOnAWS()
		if (len(faults) > 0) != refused {
			t.Errorf("%s: %v, want refused %v", ranges, faults, refused)
		}
		if refused && !strings.Contains(faults.Error(), "checkip") {
			t.Errorf("%s: the way out is not said: %v", ranges, faults)
		}
	}
}
