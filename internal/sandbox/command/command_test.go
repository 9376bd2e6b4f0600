package command

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/kube"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
	"kubeadm-aws/internal/sandbox/store"
	"kubeadm-aws/internal/sandbox/tls"
)

// client is the engine's side of the protocol to a model with hosts.
type client struct{ *sandboxtest.Client }

func newClient(t *testing.T) client {
	t.Helper()
	objects, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	account := aws.NewAccount(objects, "")
	return client{sandboxtest.New(t, map[string]engine.Provider{
		"aws": &aws.Provider{Account: account}, "tls": &tls.Provider{Now: time.Now},
		"command": New(nil, kube.NewShell(kube.NewCluster(account)), aws.NewConsole(account, nil)),
	})}
}

func TestModelHasUsers(t *testing.T) { sandboxtest.CheckTokens(t, "command", types) }

// host is a reachable host whose keys are known.
func (c client) host() (connection map[string]any) {
	c.T.Helper()
	n := c.Network()
	user := c.Make("tls:index/privateKey:PrivateKey", "user", props.Map{"algorithm": "ED25519"})
	key := c.Make("tls:index/privateKey:PrivateKey", "host", props.Map{"algorithm": "ED25519"})
	pair := c.Make(aws.KeyPairType, "pair", props.Map{"publicKey": user.Out("publicKeyOpenssh")})
	machine := c.Instance(n, "host", props.Map{
		"keyName": pair.ID, "userData": "#cloud-config\nssh_keys:\n  ed25519_private: |\n" + key.Out("privateKeyOpenssh"),
	})
	return map[string]any{
		"host": machine.Out("publicIp"), "user": "ubuntu", "privateKey": user.Out("privateKeyOpenssh"),
		"hostKey": key.Out("publicKeyOpenssh"),
	}
}

func TestCommandChecksBothKeys(t *testing.T) {
	c := newClient(t)
	right := c.host()
	other := c.Make("tls:index/privateKey:PrivateKey", "other", props.Map{"algorithm": "ED25519"})
	for field, wrong := range map[string]struct{ value, want string }{
		"hostKey":    {other.Out("publicKeyOpenssh"), "host key mismatch"},
		"privateKey": {other.Out("privateKeyOpenssh"), "unable to authenticate"},
		"host":       {"192.0.2.9", "i/o timeout"},
	} {
		connection := map[string]any{}
		for k, v := range right {
			connection[k] = v
		}
		connection[field] = wrong.value
		_, err := c.Try(remoteType, "x", props.Map{"connection": connection, "create": "true"})
		sandboxtest.WantError(t, err, wrong.want)
	}
	c.Make(remoteType, "x", props.Map{"connection": right, "create": "true"})
	_, err := c.Try(remoteType, "x", props.Map{"connection": right, "create": "true",
		"environment": map[string]any{"A": "b"}})
	sandboxtest.WantError(t, err, "environment variables")
	_, err = c.Try(remoteType, "x", props.Map{"connection": right,
		"create": "sudo env STEP='levitate' NODE='host' bash -c 'true'"})
	sandboxtest.WantError(t, err, `"levitate"`)
}

// The first step of a machine brings the files that the commands of later steps name.
func TestCommandNeedsItsScriptOnTheMachine(t *testing.T) {
	c := newClient(t)
	connection := c.host()
	step := func(name string, args ...string) props.Map {
		line := stepline.Line{Name: name, Node: "host", Args: append(args, stepline.ScriptDir+"/limit.sh", "60",
			stepline.ScriptDir+"/"+name+".0a.sh")}
		return props.Map{"connection": connection, "create": line.Format()}
	}
	archive := exec.Command("sh", "-c", "touch limit.sh ready.0a.sh prepare.0b.sh && tar -cz *.sh | base64 -w0")
	archive.Dir = t.TempDir()
	packed, err := archive.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Try(remoteType, "early", step("prepare"))
	sandboxtest.WantError(t, err, "limit.sh is not on this machine")
	_, err = c.Try(remoteType, "broken", step("ready", "-c", "install", "bash", "AAAA"))
	sandboxtest.WantError(t, err, "compressed tar archive")
	c.Make(remoteType, "ready", step("ready", "-c", "install", "bash", string(packed)))
	c.Make(remoteType, "prepare", step("prepare")) // in another version, as limit.sh does
	_, err = c.Try(remoteType, "join", step("join"))
	sandboxtest.WantError(t, err, "join.0a.sh is not on this machine")
}

// The error of a failing text shows which one ran: create, update or delete, the new or the stored one.
func TestCommandRunsTheTextsOfItsProvider(t *testing.T) {
	c := newClient(t)
	connection := c.host()
	text := func(name string) string { return "sudo env STEP='" + name + "' NODE='host' bash -c 'true'" }
	in := props.Map{"connection": connection, "create": "true"}
	cmd := c.Make(remoteType, "x", in)

	_, err := c.Update(cmd, props.Map{"connection": connection, "create": text("fromCreate")}, false)
	sandboxtest.WantError(t, err, "fromCreate") // no update: create runs again
	_, err = c.Update(cmd, props.Map{"connection": connection, "create": text("fromCreate"), "update": text("fromUpdate")},
		false)
	sandboxtest.WantError(t, err, "fromUpdate")
	if _, err := c.Update(cmd, props.Map{"connection": connection, "create": text("never")}, true); err != nil {
		t.Errorf("a preview dials: %v", err)
	}
	if d := c.Diff(cmd, props.Map{"connection": connection, "create": "false"}); len(d.Replaces) > 0 ||
		!slices.Equal(d.Diffs, []string{"create"}) {
		t.Errorf("a new script changes %v and replaces by %v, want an update of create", d.Diffs, d.Replaces)
	}
	if d := c.Diff(cmd, props.Map{"connection": connection, "create": "true", "triggers": []any{"2"}}); !slices.Equal(
		d.Replaces, []string{"triggers"}) {
		t.Errorf("a trigger replaces by %v", d.Replaces)
	}
	if _, err := c.Update(cmd, props.Map{"connection": connection, "create": "true", "delete": text("fromDelete")},
		false); err != nil {
		t.Fatal(err)
	}
	sandboxtest.WantError(t, c.Delete(cmd), "fromDelete")
}

func TestPreviewForgetsOutputOnlyWhenAnOldInputChanged(t *testing.T) {
	c := newClient(t)
	connection := c.host()
	cmd := c.Make(remoteType, "x", props.Map{"connection": connection, "create": "true"})
	added, err := c.Update(cmd, props.Map{"connection": connection, "create": "true", "delete": "true"}, true)
	if err != nil || added["stdout"].IsComputed() {
		t.Errorf("an added input makes stdout %v (%v), want what it was", added["stdout"], err)
	}
	changed, err := c.Update(cmd, props.Map{"connection": connection, "create": "false"}, true)
	if err != nil || !changed["stdout"].IsComputed() {
		t.Errorf("a changed input makes stdout %v (%v), want unknown", changed["stdout"], err)
	}
}
