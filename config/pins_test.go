package config

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestPinsAreComplete(t *testing.T) {
	for name, fits := range map[string]bool{
		"KubernetesAptKey": regexp.MustCompile(`^[0-9A-F]{40}$`).MatchString(KubernetesAptKey),
		"ContainerdAptKey": regexp.MustCompile(`^[0-9A-F]{40}$`).MatchString(ContainerdAptKey),
		"EtcdToolsSHA256":  regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(EtcdToolsSHA256),
	} {
		if !fits {
			t.Errorf("%s is not a pin", name)
		}
	}
}

// TestPinsScript runs config/pins.sh with a copy of the table, sources from the test and a key that gpg generated.
func TestPinsScript(t *testing.T) {
	dir := t.TempDir()
	gpg := func(args ...string) string {
		cmd := exec.Command("gpg", append([]string{"--homedir", dir, "--batch", "--pinentry-mode", "loopback", "--passphrase",
			""}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %v: %v", args, err)
		}
		return string(out)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	gpg("--quick-generate-key", "pins@example.com", "ed25519", "sign", "never")
	fingerprint := regexp.MustCompile(`fpr:+([0-9A-F]{40}):`).FindStringSubmatch(gpg("--with-colons", "--fingerprint"))[1]
	key := gpg("--armor", "--export")
	archive := "the archive"
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(archive)))
	listed := sum
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".tar.gz"):
			fmt.Fprint(w, archive)
		case strings.HasSuffix(r.URL.Path, "/SHA256SUMS"):
			fmt.Fprintf(w, "%s  etcd-v%s-linux-amd64.tar.gz\n", listed, EtcdToolsVersion)
		default:
			fmt.Fprint(w, key)
		}
	}))
	defer server.Close()
	original, err := os.ReadFile("releases.go")
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(dir, "releases.go")
	run := func(content string) (string, int) {
		if err := os.WriteFile(table, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "pins.sh", table)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "KUBERNETES_APT=" + server.URL, "CONTAINERD_APT=" + server.URL,
			"ETCD_RELEASES=" + server.URL}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}

	if out, code := run(string(original)); code != 1 || strings.Count(out, "and "+server.URL) != 4 ||
		!strings.Contains(out, fingerprint) {
		t.Errorf("another key: exit code %d\n%s", code, out)
	}
	ours := strings.NewReplacer(KubernetesAptKey, fingerprint, ContainerdAptKey, fingerprint).Replace(string(original))
	if out, code := run(ours); code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	changed, err := os.ReadFile(table)
	if err != nil || string(changed) != strings.Replace(ours, EtcdToolsSHA256, sum, 1) {
		t.Errorf("the table has become, %v\n%s", err, changed)
	}
	listed = strings.Repeat("0", 64)
	if out, code := run(ours); code != 1 || !strings.Contains(out, "does not match") {
		t.Errorf("another archive: exit code %d\n%s", code, out)
	}
	server.Close()
	if out, code := run(ours); code != 1 || !strings.Contains(out, "cannot be fetched") {
		t.Errorf("no network: exit code %d\n%s", code, out)
	}
}
