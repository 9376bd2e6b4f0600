package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// The tests use moto server, an emulator of AWS from another project. One process serves all tests of the package.
// Each test begins by resetting it.
var (
	motoOnce  sync.Once
	motoURL   string
	motoError error
	motoStop  = func() {}
)

func TestMain(m *testing.M) {
	code := m.Run()
	motoStop()
	os.Exit(code)
}

// moto returns the URL of an empty account and points the SDK's configuration to it.
func moto(t *testing.T) string {
	t.Helper()
	motoOnce.Do(func() { motoURL, motoError = startMoto() })
	if motoError != nil {
		t.Fatal(motoError)
	}
	resp, err := http.Post(motoURL+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatalf("reset moto: %v", err)
	}
	resp.Body.Close()
	pointTo(t, motoURL)
	return motoURL
}

// pointTo makes the SDK use an endpoint with invalid credentials, whatever the environment of the test contains.
func pointTo(t *testing.T, url string) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL":            url,
		"AWS_ACCESS_KEY_ID":           "test",
		"AWS_SECRET_ACCESS_KEY":       "test",
		"AWS_SESSION_TOKEN":           "",
		"AWS_PROFILE":                 "",
		"AWS_CONFIG_FILE":             none,
		"AWS_SHARED_CREDENTIALS_FILE": none,
		"AWS_EC2_METADATA_DISABLED":   "true",
	} {
		t.Setenv(key, value)
	}
}

func startMoto() (string, error) {
	server, err := filepath.Abs("../.bin/moto/bin/moto_server")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(server); err != nil {
		if server, err = exec.LookPath("moto_server"); err != nil {
			return "",
				fmt.Errorf("these tests need moto server, an AWS API emulator: install it with tools/moto.sh, or put " +
					"moto_server on PATH")
		}
	}
	// The shell ends the server when its input closes. That happens however this process ends.
	cmd := exec.Command("sh", "-c", `"$0" --port 0 & cat >/dev/null; kill $!`, server)
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	reader, writer, err := os.Pipe()
	if err != nil {
		return "", err
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start %s: %w", server, err)
	}
	writer.Close()
	motoStop = func() {
		stdin.Close()
		_ = cmd.Wait()
	}
	// Port 0 lets the system choose; the server says which one once it listens.
	listening := regexp.MustCompile(`Running on (http://\S+)`)
	lines := bufio.NewScanner(reader)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, reader) }()
			return m[1], nil
		}
	}
	return "", fmt.Errorf("%s ended before it listened:\n%s", server, strings.Join(said, "\n"))
}

// output is the output and the exit code of one run of the program.
type output struct {
	code           int
	stdout, stderr string
}

func sweepIt(t *testing.T, args ...string) output {
	t.Helper()
	return runWith(t, "", args...)
}

func runWith(t *testing.T, stdin string, args ...string) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), append([]string{"--region", region}, args...), strings.NewReader(stdin), &stdout,
		&stderr)
	return output{code, stdout.String(), stderr.String()}
}
