package cluster

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// bucket simulates S3 and the metadata service of an instance. It verifies signatures with AWS's own signer.
type bucket struct {
	t *testing.T
	sync.Mutex
	objects map[string]string
	tagged  map[string]bool
	// order holds the requests that changed the bucket.
	order []string
	// deny returns the status and the code with which a request is refused, or 0.
	deny func(r *http.Request) (int, string)
	url  string
}

const metricsFile = "/var/lib/node-exporter/textfile/etcd_backup.prom"

func startBucket(t *testing.T) *bucket {
	b := &bucket{t: t, objects: map[string]string{}, tagged: map[string]bool{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.Lock()
	defer b.Unlock()
	if b.deny != nil {
		if status, code := b.deny(r); status != 0 {
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>refused</Message></Error>", code)
			return
		}
	}
	switch path := r.URL.Path; {
	case path == "/latest/api/token":
		io.WriteString(w, "TOKEN")
	case path == "/latest/meta-data/iam/security-credentials/":
		io.WriteString(w, "role")
	case path == "/latest/meta-data/iam/security-credentials/role":
		io.WriteString(w, `{"AccessKeyId": "AKIATEST", "SecretAccessKey": "secret", "Token": "session"}`)
	default:
		b.store(w, r)
	}
}

func (b *bucket) store(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Error(err)
	}
	b.checkSignature(r, body)
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/bucket"), "/")
	_, tagging := r.URL.Query()["tagging"]
	switch content, there := b.objects[key]; {
	case r.Method == http.MethodGet && key == "":
		b.list(w, r)
	case r.Method == http.MethodGet && there:
		io.WriteString(w, content)
	case !there && (r.Method == http.MethodGet || tagging):
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")
	case tagging:
		sum := md5.Sum(body)
		if r.Header.Get("Content-MD5") != base64.StdEncoding.EncodeToString(sum[:]) {
			b.t.Errorf("Content-MD5 of the tags is %q", r.Header.Get("Content-MD5"))
		}
		if !strings.Contains(string(body), "<Key>superseded</Key><Value>true</Value>") {
			b.t.Errorf("tags: %s", body)
		}
		b.tagged[key] = true
		b.order = append(b.order, "tag "+key)
	default:
		b.objects[key] = string(body)
		b.order = append(b.order, "put "+key)
	}
}

// list answers in pages of two keys.
func (b *bucket) list(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, `<ListBucketResult>`)
	n := 0
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if strings.HasPrefix(key, r.URL.Query().Get("prefix")) && key > r.URL.Query().Get("start-after") && n < 2 {
			fmt.Fprintf(w, `<Contents><Key>%s</Key><Size>1</Size></Contents>`, key)
			n++
		}
	}
	io.WriteString(w, `</ListBucketResult>`)
}

func (b *bucket) checkSignature(r *http.Request, body []byte) {
	sum := sha256.Sum256(body)
	if got := r.Header.Get("X-Amz-Content-Sha256"); got != hex.EncodeToString(sum[:]) {
		b.t.Errorf("%s %s: signed the body %s", r.Method, r.URL, got)
	}
	_, signed, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	signed, signature, _ := strings.Cut(signed, ", Signature=")
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), nil)
	if err != nil {
		b.t.Error(err)
		return
	}
	for _, name := range strings.Split(signed, ";") {
		if name != "host" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		b.t.Error(err)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	credentials := aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret", SessionToken: "session"}
	if err := signer.SignHTTP(context.Background(), credentials, again, hex.EncodeToString(sum[:]), "s3", "eu-west-1",
		at); err != nil {
		b.t.Error(err)
	}
	if !strings.HasSuffix(again.Header.Get("Authorization"), "Signature="+signature) {
		b.t.Errorf("%s %s: S3 would answer SignatureDoesNotMatch", r.Method, r.URL)
	}
}

// snapshotHost returns a control plane with working etcd, kubectl and disk.
func snapshotHost(t *testing.T, b *bucket) *scriptHost {
	h := newScriptHost(t)
	h.env = map[string]string{
		"METADATA_URL": b.url, "S3_ENDPOINT": b.url, "BUCKET": "bucket", "PREFIX": "dev/etcd", "AWS_REGION": "eu-west-1",
		"NODE": "master",
	}
	h.write("/etc/kubernetes/pki/ca.crt", "authority", 0o644)
	h.stub("etcdctl", `echo snapshot >"${@: -1}"`)
	h.stub("etcdutl", "")
	h.stub("kubectl", "")
	h.stub("sleep", "")
	return h
}

// status returns the metric that the alert for failed backups reads.
func (h *scriptHost) status() string {
	for _, line := range strings.Split(h.read(metricsFile), "\n") {
		if value, found := strings.CutPrefix(line, "kubeadm_aws_etcd_backup_last_run_failed "); found {
			return value
		}
	}
	return "not written"
}

func refusing(status int, code string, which func(r *http.Request) bool) func(*http.Request) (int, string) {
	return func(r *http.Request) (int, string) {
		if which(r) {
			return status, code
		}
		return 0, ""
	}
}

func isPut(suffix string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, suffix) }
}

// Every failure of a snapshot ends with a status other than 0, a reason, and the metric for the alert.
func testSnapshotFailures(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(h *scriptHost, b *bucket)
		code  int
		says  string
	}{
		{"no settings", func(h *scriptHost, b *bucket) { delete(h.env, "BUCKET") }, 2, "BUCKET is not set"},
		{"not root", func(h *scriptHost, b *bucket) { h.stub("id", "echo 1000") }, 1, "needs root"},
		{"no credentials", func(h *scriptHost, b *bucket) {
			b.deny = refusing(404, "", func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/latest/") })
		}, 1, "gives no credentials: is there an instance profile"},
		{"no metadata service", func(h *scriptHost, b *bucket) { h.env["METADATA_URL"] = "http://127.0.0.1:1" }, 1,
			"gives no credentials"},
		{"no network", func(h *scriptHost, b *bucket) { h.env["S3_ENDPOINT"] = "http://127.0.0.1:1" }, 1,
			"the snapshot cannot be uploaded"},
		{"another run", func(h *scriptHost, b *bucket) { h.stub("flock", "exit 1") }, 1, "another snapshot has been running"},
		{"state is not a directory", func(h *scriptHost, b *bucket) { h.write("/var/lib/kubeadm-aws", "", 0o644) }, 1,
			"cannot be written"},
		{"no room for a directory", func(h *scriptHost, b *bucket) {
			h.stub("mktemp", `echo "mktemp: No space left on device" >&2; exit 1`)
		}, 1, "cannot be written"},
		{"etcd is silent", func(h *scriptHost, b *bucket) { h.stub("etcdctl", "echo deadline exceeded; exit 1") }, 1,
			"etcd gives no snapshot"},
		{"no room for the snapshot", func(h *scriptHost, b *bucket) {
			h.stub("etcdctl", `echo "write: no space left on device"; exit 1`)
		}, 1, "no space left on device"},
		{"etcd gives nonsense", func(h *scriptHost, b *bucket) { h.stub("etcdutl", "exit 1") }, 1,
			"the snapshot cannot be read"},
		{"bucket denied", func(h *scriptHost, b *bucket) { b.deny = refusing(403, "AccessDenied", isPut(".db")) }, 1,
			"(AccessDenied, refused)"},
		{"checksum denied", func(h *scriptHost, b *bucket) { b.deny = refusing(403, "AccessDenied", isPut(".sha256")) }, 1,
			"the checksum cannot be uploaded"},
		{"pointer denied", func(h *scriptHost, b *bucket) { b.deny = refusing(403, "AccessDenied", isPut("/latest")) }, 1,
			"the pointer to the newest snapshot cannot be written"},
		{"stopped", func(h *scriptHost, b *bucket) {
			h.stub("etcdctl", "kill -TERM $(ps -o ppid= -p $PPID)")
		}, 143, "stopped by a signal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := startBucket(t)
			h := snapshotHost(t, b)
			c.spoil(h, b)
			h.fails(h.run("etcd-snapshot.sh", "", "now"), c.code, c.says)
			if got := h.status(); got != "1" {
				t.Errorf("the metric of a failed run is %s", got)
			}
			if _, there := b.objects["dev/etcd/latest"]; there {
				t.Error("the pointer names a snapshot that is not whole")
			}
			if left, _ := filepath.Glob(h.at("/var/lib/kubeadm-aws/snapshot.*")); len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
		})
	}
	t.Run("no leader", func(t *testing.T) {
		h := snapshotHost(t, startBucket(t))
		h.stub("etcdctl", "echo context deadline exceeded; exit 1")
		h.fails(h.run("etcd-snapshot.sh", "", "timed"), 1, "etcd does not say who its leader is: context deadline exceeded")
		h.stub("etcdctl", `echo '[{"Status":{"header":{"member_id":5}}}]'`)
		h.fails(h.run("etcd-snapshot.sh", "", "timed"), 1, "etcd has no leader, so none of its members takes a snapshot")
		if got := h.status(); got != "1" {
			t.Errorf("the metric of a failed run is %s", got)
		}
	})
	t.Run("no room for the metrics", func(t *testing.T) {
		b := startBucket(t)
		h := snapshotHost(t, b)
		if o := h.run("etcd-snapshot.sh", "", "now"); o.code != 0 || h.status() != "0" {
			t.Fatalf("%d, %s: %s", o.code, h.status(), o.stderr)
		}
		if err := os.Symlink("/dev/full", h.at(metricsFile+".new")); err != nil {
			t.Fatal(err)
		}
		h.stub("etcdctl", "exit 1")
		h.fails(h.run("etcd-snapshot.sh", "", "now"), 1, "etcd gives no snapshot")
		if got := h.status(); got != "1" {
			t.Errorf("the metric of a failed run is %s", got)
		}
	})
	t.Run("killed", func(t *testing.T) {
		// systemd runs this after a run that was killed and could not report anything.
		h := snapshotHost(t, startBucket(t))
		h.fails(h.run("etcd-snapshot.sh", "", "failed"), 1)
		if got := h.status(); got != "1" {
			t.Errorf("the metric of a killed run is %s", got)
		}
	})
	t.Run("fetch", testFetchFailures)
	t.Run("what shows that the cluster has run", testOurs)
}

func testFetchFailures(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(h *scriptHost, b *bucket, key string)
		key   string
		says  string
	}{
		{"no pointer", func(h *scriptHost, b *bucket, _ string) { delete(b.objects, "dev/etcd/latest") }, "latest",
			"there is no newest snapshot"},
		{"no such key", func(h *scriptHost, b *bucket, _ string) {}, "dev/etcd/none.db",
			"there is no such snapshot, or it is not complete"},
		{"another cluster", func(h *scriptHost, b *bucket,
			_ string) {
			h.write("/etc/kubernetes/pki/ca.crt", "another", 0o644)
		}, "latest", "is of another cluster"},
		{"half", func(h *scriptHost, b *bucket, key string) { b.objects[key] = "sn" }, "latest", "is corrupt"},
		{"gone", func(h *scriptHost, b *bucket, key string) { delete(b.objects, key) }, "latest", key404},
		{"not of etcd", func(h *scriptHost, b *bucket, _ string) { h.stub("etcdutl", "exit 1") }, "latest",
			"is not a snapshot of etcd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := startBucket(t)
			h := snapshotHost(t, b)
			key := h.run("etcd-snapshot.sh", "", "now").stdout
			c.spoil(h, b, key)
			h.fails(h.run("etcd-snapshot.sh", "", "fetch", c.key, h.at("/restore.db")), 1, c.says)
			if h.read("/restore.db") != "" {
				t.Error("it leaves a file")
			}
			if got := h.status(); got != "0" {
				t.Errorf("a fetch changes the metric of snapshots to %s", got)
			}
		})
	}
}

const key404 = "cannot be read"

// An empty control plane would delete everything that existing workers run. So a cluster counts as new only if S3
// answers that there is neither a snapshot nor a marker.
func testOurs(t *testing.T) {
	b := startBucket(t)
	h := snapshotHost(t, b)
	h.succeeds(h.run("etcd-snapshot.sh", "", "ours"), "")
	h.succeeds(h.run("etcd-snapshot.sh", "", "mark"), "")
	h.succeeds(h.run("etcd-snapshot.sh", "", "ours"), "dev/etcd/initialised")
	key := h.run("etcd-snapshot.sh", "", "now").stdout
	h.succeeds(h.run("etcd-snapshot.sh", "", "ours"), key)
	// A destroy is intentional: the cluster after it may be empty. The snapshots stay.
	h.succeeds(h.run("etcd-snapshot.sh", "", "forget"), "")
	h.succeeds(h.run("etcd-snapshot.sh", "", "ours"), "")
	if got := strings.TrimSpace(b.objects["dev/etcd/latest"]); got != strings.TrimSpace(key) {
		t.Errorf("the newest snapshot is %q after the destroy, want %q", got, key)
	}
	h.succeeds(h.run("etcd-snapshot.sh", "", "mark"), "")
	// If the snapshots expired or the pointer was deleted, the marker remains.
	delete(b.objects, "dev/etcd/latest")
	h.succeeds(h.run("etcd-snapshot.sh", "", "ours"), "dev/etcd/initialised")
	h.write("/etc/kubernetes/pki/ca.crt", "another", 0o644)
	h.succeeds(h.run("etcd-snapshot.sh", "", "ours"), "")
	for _, part := range []string{"/latest", "/initialised"} {
		b.deny = refusing(403, "AccessDenied", func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, part) })
		h.fails(h.run("etcd-snapshot.sh", "", "ours"), 1, "AccessDenied")
	}
	b.deny = refusing(403, "AccessDenied", isPut("/initialised"))
	h.fails(h.run("etcd-snapshot.sh", "", "mark"), 1, "the marker that this cluster has run cannot be written")
	h.fails(h.run("etcd-snapshot.sh", "", "forget"), 1, "the marker that this cluster has run cannot be taken back")
	b.objects["dev/etcd/latest"] = key
	b.deny = refusing(403, "AccessDenied", isPut("/latest"))
	h.fails(h.run("etcd-snapshot.sh", "", "forget"), 1, "the pointer to the newest snapshot cannot be written")
	b.deny = refusing(403, "AccessDenied", func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/etcd/latest")
	})
	h.fails(h.run("etcd-snapshot.sh", "", "forget"), 1, "AccessDenied")
	b.deny = nil
	h.env["S3_ENDPOINT"] = "http://127.0.0.1:1"
	h.fails(h.run("etcd-snapshot.sh", "", "ours"), 1, "127.0.0.1")
}

// A destroy does not stop if the bucket cannot be reached.
func testBackupStopFailures(t *testing.T) {
	h := newScriptHost(t)
	h.stub("systemctl", `echo "$*" >>"$ROOT/systemctl"`)
	h.succeeds(h.run("backup-stop.sh", ""), "snapshots are stopped")
	if h.read("/systemctl") != "-q disable --now etcd-snapshot.timer\n" {
		t.Errorf("systemctl is told %q", h.read("/systemctl"))
	}
	h.write("/usr/local/sbin/etcd-snapshot", "#!/bin/sh\n[ \"$*\" = forget ] && echo forgotten >\"$ROOT/forgotten\"",
		0o755)
	h.succeeds(h.run("backup-stop.sh", ""), "snapshots are stopped")
	if h.read("/forgotten") == "" {
		t.Error("the bucket is not told that the end is meant")
	}
	h.write("/usr/local/sbin/etcd-snapshot", "#!/bin/sh\nexit 1", 0o755)
	h.stub("systemctl", "exit 1")
	o := h.run("backup-stop.sh", "")
	h.succeeds(o, "snapshots are stopped")
	for _, part := range []string{"there is no timer etcd-snapshot.timer",
		"the bucket does not record that this cluster is destroyed on purpose"} {
		if !strings.Contains(o.stderr, part) {
			t.Errorf("it does not say %q: %s", part, o.stderr)
		}
	}
	h.stub("id", "echo 1000")
	h.fails(h.run("backup-stop.sh", ""), 1, "needs root")
}

// The bucket's lifecycle deletes tagged objects: every snapshot except the newest, but neither the pointer nor the
// marker.
func TestSnapshotsSupersedeOlderOnes(t *testing.T) {
	b := startBucket(t)
	h := snapshotHost(t, b)
	for _, day := range []string{"01", "02", "03"} {
		b.objects["dev/etcd/2026-01-"+day+"T00-00-00Z.db"] = "old"
		b.objects["dev/etcd/2026-01-"+day+"T00-00-00Z.db.sha256"] = "old"
	}
	b.objects["dev/etcd/initialised"] = "marker"
	b.objects["prod/etcd/2025-01-01T00-00-00Z.db"] = "another cluster's"
	first := h.run("etcd-snapshot.sh", "", "now")
	h.succeeds(first, first.stdout)
	if want := []string{"put " + first.stdout, "put " + first.stdout + ".sha256",
		"put dev/etcd/latest"}; !slices.Equal(b.order[:3], want) {
		t.Errorf("order of the upload: %v", b.order)
	}
	if len(b.tagged) != 6 || b.tagged[first.stdout] {
		t.Errorf("tagged are %v", slices.Sorted(maps.Keys(b.tagged)))
	}
	// The second run tags only the first snapshot. A denied tag does not fail a run, and the next run tags the missed
	// ones.
	h.stub("date",
		`case "$*" in *%Y-%m-%dT%H-%M*) echo 2099-01-0$(cat $ROOT/day)T00-00-00Z ;; *) exec /usr/bin/date "$@" ;; esac`)
	b.order = nil
	b.deny = refusing(403, "AccessDenied", func(r *http.Request) bool { return r.URL.RawQuery == "tagging=" })
	h.write("/day", "1", 0o644)
	if o := h.run("etcd-snapshot.sh", "", "now"); o.code != 0 || !strings.Contains(o.stderr, "the next run tags them") ||
		h.status() != "0" {
		t.Errorf("a denied tag: %d, %s", o.code, o.stderr)
	}
	b.deny, b.order = nil, nil
	h.write("/day", "2", 0o644)
	h.succeeds(h.run("etcd-snapshot.sh", "", "now"), "dev/etcd/2099-01-02T00-00-00Z.db")
	want := []string{"tag " + first.stdout, "tag " + first.stdout + ".sha256", "tag dev/etcd/2099-01-01T00-00-00Z.db",
		"tag dev/etcd/2099-01-01T00-00-00Z.db.sha256"}
	if got := b.order[3:]; !slices.Equal(got, want) {
		t.Errorf("the next run tags %v, want %v", got, want)
	}
	for _, kept := range []string{"dev/etcd/2099-01-02T00-00-00Z.db", "dev/etcd/latest", "dev/etcd/initialised",
		"prod/etcd/2025-01-01T00-00-00Z.db"} {
		if b.tagged[kept] {
			t.Errorf("%s would expire", kept)
		}
	}
}

// testBackupFailures also reads the file that the timer's script sources.
func testBackupFailures(t *testing.T) {
	host := func(t *testing.T) *scriptHost {
		h := newScriptHost(t)
		h.env = map[string]string{
			"BACKUP_SCHEDULE": "*-*-* 00/6:00:00",
			"ETCD_SNAPSHOT": h.file("etcd-snapshot.sh",
				"#!/bin/sh\n[ \"$*\" = mark ] && echo marked >>\"$ROOT/marked\""),
			"NODE":   "master",
			"BUCKET": "bucket",
			"PREFIX": "dev/etcd", "AWS_REGION": "eu-west-1",
			"S3_ENDPOINT": `https://s3.example.com/it's "$(touch $ROOT/ran)" ` + "`id`\n#é",
		}
		h.stub("systemctl", `echo "$*" >>"$ROOT/systemctl"`)
		h.stub("systemd-analyze", "")
		return h
	}
	for _, c := range []struct {
		name  string
		spoil func(h *scriptHost)
		says  string
	}{
		{"not root", func(h *scriptHost) { h.stub("id", "echo 1000") }, "needs root"},
		{"another run", func(h *scriptHost) { h.stub("flock", "exit 1") }, "another run has been changing this"},
		{"bad schedule", func(h *scriptHost) { h.stub("systemd-analyze", "exit 1") }, "is not a systemd calendar expression"},
		{"full disk", func(h *scriptHost) {
			h.stub("install", `echo "install: error writing: No space left on device" >&2; exit 1`)
		}, "No space left on device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := host(t)
			c.spoil(h)
			h.fails(h.run("backup.sh", ""), 1, c.says)
			if h.read("/systemctl") != "" {
				t.Error("it starts the timer nevertheless")
			}
		})
	}
	h := host(t)
	h.env["ETCD_SNAPSHOT"] = h.file("etcd-snapshot.sh", "#!/bin/sh\nexit 1")
	h.fails(h.run("backup.sh", ""), 1, "the bucket cannot be told that this cluster runs")
	h = host(t)
	h.succeeds(h.run("backup.sh", ""), "snapshots at *-*-* 00/6:00:00")
	if h.read("/marked") == "" {
		t.Error("after a destroy that did not end, the bucket is not told that the cluster runs")
	}
	out, err := exec.Command("bash", "-c", `. "$1"; printf %s "$S3_ENDPOINT"`, "bash",
		h.at("/etc/kubernetes/etcd-backup.env")).Output()
	if err != nil || string(out) != h.env["S3_ENDPOINT"] || h.read("/ran") != "" {
		t.Errorf("the script would read %q, %v", out, err)
	}
	if unit := h.read("/etc/systemd/system/etcd-snapshot.service"); !strings.Contains(unit, "\nExecStopPost=") {
		t.Errorf("a killed run reports nothing: %s", unit)
	}
}

// TestTheLeaderTakesTheSnapshot runs the timer on a control plane that leads etcd, and then no longer does.
func TestTheLeaderTakesTheSnapshot(t *testing.T) {
	b := startBucket(t)
	h := snapshotHost(t, b)
	status := func(member, leader string) {
		h.stub("etcdctl", `case $* in
*"endpoint status"*) echo '[{"Endpoint":"https://127.0.0.1","Status":{"header":{"cluster_id":1,"member_id":`+member+
			`,"revision":5,"raft_term":3},"version":"3.6.8","dbSize":9,"leader":`+leader+`,"raftIndex":8}}]' ;;
*) echo snapshot >"${@: -1}" ;;
esac`)
	}
	status("12593026477526642892", "12593026477526642892")
	if o := h.run("etcd-snapshot.sh", "", "timed"); o.code != 0 || !strings.HasPrefix(o.stdout, "dev/etcd/") ||
		h.status() != "0" {
		t.Fatalf("the leader: %+v, metric %s", o, h.status())
	}
	h.succeeds(h.run("etcd-snapshot.sh", "", "forget"), "")
	objects := len(b.objects)
	h.succeeds(h.run("etcd-snapshot.sh", "", "timed"), "")
	if len(b.objects) != objects {
		t.Errorf("a cluster that is destroyed gets a snapshot: %v", b.objects)
	}
	h.succeeds(h.run("etcd-snapshot.sh", "", "mark"), "")
	if o := h.run("etcd-snapshot.sh", "", "timed"); o.code != 0 || !strings.HasPrefix(o.stdout, "dev/etcd/") {
		t.Fatalf("the leader after an unfinished destroy: %+v", o)
	}
	objects = len(b.objects)
	status("12593026477526642892", "7")
	h.succeeds(h.run("etcd-snapshot.sh", "", "timed"), "")
	if len(b.objects) != objects || h.read(metricsFile) != "" {
		t.Errorf("another than the leader wrote %v, and its metrics are %q", b.objects, h.read(metricsFile))
	}
}
