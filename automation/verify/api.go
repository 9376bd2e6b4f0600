package verify

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
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// API is a client of one Kubernetes API server.
type API struct {
	// Server is its URL, as the kubeconfig has it.
	Server string

	http *http.Client
	tls  *tls.Config
}

// StatusError is an answer of the API that is not a success.
type StatusError struct {
	Code    int
	Request string
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: %d %s", e.Request, e.Code, e.Message) }

// notFound reports whether the API said that a thing, or its kind, does not exist.
func notFound(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Code == http.StatusNotFound
}

// Open reads the first cluster and the first user of a kubeconfig that holds a client certificate.
func Open(kubeconfig []byte) (*API, error) {
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
	ca, err := base64.StdEncoding.DecodeString(cluster.CA)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: certificate-authority-data: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("kubeconfig: certificate-authority-data holds no certificate")
	}
	certificate, err := base64.StdEncoding.DecodeString(user.Certificate)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: client-certificate-data: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(user.Key)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: client-key-data: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: client certificate: %w", err)
	}
	c := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: cluster.Name, MinVersion: tls.VersionTLS12}
	return &API{
		Server: strings.TrimSuffix(cluster.Server, "/"),
		tls:    c,
		http: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, Proxy: http.ProxyFromEnvironment},
		},
	}, nil
}

// get reads an object or a list.
func (a *API) get(ctx context.Context, path string, into any) error {
	text, err := a.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// create makes an object; one that is there already is no error.
func (a *API) create(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = a.do(ctx, http.MethodPost, path, body)
	var s *StatusError
	if errors.As(err, &s) && s.Code == http.StatusConflict {
		return nil
	}
	return err
}

// patch merges a piece of JSON into an object.
func (a *API) patch(ctx context.Context, path string, merge []byte) error {
	_, err := a.do(ctx, http.MethodPatch, path, merge)
	return err
}

// remove deletes an object; one that is gone is no error.
func (a *API) remove(ctx context.Context, path string) error {
	_, err := a.do(ctx, http.MethodDelete, path, nil)
	if notFound(err) {
		return nil
	}
	return err
}

// do makes a request and returns the body of a successful answer.
func (a *API) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.Server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := a.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if answer.StatusCode >= 300 {
		return nil, &StatusError{Code: answer.StatusCode, Request: method + " " + path, Message: message(text)}
	}
	return text, nil
}

// message is the reason in an error's body: the message of a Status object, or the text.
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
