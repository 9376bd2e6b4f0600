//go:build e2e

package dockerhosts

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// snapshots installs the script of the control plane on the host, with stubs in place of etcd and kubectl: a snapshot
// is some bytes, and the cluster does not answer. It returns the command for some arguments.
func (h hosts) snapshots(t *testing.T) func(args string) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("..", "..", "cluster", "scripts", "etcd-snapshot.sh"))
	if err != nil {
		t.Fatal(err)
	}
	h.run(t, "sudo install -m 755 /dev/stdin /usr/local/sbin/etcd-snapshot", string(script))
	h.run(t, "sudo bash -s", `set -eu
cd /usr/local/bin
printf '#!/bin/bash\nhead -c 3000000 /dev/urandom >"${@: -1}"\n' >etcdctl
printf '#!/bin/sh\n' >etcdutl
printf '#!/bin/sh\necho the API is away >&2\nexit 1\n' >kubectl
chmod 755 etcdctl etcdutl kubectl
echo one >/root/ca.crt
echo another >/root/other.crt
`)
	env := "BUCKET=e2e-bucket PREFIX=e2e/etcd AWS_REGION=eu-west-1 NODE=master CA_FILE=/root/ca.crt S3_ENDPOINT=" +
		h.backend.s3Endpoint()
	return func(args string) string { return "sudo env " + env + " etcd-snapshot " + args }
}

// The object store checks every signature and every body, so this proves the script's own S3 client.
func snapshotsReachTheStore(t *testing.T, h hosts, objects string) {
	snapshot := h.snapshots(t)
	if out := h.run(t, snapshot("ours"), ""); out != "" {
		t.Errorf("an empty bucket has %q", out)
	}
	key, said, err := h.backend.Exec(t.Context(), h.command(snapshot("now"), ""))
	if err != nil {
		t.Fatal(err)
	}
	// A backup succeeds although its annotation on the cluster cannot be written.
	if !strings.HasPrefix(key, "e2e/etcd/20") || !strings.Contains(said, "node master cannot say so: the API is away") {
		t.Errorf("key %q, and it says %q", key, said)
	}
	metrics := "grep failed /var/lib/node-exporter/textfile/etcd_backup.prom | tail -n 1"
	if out := h.run(t, metrics, ""); out != "kubeadm_aws_etcd_backup_last_run_failed 0" {
		t.Errorf("after a good snapshot: %s", out)
	}
	stored := filepath.Join(objects, "e2e-bucket", filepath.FromSlash(key))
	whole, err := os.ReadFile(stored)
	if err != nil {
		t.Fatal(err)
	}
	if out := h.run(t, snapshot("ours"), ""); out != key {
		t.Errorf("the newest is %q, want %q", out, key)
	}
	sum := sha256.Sum256(whole)
	if out := h.run(t, snapshot("fetch latest /root/fetched")+" && sudo sha256sum /root/fetched",
		""); !strings.HasPrefix(out, hex.EncodeToString(sum[:])) {
		t.Errorf("fetched %q, stored %x", out, sum)
	}

	broken := append([]byte(nil), whole...)
	broken[len(broken)/2] ^= 1
	for _, bad := range []struct{ command, content, why string }{
		{snapshot("fetch latest /root/refused"), string(broken), "is corrupt"},
		{snapshot("fetch latest /root/refused"), string(whole[:1000]), "is corrupt"},
		{snapshot("fetch e2e/etcd/none.db /root/refused"), string(whole), "there is no such snapshot"},
		{strings.Replace(snapshot("fetch latest /root/refused"), "ca.crt", "other.crt", 1), string(whole),
			"is of another cluster"},
	} {
		if err := os.WriteFile(stored, []byte(bad.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.backend.Exec(t.Context(), h.command(bad.command, "")); err == nil ||
			!strings.Contains(err.Error(), bad.why) {
			t.Errorf("%s: no %q in %v", bad.command, bad.why, err)
		}
		if out := h.run(t, "sudo ls /root", ""); strings.Contains(out, "refused") {
			t.Errorf("%s leaves a file: %s", bad.command, out)
		}
	}
}

// Another role cannot write to the bucket, and the failure is reported.
func snapshotsOfAWorkerFail(t *testing.T, h hosts) {
	snapshot := h.snapshots(t)
	// A role that may not read the bucket must not report it as empty.
	for _, command := range []string{"now", "ours"} {
		if _, _, err := h.backend.Exec(t.Context(), h.command(snapshot(command), "")); err == nil ||
			!strings.Contains(err.Error(), "InvalidAccessKeyId") {
			t.Errorf("etcd-snapshot %s of a worker: %v", command, err)
		}
	}
	metrics := "grep failed /var/lib/node-exporter/textfile/etcd_backup.prom | tail -n 1"
	if out := h.run(t, metrics, ""); out != "kubeadm_aws_etcd_backup_last_run_failed 1" {
		t.Errorf("after a snapshot that failed: %s", out)
	}
}
