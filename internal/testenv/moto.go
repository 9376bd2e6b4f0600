package testenv

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// StartMoto starts an empty AWS account (moto server, an emulator of the AWS API), which ends with the test. It
// returns the URL of its endpoint and sets the variables that make every AWS SDK use it.
func StartMoto(t testing.TB) string {
	t.Helper()
	server, err := exec.LookPath("moto_server")
	if err != nil {
		missing(t, "moto_server is not on PATH; make test installs it with tools/moto.sh")
	}
	port := fmt.Sprint(FreePort(t))
	Start(t, server, "--host", "127.0.0.1", "--port", port)
	endpoint := "http://127.0.0.1:" + port
	deadline := time.Now().Add(time.Minute)
	for {
		if answer, err := http.Get(endpoint + "/moto-api/"); err == nil {
			_ = answer.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto does not answer on %s", endpoint)
		}
		time.Sleep(50 * time.Millisecond)
	}
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test",
		"AWS_SESSION_TOKEN":     "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	return endpoint
}
