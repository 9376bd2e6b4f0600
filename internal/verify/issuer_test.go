package verify

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const documentPath, keysPath = "/.well-known/openid-configuration", "/openid/v1/jwks"

// publish serves the discovery documents of the API server, as the bucket does.
func (f *fakeAPI) publish(t *testing.T) {
	bucket := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := f.published[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = w.Write([]byte(text))
	}))
	bucket.TLS = &tls.Config{Certificates: []tls.Certificate{f.cert}}
	bucket.StartTLS()
	t.Cleanup(bucket.Close)
	f.published = map[string]string{keysPath: `{"keys":[{"kid":"own"}]}`,
		documentPath: `{"issuer":"` + bucket.URL + `","jwks_uri":"` + bucket.URL + keysPath + `"}`}
	f.objects[documentPath] = map[string]any{"issuer": bucket.URL, "jwks_uri": bucket.URL + keysPath}
	f.objects[keysPath] = map[string]any{"keys": []any{map[string]any{"kid": "own"}}}
}

// TestTheIssuerIsCompared compares published documents with those of the API server.
func TestTheIssuerIsCompared(t *testing.T) {
	for _, c := range []struct {
		name, says string
		change     func(documents map[string]string)
	}{
		{"private", "answers 403", func(d map[string]string) { delete(d, documentPath) }},
		{"key set is private", "answers 403", func(d map[string]string) { delete(d, keysPath) }},
		{"key of another cluster", "the published keys are [other]", func(d map[string]string) {
			d[keysPath] = `{"keys":[{"kid":"other"}]}`
		}},
		{"document of another cluster", "is of https://other", func(d map[string]string) {
			d[documentPath] = `{"issuer":"https://other","jwks_uri":"https://other/openid/v1/jwks"}`
		}},
		{"a page", "is not JSON", func(d map[string]string) { d[documentPath] = "<html>" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy(t)
			c.change(f.published)
			if r := f.check(t, Options{})["issuer"]; r.Status != Failed || !strings.Contains(r.Message, c.says) {
				t.Errorf("%s: %s, want a failure: %s", r.Status, r.Message, c.says)
			}
		})
	}
}
