package verify

import (
	"context"
	"net/http"

	"kubeadm-aws/cluster/kubeapi"
)

// API is the API server of the cluster to check.
type API struct{ *kubeapi.Client }

// Open returns a client from a kubeconfig.
func Open(kubeconfig []byte) (*API, error) {
	client, err := kubeapi.Open(kubeconfig)
	if err != nil {
		return nil, err
	}
	return &API{client}, nil
}

// Ready asks the API server whether it is ready to serve.
func (a *API) Ready(ctx context.Context) error {
	return a.Call(ctx, kubeapi.Get, "/readyz", nil, nil)
}

// notFound reports whether the API answered that an object or its kind does not exist.
func notFound(err error) bool { return kubeapi.IsStatus(err, http.StatusNotFound) }

// get reads an object or a list.
func (a *API) get(ctx context.Context, path string, into any) error {
	return a.Call(ctx, kubeapi.Get, path, nil, into)
}

// create creates an object.
func (a *API) create(ctx context.Context, path string, object any) error {
	return a.Call(ctx, kubeapi.Post, path, object, nil)
}

// merge merges a piece of JSON into an object.
func (a *API) merge(ctx context.Context, path string, piece any) error {
	return a.Call(ctx, kubeapi.Patch, path, piece, nil)
}

// remove deletes an object. It returns nil when the object does not exist.
func (a *API) remove(ctx context.Context, path string) error {
	err := a.Call(ctx, kubeapi.Delete, path, nil, nil)
	if notFound(err) {
		return nil
	}
	return err
}
