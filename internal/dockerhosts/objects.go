package dockerhosts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/internal/sandbox/backend"
)

// cluster is the API of a kubeconfig.
type cluster struct {
	stack      *stack
	clients    *clients
	kubeconfig string
}

// Cluster is the API of a kubeconfig.
func (b *Backend) Cluster(kubeconfig string) backend.Cluster {
	return cluster{b.stack, &b.kube, kubeconfig}
}

// Apply creates or changes an object by server-side apply. A Deployment gets no pods: the mirror has no images of
// add-ons.
func (k cluster) Apply(ctx context.Context, object map[string]any) (map[string]any, error) {
	c, path, err := k.at(ctx, object)
	if errors.Is(err, errUnknownKind) {
		return object, nil
	}
	if err != nil {
		return nil, err
	}
	object = withoutPods(object)
	var live map[string]any
	err = patiently(ctx, func() error {
		return c.Call(ctx, kubeapi.Apply, path+"?fieldManager=kubeadm-aws&force=true", object, &live)
	})
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", title(object), err)
	}
	if live["kind"] == "Ingress" {
		return k.balance(ctx, c, path, live)
	}
	return live, nil
}

// withoutPods returns a copy of a Deployment or DaemonSet that has no pods, because the mirror does not have their
// images. It returns any other object as it is.
func withoutPods(object map[string]any) map[string]any {
	spec, ok := object["spec"].(map[string]any)
	if !ok {
		return object
	}
	spec = maps.Clone(spec)
	switch object["kind"] {
	case "Deployment":
		spec["replicas"] = 0
	case "DaemonSet":
		template, _ := spec["template"].(map[string]any)
		pod, _ := template["spec"].(map[string]any)
		template, pod = maps.Clone(template), maps.Clone(pod)
		pod["nodeSelector"] = map[string]any{"kubeadm-aws/none": "true"}
		template["spec"], spec["template"] = pod, template
	default:
		return object
	}
	object = maps.Clone(object)
	object["spec"] = spec
	return object
}

// Get reads an object. An object whose kind the API does not serve is only recorded, so Get returns it as the engine
// has it.
func (k cluster) Get(ctx context.Context, object map[string]any) (map[string]any, bool, error) {
	c, path, err := k.at(ctx, object)
	if errors.Is(err, errUnknownKind) {
		return object, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	var live map[string]any
	err = patiently(ctx, func() error { return c.Call(ctx, kubeapi.Get, path, nil, &live) })
	if kubeapi.IsStatus(err, http.StatusNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", title(object), err)
	}
	return live, true, nil
}

// Delete removes an object and waits until the API no longer has it.
func (k cluster) Delete(ctx context.Context, object map[string]any) error {
	c, path, err := k.at(ctx, object)
	if errors.Is(err, errUnknownKind) {
		return nil
	}
	if err != nil {
		return err
	}
	body := map[string]any{"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation(object)}
	err = patiently(ctx, func() error { return c.Call(ctx, kubeapi.Delete, path, body, nil) })
	for delay := 50 * time.Millisecond; err == nil; delay = min(delay*2, time.Second) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("delete %s: %w", title(object), ctx.Err())
		case <-time.After(delay):
		}
		err = patiently(ctx, func() error { return c.Call(ctx, kubeapi.Get, path, nil, nil) })
	}
	if kubeapi.IsStatus(err, http.StatusNotFound) {
		return nil
	}
	return fmt.Errorf("delete %s: %w", title(object), err)
}

// propagation returns the provider's deletion policy: foreground, unless the annotation has another one.
func propagation(object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if annotations["pulumi.com/deletionPropagationPolicy"] == "background" {
		return "Background"
	}
	return "Foreground"
}

func (k cluster) at(ctx context.Context, object map[string]any) (*client, string, error) {
	c, err := k.clients.of(k.kubeconfig)
	if err != nil {
		return nil, "", err
	}
	path, err := c.pathOf(ctx, object)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", title(object), err)
	}
	return c, path, nil
}

func title(object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	return fmt.Sprintf("%v %v", object["kind"], metadata["name"])
}

// InstallChart creates the namespace of the release and starts the controller for a chart that it replaces.
func (k cluster) InstallChart(ctx context.Context, r backend.ChartRelease) error {
	if r.Namespace != "" {
		namespace := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": r.Namespace}}
		if _, err := k.Apply(ctx, namespace); err != nil {
			return fmt.Errorf("release %s: %w", r.Name, err)
		}
	}
	return k.stack.store.keepChart(k.kubeconfig, r)
}

// UninstallChart stops the controller for the chart. Its changes on the hosts stay, as those of the real charts do.
func (k cluster) UninstallChart(_ context.Context, r backend.ChartRelease) error {
	return k.stack.store.dropChart(r)
}
