package cluster

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

// serviceAccountKey is a key pair as the stack's TLS provider writes it.
func serviceAccountKey(t *testing.T) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(crypto.PublicKey(&key.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// publishedBy serves the discovery documents of a key, as the bucket does.
func publishedBy(t *testing.T, public string) *httptest.Server {
	t.Helper()
	keys, err := keySet(public)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	discovery, err := discoveryDocument(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for path, document := range map[string]string{config.DiscoveryPath: discovery, config.KeySetPath: keys} {
		mux.HandleFunc("/"+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(document))
		})
	}
	return server
}

// withIssuer returns the facts of a control plane that signs tokens as an issuer.
func withIssuer() controlPlaneFacts {
	facts := controlPlane()
	facts.issuer = "https://oidc.example.com"
	return facts
}

// apiServerFlags returns the service-account flags in the configuration for kubeadm.
func apiServerFlags(t *testing.T, issuer string) []string {
	t.Helper()
	facts := controlPlane()
	facts.issuer = issuer
	text, err := initConfig(settings(), config.DefaultRelease(), facts)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, flag := range readAPIServerFlags(text) {
		if strings.HasPrefix(flag.Name, "service-account-") || flag.Name == "api-audiences" {
			found = append(found, "--"+flag.Name+"="+flag.Value)
		}
	}
	return found
}

// withKey adds the flags by which kubeadm hands the key to the API server.
func withKey(t *testing.T, private string, flags ...string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sa.key")
	if err := os.WriteFile(path, []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(flags, "--service-account-key-file="+path, "--service-account-signing-key-file="+path)
}

// token requests a token for the service account default/app as the kubelet does for a projected volume.
func (c *control) token(audience string) string {
	args := []string{"create", "token", "app"}
	if audience != "" {
		args = append(args, "--audience", audience)
	}
	return strings.TrimSpace(c.run("", args...))
}

// accepted asks the API server about a token for itself.
func (c *control) accepted(token string) bool {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
		"spec": map[string]any{"token": token}})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.run(string(body), "create", "-f", "-", "-o", "jsonpath={.status.authenticated}") == "true"
}

func openControl(t *testing.T, flags ...string) (c *control, etcd string) {
	t.Helper()
	api := testenv.StartAPI(t, flags...)
	return &control{t: t, kubectl: testenv.NeedKubernetes(t, "kubectl"), kubeconfig: api.Kubeconfig}, api.Etcd
}

// TestTokensOfTheIssuer starts a real API server with the key and the flags of the program. A real OpenID Connect
// library reads the published documents by HTTP and checks its tokens.
func TestTokensOfTheIssuer(t *testing.T) {
	private, public := serviceAccountKey(t)
	published := publishedBy(t, public)
	c, _ := openControl(t, withKey(t, private, apiServerFlags(t, published.URL)...)...)
	c.run("", "create", "serviceaccount", "app")

	ctx := oidc.ClientContext(context.Background(), published.Client())
	provider, err := oidc.NewProvider(ctx, published.URL)
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: "sts.amazonaws.com"})
	checked, err := verifier.Verify(ctx, c.token("sts.amazonaws.com"))
	if err != nil {
		t.Fatal(err)
	}
	if checked.Subject != "system:serviceaccount:default:app" || checked.Issuer != published.URL {
		t.Errorf("the token is of %s by %s", checked.Subject, checked.Issuer)
	}
	if _, err := verifier.Verify(ctx, c.token("another.example.com")); err == nil ||
		!strings.Contains(err.Error(), "audience") {
		t.Errorf("a token for another audience: %v", err)
	}
	if c.accepted(c.token("sts.amazonaws.com")) {
		t.Error("the API accepts a token for AWS")
	}
	if !c.accepted(c.token("")) {
		t.Error("the API refuses a token for itself")
	}

	t.Run("the API server shows the same documents", func(t *testing.T) {
		for path, ours := range map[string]func(string) (string, error){
			"/" + config.DiscoveryPath: func(string) (string, error) { return discoveryDocument(published.URL) },
			"/" + config.KeySetPath:    func(string) (string, error) { return keySet(public) },
		} {
			text, err := ours("")
			if err != nil {
				t.Fatal(err)
			}
			var mine, theirs map[string]any
			shown := c.run("", "get", "--raw", path)
			if json.Unmarshal([]byte(text), &mine) != nil || json.Unmarshal([]byte(shown), &theirs) != nil {
				t.Fatal("a document is not JSON")
			}
			delete(mine, "claims_supported") // IAM wants it
			if !reflect.DeepEqual(mine, theirs) {
				t.Errorf("%s: published %v, the API server has %v", path, mine, theirs)
			}
		}
	})
}

// TestTokensFromBeforeTheIssuer starts an API server with kubeadm's issuer, and a second on its etcd with ours. Tokens
// of running pods stay accepted, and new ones have the same audience.
func TestTokensFromBeforeTheIssuer(t *testing.T) {
	private, public := serviceAccountKey(t)
	kubeadms := settings().ClusterIssuer()
	before, etcd := openControl(t, withKey(t, private, "--service-account-issuer="+kubeadms)...)
	before.run("", "create", "serviceaccount", "app")
	old := before.token("")

	issuer := publishedBy(t, public).URL
	after, _ := openControl(t, withKey(t, private, append(apiServerFlags(t, issuer), "--etcd-servers="+etcd)...)...)
	if !after.accepted(old) {
		t.Error("a token of kubeadm's issuer is refused")
	}
	now := after.token("")
	if got, want := claim(t, now, "aud"), claim(t, old, "aud"); !reflect.DeepEqual(got, want) {
		t.Errorf("the audience of a token for the API was %v, and is %v", want, got)
	}
	if got := claim(t, now, "iss"); got != issuer {
		t.Errorf("%v signs", got)
	}
}

func claim(t *testing.T, token, name string) any {
	t.Helper()
	claims := map[string]any{}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %q", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims[name]
}

func TestNoIssuerWritesNoFlag(t *testing.T) {
	if got := apiServerFlags(t, ""); !slices.Equal(got, []string{"--service-account-extend-token-expiration=false"}) {
		t.Errorf("flags %v", got)
	}
	if got := readIssuer("a: [\n"); got != "" {
		t.Errorf("read %q", got)
	}
}

func TestTheIssuerIsReadBack(t *testing.T) {
	for _, issuer := range []string{"", "https://dev-identity-0a1b2c3.s3.eu-central-1.amazonaws.com"} {
		facts := controlPlane()
		facts.issuer = issuer
		text, err := initConfig(settings(), config.DefaultRelease(), facts)
		if err != nil {
			t.Fatal(err)
		}
		if got := readIssuer(text); got != issuer {
			t.Errorf("read %q, want %q", got, issuer)
		}
	}
}

func TestAKeyThatIsNotRSAHasNoKeySet(t *testing.T) {
	for _, text := range []string{"", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if set, err := keySet(text); err == nil {
			t.Errorf("%q has the key set %s", text, set)
		}
	}
}
