package kubeapi

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// serve starts an API server and returns a kubeconfig for it. The server's certificate is also the user's.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return fmt.Sprintf(`
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s, tls-server-name: example.com}}]
users: [{name: u, user: {client-certificate-data: %[3]s, client-key-data: %[4]s}}]
`, server.URL+"/", encode("CERTIFICATE", pair.Certificate[0]), encode("CERTIFICATE", pair.Certificate[0]),
		encode("PRIVATE KEY", key))
}

func open(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	c, err := Open([]byte(serve(t, handler)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCallSpeaksJSON(t *testing.T) {
	c := open(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"request": %q}`, strings.Join(
			[]string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), string(body)}, " "))
	})
	for _, tt := range []struct {
		verb Verb
		body any
		want string
	}{
		{Get, nil, "GET /api/v1/nodes  "},
		{Patch, map[string]any{"a": 1}, `PATCH /api/v1/nodes application/merge-patch+json {"a":1}`},
	} {
		var got struct{ Request string }
		if err := c.Call(t.Context(), tt.verb, "/api/v1/nodes", tt.body, &got); err != nil || got.Request != tt.want {
			t.Errorf("the server sees %q (%v), want %q", got.Request, err, tt.want)
		}
	}
}

func TestUnsuccessfulAnswers(t *testing.T) {
	for _, tt := range []struct{ answer, says string }{
		{`{"kind":"Status","message":"nodes \"x\" not found"}`, `GET /x: 404 nodes "x" not found`},
		{"no such page\n", "GET /x: 404 no such page"},
		{strings.Repeat("x", 300), "GET /x: 404 " + strings.Repeat("x", 200) + "..."},
	} {
		c := open(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, tt.answer)
		})
		err := c.Call(t.Context(), Get, "/x", nil, nil)
		if !IsStatus(err, http.StatusNotFound) || IsStatus(err, http.StatusConflict) || err.Error() != tt.says {
			t.Errorf("got %v, want %s", err, tt.says)
		}
	}
	c := open(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if err := c.Call(t.Context(), Get, "/x", nil, &struct{}{}); err == nil || !strings.HasPrefix(err.Error(), "GET /x: ") {
		t.Errorf("an answer that is not JSON: %v", err)
	}
}

func TestBadKubeconfigsAreRefused(t *testing.T) {
	good := serve(t, nil)
	for name, text := range map[string]string{
		"not YAML":      "a: [",
		"empty":         "",
		"no user":       strings.Replace(good, "users:", "people:", 1),
		"no CA":         strings.Replace(good, "certificate-authority-data: ", "certificate-authority: ", 1),
		"broken base64": strings.Replace(good, "client-certificate-data: ", "client-certificate-data: _", 1),
		"no key":        strings.Replace(good, "client-key-data: ", "client-key: ", 1),
	} {
		if _, err := Open([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "kubeconfig: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open([]byte(good)); err != nil {
		t.Errorf("a good one is refused: %v", err)
	}
}

func TestPrivateAddressesNeedNoProxy(t *testing.T) {
	for host, want := range map[string]string{"172.18.0.2:6443": "", "10.0.0.1:6443": "",
		"203.0.113.7:6443": "http://proxy:3128", "api.example.com": "http://proxy:3128"} {
		t.Run(host, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", "http://proxy:3128")
			got, err := proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: host}})
			if err != nil || (got == nil) != (want == "") || got != nil && got.String() != want {
				t.Errorf("proxy is %v (%v), want %q", got, err, want)
			}
		})
	}
}
