package sandbox

import (
	"fmt"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// manifest is the object as the API gets it.
func manifest(r *request, in props.Map) map[string]any {
	apiVersion, kindName, _ := objectToken(r.typ)
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
func (p *kubernetesProvider) makeReal(r *request) (answer, error) {
	backend, kubeconfig := p.backend, r.config.Str("kubeconfig")
	id := r.inputs.Str("namespace") + "/" + r.inputs.Str("name")
	kindName, got := releaseKind, answer{outputs: props.Map{"name": r.inputs["name"], "namespace": r.inputs["namespace"], "status": map[string]any{"status": "deployed"}}}
	if r.typ == releaseType {
		if err := backend.InstallChart(r.ctx, kubeconfig, chartRelease(r.inputs)); err != nil {
			return answer{}, fmt.Errorf("release %s: %w", id, err)
		}
		got.id = id
	} else {
		live, err := backend.Apply(r.ctx, kubeconfig, manifest(r, r.inputs))
		if err != nil {
			return answer{}, err
		}
		_, kindName, _ = objectToken(r.typ)
		id = r.inputs.Str("metadata.namespace") + "/" + r.inputs.Str("metadata.name")
		got = answer{id: strings.TrimPrefix(id, "/"), outputs: liveOutputs(live)}
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	c.Put(&store.Object{Type: "k8s/" + kindName, ID: id, URN: r.urn, Inputs: r.stored, State: props.Map{}})
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

func (p *kubernetesProvider) unmakeReal(r *request) error {
	backend, kubeconfig := p.backend, r.config.Str("kubeconfig")
	var err error
	if r.typ == releaseType {
		err = backend.UninstallChart(r.ctx, kubeconfig, chartRelease(r.oldInputs))
	} else {
		err = backend.Delete(r.ctx, kubeconfig, manifest(r, r.oldInputs))
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
