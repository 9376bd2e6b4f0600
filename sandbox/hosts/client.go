package hosts

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
	"net/url"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// clients keeps one client per kubeconfig.
type clients struct {
	mu  sync.Mutex
	all map[string]*client
}

func (c *clients) of(kubeconfig string) (*client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.all[kubeconfig]; ok {
		return k, nil
	}
	k, err := newClient(kubeconfig)
	if err != nil {
		return nil, err
	}
	if c.all == nil {
		c.all = map[string]*client{}
	}
	c.all[kubeconfig] = k
	return k, nil
}

// client talks to a Kubernetes API in JSON.
type client struct {
	server string
	http   *http.Client

	mu    sync.Mutex
	kinds map[string]kind
}

// kind is what discovery says of an apiVersion and kind.
type kind struct {
	// path is /api/v1 or /apis/<group>/<version>; name is the plural in it.
	path, name string
	namespaced bool
}

// apiError is an answer of the API with another status than 2xx.
type apiError struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("the Kubernetes API says %d: %s", e.Code, e.Message)
}

func isStatus(err error, code int) bool {
	var a *apiError
	return errors.As(err, &a) && a.Code == code
}

// errUnknownKind is returned for objects whose kind the API does not have.
var errUnknownKind = errors.New("the API does not know the kind")

// newClient reads a kubeconfig with inline certificates.
func newClient(kubeconfig string) (*client, error) {
	var k struct {
		Clusters []struct {
			Cluster struct {
				Server string `yaml:"server"`
				CA     string `yaml:"certificate-authority-data"`
				Name   string `yaml:"tls-server-name"`
			} `yaml:"cluster"`
		} `yaml:"clusters"`
		Users []struct {
			User struct {
				Cert string `yaml:"client-certificate-data"`
				Key  string `yaml:"client-key-data"`
			} `yaml:"user"`
		} `yaml:"users"`
	}
	if err := yaml.Unmarshal([]byte(kubeconfig), &k); err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	if len(k.Clusters) != 1 || len(k.Users) != 1 {
		return nil, errors.New("kubeconfig: one cluster and one user are expected")
	}
	cluster, user := k.Clusters[0].Cluster, k.Users[0].User
	var pem [3][]byte
	for i, text := range []string{cluster.CA, user.Cert, user.Key} {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(data) == 0 {
			return nil, errors.New("kubeconfig: certificates and key have to be inline, in base64")
		}
		pem[i] = data
	}
	pair, err := tls.X509KeyPair(pem[1], pem[2])
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem[0]) {
		return nil, errors.New("kubeconfig: no certificate authority in it")
	}
	return &client{
		server: strings.TrimSuffix(cluster.Server, "/"),
		http: &http.Client{
			Timeout: 30 * time.Second,
			Transport: &http.Transport{
				TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: cluster.Name},
				MaxIdleConnsPerHost: 4,
				IdleConnTimeout:     30 * time.Second,
				ForceAttemptHTTP2:   true,
			},
		},
		kinds: map[string]kind{},
	}, nil
}

// do sends a request and decodes the answer into out, if that is not nil.
func (c *client) do(ctx context.Context, method, path, contentType string, body, out any) error {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.server+path, reader)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		e := &apiError{Code: answer.StatusCode}
		if json.Unmarshal(data, e) != nil || e.Message == "" {
			e.Message = strings.TrimSpace(string(data))
		}
		e.Code = answer.StatusCode
		return e
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// patiently repeats a request that did not reach a healthy API, until it has failed for longer than a restart of the
// API server takes.
func patiently(ctx context.Context, f func() error) error {
	until := time.Now().Add(apiPatience)
	for delay := 200 * time.Millisecond; ; delay = min(delay*2, 2*time.Second) {
		err := f()
		if err == nil || !isAway(err) || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(delay):
		}
	}
}

// isAway reports whether an error says that no healthy API answered.
func isAway(err error) bool {
	var connection *url.Error
	return errors.As(err, &connection) || isStatus(err, http.StatusServiceUnavailable) ||
		isStatus(err, http.StatusTooManyRequests) || isStatus(err, http.StatusInternalServerError)
}

const apiPatience = 20 * time.Second

// kindOf asks discovery; kinds that are not there are asked for again each time.
func (c *client) kindOf(ctx context.Context, apiVersion, name string) (kind, error) {
	key := apiVersion + "/" + name
	c.mu.Lock()
	k, ok := c.kinds[key]
	c.mu.Unlock()
	if ok {
		return k, nil
	}
	path := "/apis/" + apiVersion
	if !strings.Contains(apiVersion, "/") {
		path = "/api/" + apiVersion
	}
	var list struct {
		Resources []struct {
			Name       string `json:"name"`
			Kind       string `json:"kind"`
			Namespaced bool   `json:"namespaced"`
		} `json:"resources"`
	}
	err := patiently(ctx, func() error { return c.do(ctx, http.MethodGet, path, "", nil, &list) })
	if isStatus(err, http.StatusNotFound) {
		return kind{}, fmt.Errorf("%w %s of %s", errUnknownKind, name, apiVersion)
	}
	if err != nil {
		return kind{}, err
	}
	for _, r := range list.Resources {
		if r.Kind == name && !strings.Contains(r.Name, "/") {
			k := kind{path: path, name: r.Name, namespaced: r.Namespaced}
			c.mu.Lock()
			c.kinds[key] = k
			c.mu.Unlock()
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("%w %s of %s", errUnknownKind, name, apiVersion)
}

// pathOf is where the object is found.
func (c *client) pathOf(ctx context.Context, object map[string]any) (string, error) {
	apiVersion, _ := object["apiVersion"].(string)
	name, _ := object["kind"].(string)
	metadata, _ := object["metadata"].(map[string]any)
	id, _ := metadata["name"].(string)
	if apiVersion == "" || name == "" || id == "" {
		return "", errors.New("an object needs apiVersion, kind and metadata.name")
	}
	k, err := c.kindOf(ctx, apiVersion, name)
	if err != nil {
		return "", err
	}
	path := k.path
	if k.namespaced {
		namespace, _ := metadata["namespace"].(string)
		if namespace == "" {
			namespace = "default"
		}
		path += "/namespaces/" + url.PathEscape(namespace)
	}
	return path + "/" + k.name + "/" + url.PathEscape(id), nil
}
