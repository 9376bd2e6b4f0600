package kube

import (
	"fmt"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// manifest returns the object in the form of the Kubernetes API.
func manifest(r *engine.Request, in props.Map) map[string]any {
	apiVersion, kindName, _ := objectToken(r.Type)
	out := map[string]any{"apiVersion": apiVersion, "kind": kindName}
	for k, v := range in {
		out[k] = v
	}
	return out
}

func chartRelease(in props.Map) backend.ChartRelease {
	return backend.ChartRelease{
		Name: in.Str("name"), Namespace: in.Str("namespace"), Chart: in.Str("chart"), Version: in.Str("version"),
		Repository: in.Str("repositoryOpts.repo"), Values: in.Object("values"),
	}
}

// makeReal creates or updates an object or release on the backend and records it in the account.
func (p *Provider) makeReal(r *engine.Request) (engine.Answer, error) {
	api := p.backend.Cluster(r.Config.Str("kubeconfig"))
	id := r.Inputs.Str("namespace") + "/" + r.Inputs.Str("name")
	kindName, got := releaseKind, engine.Answer{Outputs: props.Map{"name": r.Inputs["name"],
		"namespace": r.Inputs["namespace"], "status": map[string]any{"status": "deployed"}}}
	if r.Type == releaseType {
		if err := api.InstallChart(r.Ctx, chartRelease(r.Inputs)); err != nil {
			return engine.Answer{}, fmt.Errorf("release %s: %w", id, err)
		}
		got.ID = id
	} else {
		live, err := api.Apply(r.Ctx, manifest(r, r.Inputs))
		if err != nil {
			return engine.Answer{}, err
		}
		_, kindName, _ = objectToken(r.Type)
		id = r.Inputs.Str("metadata.namespace") + "/" + r.Inputs.Str("metadata.name")
		got = engine.Answer{ID: strings.TrimPrefix(id, "/"), Outputs: liveOutputs(live)}
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	c.Put(&store.Object{Type: "k8s/" + kindName, ID: id, URN: r.URN, Inputs: r.Stored, State: props.Map{}})
	return got, nil
}

// liveOutputs returns the outputs of an object that the API returned.
func liveOutputs(live props.Map) props.Map {
	out := props.Map{"metadata": live.Object("metadata")}
	if status := live["status"]; status != nil {
		out["status"] = status
	}
	return out
}

// unmakeReal deletes an object or release on the backend and in the account.
func (p *Provider) unmakeReal(r *engine.Request) error {
	api := p.backend.Cluster(r.Config.Str("kubeconfig"))
	var err error
	if r.Type == releaseType {
		err = api.UninstallChart(r.Ctx, chartRelease(r.OldInputs))
	} else {
		err = api.Delete(r.Ctx, manifest(r, r.OldInputs))
	}
	if err != nil {
		return err
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	if o := p.found(r); o != nil {
		c.Remove(o)
	}
	return nil
}
