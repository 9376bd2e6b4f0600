// Package kubeapi sends JSON requests to the API of a cluster, as the user of a kubeconfig. It has no types and needs
// no kubectl: the caller supplies paths and content.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Verb is the method of a request and the content type of its body.
type Verb struct{ Method, ContentType string }

// The verbs of the API. Patch is a merge patch, Apply a server-side apply.
var (
	Get    = Verb{Method: http.MethodGet}
	Post   = Verb{http.MethodPost, "application/json"}
	Delete = Verb{http.MethodDelete, "application/json"}
	Patch  = Verb{http.MethodPatch, "application/merge-patch+json"}
	Apply  = Verb{http.MethodPatch, "application/apply-patch+yaml"}
)

// Client sends requests to one API server. It is safe for concurrent use.
type Client struct {
	// Server is the URL in the kubeconfig.
	Server string
	// TLS holds the authority of the cluster and the certificate of the user.
	TLS *tls.Config

	http *http.Client
}

// StatusError is an unsuccessful answer of the API.
type StatusError struct {
	Code int
	// Request is the method and the path.
	Request string
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: %d %s", e.Request, e.Code, e.Message) }

// IsStatus reports whether err is an answer of the API with that status.
func IsStatus(err error, code int) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Code == code
}

// Open reads the first cluster and the first user of a kubeconfig. The kubeconfig must contain all certificates and
// the key.
func Open(kubeconfig []byte) (*Client, error) {
	var file struct {
		Clusters []struct {
			Cluster struct {
				Server string `yaml:"server"`
				CA     string `yaml:"certificate-authority-data"`
				Name   string `yaml:"tls-server-name"`
			} `yaml:"cluster"`
		} `yaml:"clusters"`
		Users []struct {
			User struct {
				Certificate string `yaml:"client-certificate-data"`
				Key         string `yaml:"client-key-data"`
			} `yaml:"user"`
		} `yaml:"users"`
	}
	if err := yaml.Unmarshal(kubeconfig, &file); err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	if len(file.Clusters) == 0 || len(file.Users) == 0 {
		return nil, errors.New("kubeconfig: it names no cluster or no user")
	}
	cluster, user := file.Clusters[0].Cluster, file.Users[0].User
	var pem [3][]byte
	for i, field := range []struct{ name, text string }{
		{"certificate-authority-data", cluster.CA}, {"client-certificate-data", user.Certificate},
		{"client-key-data", user.Key},
	} {
		data, err := base64.StdEncoding.DecodeString(field.text)
		if err != nil {
			return nil, fmt.Errorf("kubeconfig: %s: %w", field.name, err)
		}
		pem[i] = data
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem[0]) {
		return nil, errors.New("kubeconfig: certificate-authority-data holds no certificate")
	}
	pair, err := tls.X509KeyPair(pem[1], pem[2])
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: client certificate: %w", err)
	}
	c := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: cluster.Name,
		MinVersion: tls.VersionTLS12}
	return &Client{
		Server: strings.TrimSuffix(cluster.Server, "/"),
		TLS:    c,
		http: &http.Client{
			Timeout: 30 * time.Second,
			Transport: &http.Transport{
				TLSClientConfig: c, ForceAttemptHTTP2: true, Proxy: proxy, MaxIdleConnsPerHost: 4,
				IdleConnTimeout: 30 * time.Second,
			},
		},
	}, nil
}

// proxy returns the proxy of the environment, but none for addresses that no proxy can reach.
func proxy(r *http.Request) (*url.URL, error) {
	if a, err := netip.ParseAddr(r.URL.Hostname()); err == nil && (a.IsPrivate() || a.IsLoopback()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// Call sends body as JSON unless it is nil, and decodes the answer into into unless that is nil.
func (c *Client) Call(ctx context.Context, verb Verb, path string, body, into any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w", verb.Method, path, err)
		}
	}
	answer, err := c.Raw(ctx, verb, path, data)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: %w", verb.Method, path, err)
	}
	return nil
}

// Raw sends a body unchanged and returns the body of a successful answer.
func (c *Client) Raw(ctx context.Context, verb Verb, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, verb.Method, c.Server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", verb.ContentType)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", verb.Method, path, err)
	}
	if answer.StatusCode/100 != 2 {
		return nil, &StatusError{Code: answer.StatusCode, Request: verb.Method + " " + path, Message: message(text)}
	}
	return text, nil
}

// message returns the reason in an error's body: the message of a Status object, or the text.
func message(body []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &status) == nil && status.Message != "" {
		return status.Message
	}
	text := strings.TrimSpace(string(body))
	if len(text) > 200 {
		text = text[:200] + "..."
	}
	return text
}
