//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// s3Port is where the backend looks for an object store before it starts its own.
const s3Port = "8098"

// startS3 runs an S3 that this project did not write (moto) where the hosts look for one. It accepts every signature;
// the store of the hosts, which the other tests use, checks them.
//
// On AWS the bucket exists before any host starts. The model of AWS makes it there and not in moto, so a proxy makes
// each bucket in moto when a host first asks for it.
func startS3(t *testing.T) {
	t.Helper()
	emulator := startMoto(t)
	made := sync.Map{}
	proxy := httputil.NewSingleHostReverseProxy(emulator)
	listener, err := net.Listen("tcp", "0.0.0.0:"+s3Port)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			once, _ := made.LoadOrStore(name, sync.OnceValue(
				func() error { return makeBucket(emulator.JoinPath(name).String()) }))
			if err := once.(func() error)(); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			proxy.ServeHTTP(w, r)
		})}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	t.Cleanup(func() { server.Close() })
}

func makeBucket(url string) error {
	const region = `<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>`
	r, err := http.NewRequest(http.MethodPut, url, strings.NewReader(region))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("make the bucket %s: %s", url, answer.Status)
	}
	return nil
}

// startMoto returns the address of an emulator that ends with the test.
func startMoto(t *testing.T) *url.URL {
	t.Helper()
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr().String()
	reserved.Close()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.CreateTemp(t.TempDir(), "moto")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// The shell ends the server when its input closes, which it does however this process ends.
	server := exec.Command("sh", "-c", `"$0" --host 127.0.0.1 --port "$1" & cat >/dev/null; kill $!`,
		os.Getenv("MOTO_SERVER"), port)
	server.Stdout, server.Stderr = log, log
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = server.Wait()
	})
	eventually(t, time.Minute, "the S3 server listens", func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%w: %s", err, said)
		}
		return conn.Close()
	})
	return &url.URL{Scheme: "http", Host: address}
}

// bucket is one bucket of that server.
type bucket struct{ url string }

func (s *stack) bucket(t *testing.T) bucket {
	t.Helper()
	return bucket{url: "http://127.0.0.1:" + s3Port + "/" + s.output(t, "backupBucket")}
}

func (b bucket) get(t *testing.T, key string) []byte {
	t.Helper()
	return b.call(t, http.MethodGet, "/"+key, nil)
}

func (b bucket) put(t *testing.T, key string, data []byte) {
	t.Helper()
	b.call(t, http.MethodPut, "/"+key, data)
}

// keys lists the bucket.
func (b bucket) keys(t *testing.T) []string {
	t.Helper()
	var list struct {
		Contents []struct{ Key string }
	}
	if err := xml.Unmarshal(b.call(t, http.MethodGet, "?list-type=2", nil), &list); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, object := range list.Contents {
		keys = append(keys, object.Key)
	}
	return keys
}

func (b bucket) call(t *testing.T, method, path string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	who := aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}
	if err := v4.NewSigner().SignHTTP(t.Context(), who, r, hex.EncodeToString(sum[:]), "s3", "eu-central-1",
		time.Now()); err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s, %v: %s", method, r.URL, answer.Status, err, strings.TrimSpace(string(data)))
	}
	return data
}
