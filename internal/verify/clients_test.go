package verify

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runClient runs a client's script here. Programs of the test precede those of the system on PATH.
func runClient(t *testing.T, shell, script string, programs map[string]string, env ...string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(shell, "-c", script)
	cmd.Env = append(env, "PATH="+bin+":"+os.Getenv("PATH"))
	output, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// management is the management API of a RabbitMQ that keeps one queue.
type management struct {
	password string
	routes   bool
	queue    map[string]any
	message  string
}

func (m *management) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	_, password, _ := r.BasicAuth()
	switch path := r.URL.EscapedPath(); {
	case password != m.password:
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"not_authorized","reason":"Login failed"}`)
	case r.Method == http.MethodPut && strings.HasPrefix(path, "/api/queues/%2F/"):
		m.queue = body
		w.WriteHeader(http.StatusCreated)
	case path == "/api/exchanges/%2F/amq.default/publish":
		m.message, _ = body["payload"].(string)
		fmt.Fprintf(w, `{"routed":%t}`, m.routes)
	case strings.HasSuffix(path, "/get"):
		fmt.Fprintf(w, `[{"payload":%q}]`, m.message)
	case r.Method == http.MethodDelete:
		m.queue = nil
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestRabbitMQClient(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server management
		says   string
		ok     bool
	}{
		{"a server that works", management{password: "it's \"secret\"", routes: true}, "a message was sent and received",
			true},
		{"another password", management{password: "other"}, `401 {"error":"not_authorized","reason":"Login failed"}`, false},
		{"no route", management{password: "it's \"secret\""}, `publish: 200 {"routed":false}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(&tt.server)
			defer server.Close()
			host, port, err := net.SplitHostPort(server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			said, err := runClient(t, "bash", rabbitMQClient, nil, "HOST="+host, "PORT="+port, "USERNAME=platform",
				`PASSWORD=it's "secret"`)
			if (err == nil) != tt.ok || !strings.Contains(said, tt.says) {
				t.Errorf("it says %q (%v), want %q", said, err, tt.says)
			}
			if tt.ok && tt.server.queue != nil {
				t.Errorf("the queue stays: %v", tt.server.queue)
			}
		})
	}
}

func TestRedisClient(t *testing.T) {
	const works = `case $3 in set) echo OK; echo "$5" >"$0.value";; get) cat "$0.value";; esac`
	for _, tt := range []struct {
		name, cli, says string
		ok              bool
	}{
		{"a server that works", works, "a value was written and read", true},
		{"another password", "echo 'NOAUTH Authentication required.'", "set: NOAUTH", false},
		{"no server", "echo 'Could not connect to Valkey' >&2; exit 1", "set: Could not connect", false},
		{"a value of others", `if [ $3 = set ]; then echo OK; else echo 7; fi`, "get: 7", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said, err := runClient(t, "sh", redisClient, map[string]string{"valkey-cli": tt.cli}, "HOST=valkey")
			if (err == nil) != tt.ok || !strings.Contains(said, tt.says) {
				t.Errorf("it says %q (%v), want %q", said, err, tt.says)
			}
		})
	}
}

func TestPostgreSQLClient(t *testing.T) {
	for _, tt := range []struct {
		name, cli, says string
		ok              bool
	}{
		{"a server that works", "echo 1", "a row was written and read", true},
		{"another password", "echo 'FATAL: password authentication failed' >&2; exit 2", "FATAL", false},
		{"no row", "exit 0", "is read as", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said, err := runClient(t, "sh", postgreSQLClient, map[string]string{"psql": tt.cli})
			if (err == nil) != tt.ok || !strings.Contains(said, tt.says) || tt.ok && strings.TrimSpace(said) != tt.says {
				t.Errorf("it says %q (%v), want %q", said, err, tt.says)
			}
		})
	}
}
