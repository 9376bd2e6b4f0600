//go:build e2e

package dockerhosts

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/remote"
	"kubeadm-aws/internal/sandbox/backend"
)

func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	key, err := remote.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key.Private, key.Public
}

func cloudConfig(privateHostKey string) string {
	return "#cloud-config\nssh_keys:\n  ed25519_private: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(privateHostKey), "\n", "\n    ") + "\n"
}

func open(t *testing.T, dir string) *Backend {
	t.Helper()
	b, err := New(t.Context(), Options{
		Stack: "e2e-hosts", Dir: dir, Avoid: []string{"10.64.0.0/16"}, Mirror: filepath.Join("..", "..", "tools", "mirror"),
		Log: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hosts is two machines of a backend, with the key to log in.
type hosts struct {
	backend                   *Backend
	userKey, hostKey, address string
}

func (h hosts) command(text, stdin string) backend.RemoteCommand {
	return backend.RemoteCommand{
		Host: h.address, User: "admin", PrivateKey: h.userKey, HostKey: h.hostKey, Command: text, Stdin: stdin,
		PerDialTimeout: 5 * time.Second, DialErrorLimit: 3,
	}
}

func (h hosts) run(t *testing.T, text, stdin string) string {
	t.Helper()
	out, _, err := h.backend.Exec(t.Context(), h.command(text, stdin))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// One backend and two hosts serve all the checks, in the order of a host's life.
func TestHostsLikeInstances(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	b := open(t, dir)
	defer func() {
		clean, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, id := range []string{"i-e2e1", "i-e2e2"} {
			if err := b.Terminate(clean, id); err != nil {
				t.Error(err)
			}
		}
		b.Close()
	}()
	userKey, userPublic := keyPair(t)
	hostKey, hostPublic := keyPair(t)
	first := backend.Machine{ID: "i-e2e1", Name: "e2e master", UserData: cloudConfig(hostKey), AuthorizedKey: userPublic,
		Profile: "e2e-control-plane"}
	status, err := b.Launch(ctx, first)
	if err != nil {
		t.Fatal(err)
	}
	h := hosts{backend: b, userKey: userKey, hostKey: hostPublic, address: status.PublicIP}

	t.Run("the pinned host key and the key pair let in", func(t *testing.T) {
		out, errs, err := b.Exec(ctx, h.command(`cat; echo "on $(hostname)" >&2; sudo id -u`, "from stdin\n"))
		if err != nil {
			t.Fatal(err)
		}
		if out != "from stdin\n0" || !strings.HasPrefix(errs, "on ip-10-") {
			t.Errorf("stdout %q, stderr %q", out, errs)
		}
	})
	t.Run("another host key is refused", func(t *testing.T) {
		_, other := keyPair(t)
		c := h.command("touch /tmp/came-in", "")
		c.HostKey, c.DialErrorLimit = other, 1
		if _, _, err := b.Exec(ctx, c); err == nil || !strings.Contains(err.Error(), "host key mismatch") {
			t.Errorf("got %v", err)
		}
		if out := h.run(t, "ls /tmp", ""); strings.Contains(out, "came-in") {
			t.Error("the command ran")
		}
	})
	t.Run("another user key is refused after the limit", func(t *testing.T) {
		c := h.command("true", "")
		c.PrivateKey, _ = keyPair(t)
		if _, _, err := b.Exec(ctx, c); err == nil || !strings.Contains(err.Error(), "after 3 failed attempts") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a host that takes connections and says nothing holds the command until its time is over", func(t *testing.T) {
		m, _, err := b.machine(ctx, "i-e2e1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := docker(ctx, "pause", m.container); err != nil {
			t.Fatal(err)
		}
		c := h.command("true", "")
		c.PerDialTimeout, c.DialErrorLimit = time.Second, 2
		bounded, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		_, _, failed := b.Exec(bounded, c)
		if _, err := docker(ctx, "unpause", m.container); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(failed, context.DeadlineExceeded) {
			t.Errorf("got %v", failed)
		}
		h.run(t, "true", "")
	})
	t.Run("a failing command tells status, text and output, and not its input", func(t *testing.T) {
		_, _, err := b.Exec(ctx, h.command("read -r x; echo halfway; echo broken >&2; exit 7", "secret-input\n"))
		if err == nil {
			t.Fatal("no error")
		}
		for _, want := range []string{"Process exited with status 7", `running "read -r x;`, "halfway\n", "broken\n"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
		if strings.Contains(err.Error(), "secret-input") {
			t.Error("the input is in the error")
		}
	})
	t.Run("the context ends a command that hangs", func(t *testing.T) {
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, _, err := b.Exec(short, h.command("sleep 300", "")); err == nil ||
			!strings.Contains(err.Error(), "deadline exceeded") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("launch again finds the same host", func(t *testing.T) {
		before := h.run(t, "cat /etc/machine-id", "")
		again, err := b.Launch(ctx, first)
		if err != nil {
			t.Fatal(err)
		}
		if after := h.run(t, "cat /etc/machine-id", ""); again != status || before != after {
			t.Errorf("%v, then %v; machine %s, then %s", status, again, before, after)
		}
	})

	t.Run("records reach hosts that are there and later ones", func(t *testing.T) {
		if err := b.SetRecord(ctx, "api.e2e.internal.", []string{status.PrivateIP}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Launch(ctx, backend.Machine{ID: "i-e2e2", Name: "worker", UserData: cloudConfig(hostKey),
			AuthorizedKey: userPublic, Profile: "e2e-worker"}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"i-e2e1", "i-e2e2"} {
			s, found, err := b.Find(ctx, id)
			if err != nil || !found {
				t.Fatal(found, err)
			}
			on := h
			on.address = s.PrivateIP
			if out := on.run(t, "getent hosts api.e2e.internal", ""); !strings.HasPrefix(out, status.PrivateIP+" ") {
				t.Errorf("%s resolves to %q", id, out)
			}
		}
		if err := b.SetRecord(ctx, "api.e2e.internal", nil); err != nil {
			t.Fatal(err)
		}
		if out := h.run(t, "getent hosts api.e2e.internal || true; getent hosts localhost", ""); strings.Contains(out,
			"e2e") || out == "" {
			t.Errorf("after the delete: %q", out)
		}
	})

	t.Run("an elastic address moves from host to host", func(t *testing.T) {
		address, err := b.SetAddress(ctx, "eipalloc-1", "")
		if err != nil {
			t.Fatal(err)
		}
		on := h
		on.address = address
		for _, id := range []string{"i-e2e1", "i-e2e2"} {
			if _, err := b.SetAddress(ctx, "eipalloc-1", id); err != nil {
				t.Fatal(err)
			}
			s, _, err := b.Find(ctx, id)
			if err != nil || s.PublicIP != address {
				t.Errorf("public address %s, %v", s.PublicIP, err)
			}
			if out := on.run(t, "hostname -I", ""); !strings.HasPrefix(out, s.PrivateIP+" ") {
				t.Errorf("%s leads to %s, want %s", address, out, s.PrivateIP)
			}
		}
		if err := b.ReleaseAddress(ctx, "eipalloc-1"); err == nil {
			t.Error("an associated address was released")
		}
		if _, err := b.SetAddress(ctx, "eipalloc-1", ""); err != nil {
			t.Fatal(err)
		}
		if err := b.ReleaseAddress(ctx, "eipalloc-1"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Exec(ctx, on.command("true", "")); err == nil {
			t.Error("the address still answers")
		}
	})

	t.Run("the instance role signs requests to the object store, the workers' may not", func(t *testing.T) {
		script := `set -eu
m=http://169.254.169.254/latest
test "$(curl -s -o /dev/null -w '%{http_code}' $m/meta-data/instance-id)" = 401
token=$(curl -fsS -X PUT $m/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60')
get() { curl -fsS -H "X-aws-ec2-metadata-token: $token" "$m/$1"; }
echo "$(get meta-data/instance-id)"
get "meta-data/iam/security-credentials/$(get meta-data/iam/security-credentials/)" >/tmp/c
field() { grep -o "\"$1\":\"[^\"]*\"" /tmp/c | cut -d'"' -f4; }
s3() { curl -sS --aws-sigv4 aws:amz:eu-west-1:s3 --user "$(field AccessKeyId):$(field SecretAccessKey)" -H "x-amz-security-token: $(field Token)" \
  -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@"; }
echo snapshot >/tmp/o
s3 -T /tmp/o "$STORE/e2e-bucket/etcd/one.db"
s3 "$STORE/e2e-bucket/?list-type=2&prefix=etcd%2F"; echo
s3 "$STORE/e2e-bucket/etcd/one.db"
curl -sS "$STORE/e2e-bucket/etcd/one.db"`
		store := b.s3Endpoint()
		out := h.run(t, "STORE="+store+" bash -s", script)
		for _, want := range []string{"i-e2e1", "<Key>etcd/one.db</Key>", "\nsnapshot\n", "no signature"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in %s", want, out)
			}
		}
		on := h
		s, _, _ := b.Find(ctx, "i-e2e2")
		on.address = s.PrivateIP
		if out := on.run(t, "STORE="+store+" bash -s", script); !strings.Contains(out, "InvalidAccessKeyId") ||
			strings.Contains(out, "\nsnapshot") {
			t.Errorf("a worker got %s", out)
		}
	})

	t.Run("the snapshot script reaches the object store with signatures that hold", func(t *testing.T) {
		snapshotsReachTheStore(t, h, filepath.Join(dir, "objects"))
		worker := h
		s, _, _ := b.Find(ctx, "i-e2e2")
		worker.address = s.PrivateIP
		snapshotsOfAWorkerFail(t, worker)
	})

	t.Run("another process finds the hosts", func(t *testing.T) {
		before := b.Overrides()["mirrors.etcd"]
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = open(t, dir)
		h.backend = b
		if after := b.Overrides()["mirrors.etcd"]; before != after {
			t.Errorf("the mirror moved: %v, then %v", before, after)
		}
		if s, found, err := b.Find(ctx, "i-e2e1"); s != status || !found || err != nil {
			t.Errorf("got %v %v %v", s, found, err)
		}
	})

	t.Run("a host that boots again keeps its disk, its elastic address and the records", func(t *testing.T) {
		if err := b.SetRecord(ctx, "api.e2e.internal", []string{status.PrivateIP}); err != nil {
			t.Fatal(err)
		}
		address, err := b.SetAddress(ctx, "eipalloc-2", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.SetAddress(ctx, "eipalloc-2", "i-e2e1"); err != nil {
			t.Fatal(err)
		}
		h.run(t, "sudo touch /var/lib/kept", "")
		m, _, err := b.machine(ctx, "i-e2e1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := docker(ctx, "restart", "--time", "0", m.container); err != nil {
			t.Fatal(err)
		}
		on := h.command("until getent hosts api.e2e.internal; do sleep 0.1; done; ls /var/lib/kept", "")
		on.Host, on.DialErrorLimit = address, 30
		if out, _, err := b.Exec(ctx, on); err != nil || !strings.HasSuffix(out, "/var/lib/kept") {
			t.Errorf("%q, %v", out, err)
		}
		if err := b.SetRecord(ctx, "api.e2e.internal", nil); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("terminated hosts leave nothing", func(t *testing.T) {
		for _, id := range []string{"i-e2e1", "i-e2e2", "i-never-was"} {
			if err := b.Terminate(ctx, id); err != nil {
				t.Error(err)
			}
		}
		if _, found, err := b.Find(ctx, "i-e2e1"); found || err != nil {
			t.Errorf("found %v, %v", found, err)
		}
		// Its machine is terminated, so the address is free.
		if err := b.ReleaseAddress(ctx, "eipalloc-2"); err != nil {
			t.Error(err)
		}
		left, err := b.Leftovers(ctx)
		if err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if out, err := docker(ctx, "network", "ls", "--quiet", "--filter", "label="+labelStack+"=e2e-hosts"); out != "" ||
			err != nil {
			t.Errorf("network %q, %v", out, err)
		}
		if files, err := os.ReadDir(dir); len(files) > 0 || err != nil {
			t.Errorf("files %v, %v", files, err)
		}
		rules, err := run(exec.CommandContext(ctx, "iptables", "-w", "-t", "nat", "-S"))
		if err != nil || strings.Contains(rules, "e2e-hosts") {
			t.Errorf("rules %s, %v", rules, err)
		}
	})
}
