// The stand-in for Grafana and its sidecars, whose programs cannot be built from Go modules. It answers what the
// chart's probes, Prometheus and the steps of the platform ask. It shows nothing: it does not prove dashboards and data
// sources.
//
//	standin server    serves port 3000; the login is that of GF_SECURITY_ADMIN_USER and GF_SECURITY_ADMIN_PASSWORD
//	standin cli ...   sets the password from the first line of standard input, as "grafana cli admin
//	                  reset-admin-password" does
//	standin sidecar   does nothing until it is stopped
package main

import (
	"bufio"
	"cmp"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// passwordFile is on the volume, where Grafana has its database.
const passwordFile = "/var/lib/grafana/password"

func main() {
	command := "server"
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	if err := run(command); err != nil {
		log.Fatal(err)
	}
}

func run(command string) error {
	switch command {
	case "cli":
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && err != io.EOF {
			return err
		}
		return keep(strings.TrimSpace(line))
	case "sidecar":
		stopped := make(chan os.Signal, 1)
		signal.Notify(stopped, syscall.SIGTERM)
		<-stopped
		return nil
	}
	// Grafana reads the password of its environment once, when its database is new.
	if _, err := os.Stat(passwordFile); err != nil {
		if err := keep(os.Getenv("GF_SECURITY_ADMIN_PASSWORD")); err != nil {
			return err
		}
	}
	http.HandleFunc("GET /api/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"database":"ok"}`) })
	http.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "grafana_stand_in 1\n") })
	http.HandleFunc("GET /api/user", user)
	return http.ListenAndServe(":3000", nil)
}

func keep(password string) error {
	next := filepath.Join(filepath.Dir(passwordFile), ".password")
	if err := os.WriteFile(next, []byte(password), 0o600); err != nil {
		return err
	}
	return os.Rename(next, passwordFile)
}

// user tells who has logged in.
func user(w http.ResponseWriter, r *http.Request) {
	admin := cmp.Or(os.Getenv("GF_SECURITY_ADMIN_USER"), "admin")
	password, err := os.ReadFile(passwordFile)
	name, given, _ := r.BasicAuth()
	if err != nil || name != admin || subtle.ConstantTimeCompare([]byte(given), password) != 1 {
		http.Error(w, `{"message":"Invalid username or password"}`, http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, `{"login":%q}`, name)
}
