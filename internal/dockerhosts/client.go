package dockerhosts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"kubeadm-aws/cluster/kubeapi"
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
	api, err := kubeapi.Open([]byte(kubeconfig))
	if err != nil {
		return nil, err
	}
	k := &client{Client: api, kinds: map[string]kind{}}
	if c.all == nil {
		c.all = map[string]*client{}
	}
	c.all[kubeconfig] = k
	return k, nil
}

// client is a client of an API with a cache of its kinds.
type client struct {
	*kubeapi.Client

	mu    sync.Mutex
	kinds map[string]kind
}

// kind is the answer of discovery for an apiVersion and kind.
type kind struct {
	// path is /api/v1 or /apis/<group>/<version>; name is the plural in it.
	path, name string
	namespaced bool
}

// errUnknownKind is returned for objects whose kind the API does not have.
var errUnknownKind = errors.New("the API does not know the kind")

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

// isAway reports whether err means that no healthy API answered.
func isAway(err error) bool {
	var connection *url.Error
	return errors.As(err, &connection) || kubeapi.IsStatus(err, http.StatusServiceUnavailable) ||
		kubeapi.IsStatus(err, http.StatusTooManyRequests) || kubeapi.IsStatus(err, http.StatusInternalServerError)
}

const apiPatience = 20 * time.Second

// kindOf asks discovery. Only kinds that exist are cached.
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
	err := patiently(ctx, func() error { return c.Call(ctx, kubeapi.Get, path, nil, &list) })
	if kubeapi.IsStatus(err, http.StatusNotFound) {
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

// pathOf returns the URL path of the object.
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
