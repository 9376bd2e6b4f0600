package cluster

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/cluster/stepline"
)

func TestQuoteIsOneWordForEveryShell(t *testing.T) {
	texts := []string{"", "'", "''", "a b", "$(reboot)", "`reboot`", "\\", "\\'", "a\nb\n", "\"", "!x", "*", "~", "-n",
		"é€", "\t", "#", "&;|<>"}
	alphabet := []rune("ab '\"\\$`(){}[]*?!~#&;|<>\n\t=%-é")
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteRune(alphabet[random.IntN(len(alphabet))])
		}
		texts = append(texts, b.String())
	}
	// The command passes through the host's login shell and through sudo. The test uses dash and bash as login
	// shells.
	for _, shell := range []string{"sh", "bash"} {
		var script strings.Builder
		for _, text := range texts {
			script.WriteString("printf '%s\\0' " + stepline.Quote(text) + "\n")
		}
		out, err := exec.Command(shell, "-c", script.String()).Output()
		if err != nil {
			t.Fatalf("%s: %v", shell, err)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if len(got) != len(texts) {
			t.Fatalf("%s saw %d words, want %d", shell, len(got), len(texts))
		}
		for i := range texts {
			if got[i] != texts[i] {
				t.Errorf("%s: %q became %q", shell, texts[i], got[i])
			}
		}
	}
}

func TestPack(t *testing.T) {
	files := map[string]string{"pki/ca.key": "KEY\n", "pki/etcd/ca.crt": "CERT", "a": ""}
	first, err := stepline.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, err := stepline.Pack(files); err != nil || again != first {
			t.Fatalf("packing the same files twice gives two texts (%v), so every `up` would run the step again", err)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	uncompressed, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(uncompressed); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o600 {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(body)
	}
	if len(got) != len(files) {
		t.Errorf("got %d files", len(got))
	}
	for name, want := range files {
		if got[name] != want {
			t.Errorf("%s holds %q, want %q", name, got[name], want)
		}
	}
}

func TestHostToolsUnpackTheBundle(t *testing.T) {
	text, err := stepline.Pack(map[string]string{"pki/etcd/ca.key": "KEY\n"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "base64 -d | tar -xz --no-same-owner -C "+stepline.Quote(dir))
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	body, err := os.ReadFile(filepath.Join(dir, "pki/etcd/ca.key"))
	if err != nil || string(body) != "KEY\n" {
		t.Errorf("%q, %v", body, err)
	}
}
