package cluster

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// ecr simulates the metadata service of an instance and the API of ECR.
type ecr struct {
	refuse bool
	token  string // the answer of ECR, instead of a valid one
	signed string // the Authorization header of the call
	called string // the X-Amz-Target of the call
}

func (e *ecr) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/latest/api/token" && r.Method == http.MethodPut:
		io.WriteString(w, "imds-token")
	case strings.HasPrefix(r.URL.Path, "/latest/") && r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds-token":
		http.Error(w, "IMDSv1 is off", http.StatusUnauthorized)
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
		io.WriteString(w, "dev-worker")
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/dev-worker":
		io.WriteString(w, "{\n  \"Code\" : \"Success\",\n  \"AccessKeyId\" : \"ASIAKEY\",\n  \"SecretAccessKey\" : "+
			"\"hush/hush+hush\",\n  \"Token\" : \"session==\"\n}")
	case r.URL.Path == "/" && r.Method == http.MethodPost:
		e.signed, e.called = r.Header.Get("Authorization"), r.Header.Get("X-Amz-Target")
		if r.Header.Get("X-Amz-Security-Token") != "session==" || e.refuse {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w,
				`{"__type":"AccessDeniedException","message":"User is not authorized to perform ecr:GetAuthorizationToken"}`)
			return
		}
		login := base64.StdEncoding.EncodeToString([]byte("AWS:eyJwYXlsb2FkIjoi+/=="))
		if e.token != "" {
			login = e.token
		}
		fmt.Fprintf(w,
			`{"authorizationData":[{"authorizationToken":"%s","expiresAt":1.79e9,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"}]}`, login)
	default:
		http.NotFound(w, r)
	}
}

// login runs the credential provider as the kubelet does.
func (e *ecr) login(t *testing.T, image string) (answer, complaint string, err error) {
	t.Helper()
	server := httptest.NewServer(e)
	defer server.Close()
	cmd := exec.Command("bash", "scripts/ecr-credentials.sh")
	cmd.Env = append(cmd.Environ(), "METADATA="+server.URL, "ECR_ENDPOINT="+server.URL)
	cmd.Stdin = strings.NewReader(
		`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"` + image + `"}`)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return string(out), stderr.String(), err
}

func TestKubeletLogsInToECR(t *testing.T) {
	e := &ecr{}
	answer, complaint, err := e.login(t, "123456789012.dkr.ecr.eu-central-1.amazonaws.com/dev/fastapi:1.0")
	if err != nil {
		t.Fatalf("%v: %s", err, complaint)
	}
	var response struct {
		Kind, APIVersion, CacheKeyType, CacheDuration string
		Auth                                          map[string]struct{ Username, Password string }
	}
	if err := json.Unmarshal([]byte(answer), &response); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	if response.Kind != "CredentialProviderResponse" || response.APIVersion != "credentialprovider.kubelet.k8s.io/v1" ||
		response.CacheKeyType != "Registry" {
		t.Errorf("not what the kubelet reads: %s", answer)
	}
	login := response.Auth["123456789012.dkr.ecr.eu-central-1.amazonaws.com"]
	if login.Username != "AWS" || login.Password != "eyJwYXlsb2FkIjoi+/==" {
		t.Errorf("login %+v", response.Auth)
	}
	if !strings.HasPrefix(e.signed, "AWS4-HMAC-SHA256 Credential=ASIAKEY/") ||
		!strings.Contains(e.signed, "/eu-central-1/ecr/aws4_request") ||
		!strings.Contains(e.signed, "x-amz-target") {
		t.Errorf("signature %s", e.signed)
	}
	if e.called != "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" {
		t.Errorf("called %s", e.called)
	}
}

func TestECRFailuresAreNamed(t *testing.T) {
	for _, c := range []struct {
		name, image, want string
		refuse            bool
	}{
		{"no right in the European Sovereign Cloud", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/x",
			"refuses: User is not authorized", true},
		{"another top-level domain", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.org/x", "not an image in ECR", false},
		{"another registry", "docker.io/library/redis:8", "not an image in ECR: docker.io/library/redis:8", false},
		{"a name that only looks like it", "example.com/123456789012.dkr.ecr.eu-central-1.amazonaws.com/x",
			"not an image in ECR", false},
		{"no right", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/x",
			"refuses: User is not authorized to perform ecr:GetAuthorizationToken", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, complaint, err := (&ecr{refuse: c.refuse}).login(t, c.image)
			if err == nil || answer != "" {
				t.Fatalf("answered %q", answer)
			}
			if !strings.Contains(complaint, c.want) || strings.Contains(complaint, "hush") {
				t.Errorf("said %q, want %q and no secret", complaint, c.want)
			}
		})
	}
}

func testECRFailures(t *testing.T) {
	const image = `{"image":"123456789012.dkr.ecr.eu-central-1.amazonaws.com/x"}`
	for _, c := range []struct {
		says, request string
		e             ecr
		metadata      string
	}{
		{"not an image in ECR: nothing", `{}`, ecr{}, ""},
		{"the metadata service gives no credentials: has this machine an instance profile?", image, ecr{},
			"http://127.0.0.1:1"},
		{"ECR in eu-central-1 refuses: User is not authorized", image, ecr{refuse: true}, ""},
		{"ECR in eu-central-1 gives no login", image, ecr{token: "===="}, ""},
		{"gives a login of an unknown kind", image,
			ecr{token: base64.StdEncoding.EncodeToString([]byte("AWS:\"}'"))}, ""},
	} {
		t.Run(c.says, func(t *testing.T) {
			h := newScriptHost(t)
			h.stub("sleep", "")
			server := httptest.NewServer(&c.e)
			defer server.Close()
			h.env = map[string]string{"METADATA": server.URL, "ECR_ENDPOINT": server.URL}
			if c.metadata != "" {
				h.env["METADATA"] = c.metadata
			}
			o := h.run("ecr-credentials.sh", c.request)
			h.fails(o, 1, c.says)
			if o.stdout != "" || strings.Contains(o.stderr, "hush") {
				t.Errorf("answers %q, says %q", o.stdout, o.stderr)
			}
		})
	}
}
