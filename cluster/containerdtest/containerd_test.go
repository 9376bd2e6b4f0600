// Package containerdtest checks the files that package cluster renders for containerd with containerd's own code.
package containerdtest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	srvconfig "github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	dockerconfig "github.com/containerd/containerd/v2/core/remotes/docker/config"
	_ "github.com/containerd/containerd/v2/plugins/cri/images"
	_ "github.com/containerd/containerd/v2/plugins/cri/runtime"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/pelletier/go-toml/v2"
)

const (
	testdata = "../testdata/containerd"
	// certsDir is the directory of the files on a host. harbor is the mirror of docker.io in the golden files.
	certsDir = "/etc/containerd/certs.d"
	harbor   = "https://harbor.example.com"
	login    = "robot$nodes:a\"b'$(c)"
)

// hosts returns the servers that containerd asks for the images of a registry, in order.
func hosts(t *testing.T, dir, name string) []docker.RegistryHost {
	t.Helper()
	found, err := dockerconfig.ConfigureHosts(context.Background(), dockerconfig.HostOptions{
		HostDir: dockerconfig.HostDirFromRoot(dir),
	})(name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// moved copies the golden files to a folder and replaces texts in them.
func moved(t *testing.T, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	replacer := strings.NewReplacer(append(replace, certsDir, dir)...)
	files, err := filepath.Glob(filepath.Join(testdata, "certs.d", "*", "*"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		into := filepath.Join(dir, filepath.Base(filepath.Dir(file)), filepath.Base(file))
		if err := os.MkdirAll(filepath.Dir(into), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(into, []byte(replacer.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// An image that a mirror does not have comes from the registry itself, at its real address.
func TestMirrorsComeFirstAndRegistriesAfterThem(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	dir := moved(t, authorityOf(server)...)
	for name, want := range map[string][]string{
		"docker.io":       {"https://harbor.example.com/v2/hub", "https://registry-1.docker.io/v2"},
		"quay.io":         {"https://nexus.example.com/repository/quay/v2", "https://quay.io/v2"},
		"registry.k8s.io": {"https://mirror.example.com/v2", "https://registry.k8s.io/v2"},
		"ghcr.io":         {"https://ghcr.io/v2"},
	} {
		var got []string
		for _, h := range hosts(t, dir, name) {
			got = append(got, h.Scheme+"://"+h.Host+h.Path)
			if !h.Capabilities.Has(docker.HostCapabilityPull | docker.HostCapabilityResolve) {
				t.Errorf("%s is not asked for images", h.Host)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is looked for at %v, want %v", name, got, want)
		}
	}
}

// authorityOf replaces the placeholder in the golden ca.crt by the certificate of a server.
func authorityOf(server *httptest.Server) []string {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return []string{"-----BEGIN CERTIFICATE-----\nAUTHORITY\n-----END CERTIFICATE-----\n", string(text)}
}

// mirror is a registry with one image below /v2/hub that requires a login: basic authentication like Nexus and
// Artifactory, or tokens like Harbor.
func mirror(t *testing.T, tokens bool) *httptest.Server {
	manifest := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(login))
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := basic
		if tokens {
			want = "Bearer good"
		}
		switch {
		case tokens && r.URL.Path == "/token":
			if r.Header.Get("Authorization") != basic {
				http.Error(w, "no login", http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"token": "good"})
		case r.Header.Get("Authorization") != want:
			challenge := `Basic realm="mirror"`
			if tokens {
				challenge = fmt.Sprintf(`Bearer realm="%s/token",service="mirror",scope="repository:hub/library/redis:pull"`,
					server.URL)
			}
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/hub/library/redis/manifests/7" && r.URL.Query().Get("ns") == "docker.io":
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", sha256.Sum256(manifest)))
			_, _ = w.Write(manifest)
		default:
			t.Errorf("containerd asks for %s", r.URL)
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// A whole pull through a mirror with a path, a private authority and a login.
func TestAPullThroughAMirrorWithALogin(t *testing.T) {
	for name, tokens := range map[string]bool{"basic": false, "tokens": true} {
		t.Run(name, func(t *testing.T) {
			server := mirror(t, tokens)
			dir := moved(t, append(authorityOf(server), harbor, server.URL)...)
			resolver := docker.NewResolver(docker.ResolverOptions{Hosts: func(host string) ([]docker.RegistryHost, error) {
				return hosts(t, dir, host)[:1], nil
			}})
			if _, _, err := resolver.Resolve(context.Background(), "docker.io/library/redis:7"); err != nil {
				t.Error(err)
			}
		})
	}
}

// containerd loads the file, and its plugins define every key in it.
func TestConfiguration(t *testing.T) {
	for _, file := range []string{"config.toml", "config-extended"} {
		var loaded srvconfig.Config
		loaded.Version = 3
		if err := srvconfig.LoadConfig(context.Background(), filepath.Join(testdata, file), &loaded); err != nil {
			t.Fatal(err)
		}
		values := map[string]string{}
		for id, table := range loaded.Plugins {
			values[id] = decoded(t, id, table)
		}
		for id, want := range map[string][]string{
			"io.containerd.cri.v1.images":  {"config_path = '" + certsDir + "'", "sandbox = 'registry.k8s.io/pause:3.10.2'"},
			"io.containerd.cri.v1.runtime": {"SystemdCgroup = true", "runtime_type = 'io.containerd.runc.v2'"},
		} {
			for _, line := range want {
				if !strings.Contains(values[id], line) {
					t.Errorf("%s: %s has no %s", file, id, line)
				}
			}
		}
	}
}

// decoded returns a plugin's table as the plugin's own type reads it, encoded as TOML again.
func decoded(t *testing.T, id string, table any) string {
	t.Helper()
	for _, r := range registry.Graph(func(*plugin.Registration) bool { return false }) {
		if r.URI() != id {
			continue
		}
		text, err := toml.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		if err := toml.NewDecoder(strings.NewReader(string(text))).DisallowUnknownFields().Decode(r.Config); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		read, err := toml.Marshal(r.Config)
		if err != nil {
			t.Fatal(err)
		}
		return string(read)
	}
	t.Errorf("containerd has no plugin %s", id)
	return ""
}
