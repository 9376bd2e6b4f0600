package kube

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// helm installs and uninstalls releases.
type helm struct{ *Cluster }

// install is helm install, or upgrade of an existing release.
func (h helm) install(r *engine.Request, existing *store.Object) (engine.Answer, error) {
	namespace, name := r.Inputs.Str("namespace"), r.Inputs.Str("name")
	if name == "" {
		name = cmp.Or(r.Old.Str("name"), fmt.Sprintf("%s-%08x", r.Name, crc32.ChecksumIEEE([]byte(r.URN))))
	}
	if namespace == "" {
		namespace = "default"
	}
	release := &store.Object{Type: "k8s/" + releaseKind, ID: namespace + "/" + name, URN: r.URN, Inputs: r.Stored,
		State: props.Map{}}
	if existing != nil {
		if err := upgradable(existing); err != nil {
			return engine.Answer{}, err
		}
		release.State = props.Clone(existing.State)
		delete(release.State, "dead") // an upgrade restarts the pods
	} else if objects := h.Find(release.Type, release.ID); objects != nil {
		if !objects.State.Flag("recordless") {
			return engine.Answer{}, errors.New("cannot re-use a name that is still in use")
		}
		release.State = props.Clone(objects.State)
		delete(release.State, "recordless")
	}
	if !h.namespaceExists(namespace) {
		if !r.Inputs.Flag("createNamespace") {
			return engine.Answer{}, fmt.Errorf("failed to create release: namespaces %q not found", namespace)
		}
		h.Put(&store.Object{Type: "k8s/Namespace", ID: "/" + namespace,
			Inputs: props.Map{"metadata": map[string]any{"name": namespace}}})
	}
	vals := map[string]any(r.Inputs.Object("values"))
	if monitors(vals) && h.release("prometheus-operator-crds") == nil && h.release("kube-prometheus-stack") == nil {
		return engine.Answer{},
			fmt.Errorf(
				`unable to build kubernetes objects: no matches for kind "ServiceMonitor": install prometheus-operator-crds first`)
	}
	h.Put(release)
	for _, c := range claimsOf(release) {
		volumes(h).claim(release, name+"-"+c.Name, release.Inputs.Object("values").Str(c.ClassAt), false)
	}
	h.reconcile()
	got := engine.Answer{ID: release.ID, Outputs: releaseOutputs(release)}
	if r.Inputs.Flag("skipAwait") || charts[chartOf(release)].Podless {
		return got, nil
	}
	why := h.podsReady(release)
	for _, secret := range secretsNamed(vals) {
		if why == nil && h.object("Secret", namespace, secret) == nil {
			why = fmt.Errorf("the Secret %s/%s does not exist", namespace, secret)
		}
	}
	if action := charts[chartOf(release)].Action; why == nil && action != "" {
		why = h.alive(chartOf(release))
	}
	if why != nil {
		got.Outputs["status"].(map[string]any)["status"] = "failed"
		return got, &engine.NotReady{Reason: fmt.Sprintf("Helm release %q was created, but failed to become ready: %v",
			release.ID, why)}
	}
	return got, nil
}

// releaseStatus is Helm's status of the last revision.
func releaseStatus(o *store.Object) string { return cmp.Or(o.State.Str("status"), "deployed") }

// upgradable returns the reason why Helm refuses to upgrade a release, or nil.
func upgradable(release *store.Object) error {
	switch status := releaseStatus(release); {
	case strings.HasPrefix(status, "pending-"):
		return errors.New("another operation (install/upgrade/rollback) is in progress")
	case status == "uninstalling":
		return fmt.Errorf("%q has no deployed releases", release.ID)
	}
	return nil
}

// uninstall is helm uninstall. It deletes claims that the release owns. Those of a StatefulSet stay by default.
func (h helm) uninstall(release *store.Object) error {
	claims := claimsOf(release)
	name := release.ID[strings.IndexByte(release.ID, '/')+1:]
	namespace, _, _ := strings.Cut(release.ID, "/")
	for _, c := range claims {
		if pvc := h.object(claimKind, namespace, name+"-"+c.Name); pvc != nil && goesWith(c, release) {
			if err := h.delete(pvc); err != nil {
				return err
			}
		}
	}
	h.removeWithClaims(release)
	h.reconcile()
	return nil
}
