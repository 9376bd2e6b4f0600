package workspace

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The real CLI keeps a stack in a bucket. The driver writes its state compressed, in place of the plain one that
// pulumi stack init wrote, and a CLI without the variable still reads it.
func TestTheStateInABucketIsCompressed(t *testing.T) {
	b := newBucketStack(t)
	states := regexp.MustCompile(`<Key>(\.pulumi/stacks/[^<]*)</Key>`)
	stored := func() string {
		t.Helper()
		var keys []string
		for _, m := range states.FindAllStringSubmatch(send(t, http.MethodGet, b.bucket), -1) {
			if !strings.HasSuffix(m[1], ".bak") && !strings.HasSuffix(m[1], ".pulumi-tags") {
				keys = append(keys, m[1])
			}
		}
		return strings.Join(keys, " ")
	}
	if got, want := stored(), ".pulumi/stacks/kubeadm-aws/dev.json"; got != want {
		t.Fatalf("after init the bucket holds %q, want %q", got, want)
	}

	w, err := b.open(false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	deployment, err := w.Engine.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Engine.Import(t.Context(), deployment); err != nil {
		t.Fatal(err)
	}
	if got, want := stored(), ".pulumi/stacks/kubeadm-aws/dev.json.zst"; got != want {
		t.Errorf("after a write of the driver the bucket holds %q, want %q", got, want)
	}
	if os.Getenv("PULUMI_DIY_BACKEND_ZSTD") != "" {
		t.Error("the driver changed its own environment")
	}
	if out := b.pulumi("stack", "export", "--stack", "dev"); !strings.Contains(out, `"deployment"`) {
		t.Errorf("a CLI without the variable reads %q", out)
	}
}

func send(t *testing.T, method, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v: %s", method, url, answer.Status, err, body)
	}
	return string(body)
}
