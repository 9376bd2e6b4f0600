package verify

import (
	"context"
	"fmt"
	"strings"
)

type application struct {
	Metadata meta `json:"metadata"`
	Status   struct {
		Sync struct {
			Status string `json:"status"`
		} `json:"sync"`
		Health struct {
			Status string `json:"status"`
		} `json:"health"`
	} `json:"status"`
}

type rollout struct {
	Metadata meta `json:"metadata"`
	Status   struct {
		Phase          string `json:"phase"`
		StableRS       string `json:"stableRS"`
		CurrentPodHash string `json:"currentPodHash"`
	} `json:"status"`
}

// applications checks that the Applications of Argo CD are synced and healthy. A release under way is not a fault:
// Argo CD calls its Application Progressing, or Suspended while the release waits.
func applications(ctx context.Context, r *run) finding {
	if r.Config.Addons.ArgoCD.RepoURL == "" {
		return ok("it syncs no repository")
	}
	const look = "argocd app list; kubectl -n argocd describe applications"
	var all list[application]
	if err := r.api.get(ctx, "/apis/argoproj.io/v1alpha1/applications", &all); err != nil {
		return broken(look, err)
	}
	if len(all.Items) == 0 {
		return failed(look, "there is no Application for %s", r.Config.Addons.ArgoCD.RepoURL)
	}
	releasing, err := r.releasing(ctx)
	if err != nil {
		return broken(look, err)
	}
	var faults, underway []string
	for _, a := range all.Items {
		health := a.Status.Health.Status
		moves := (health == "Progressing" || health == "Suspended") && releasing[a.Metadata.Name]
		switch {
		case a.Status.Sync.Status == "Synced" && moves:
			underway = append(underway, a.Metadata.Name)
		case a.Status.Sync.Status != "Synced" || health != "Healthy":
			faults = append(faults, fmt.Sprintf("%s is %s and %s", a.Metadata.Name, a.Status.Sync.Status, health))
		}
	}
	if len(faults) > 0 {
		f := failed(look, "%s", join(faults))
		f.applications = true
		return f
	}
	if len(underway) > 0 {
		return ok("%d applications synced; a release is under way in %s", len(all.Items), join(underway))
	}
	return ok("%d applications synced and healthy", len(all.Items))
}

// releasing returns the names of the Applications with a Rollout that moves from a version that serves to another
// one. A first version that does not get ready is not among them, and neither is a release that was aborted.
func (r *run) releasing(ctx context.Context) (map[string]bool, error) {
	found := map[string]bool{}
	if !r.Config.Addons.ArgoRollouts.On() {
		return found, nil
	}
	var all list[rollout]
	if err := r.api.get(ctx, "/apis/argoproj.io/v1alpha1/rollouts", &all); err != nil {
		return nil, err
	}
	for _, o := range all.Items {
		// The id is APPLICATION:GROUP/KIND:NAMESPACE/NAME. A name in front of an underscore is the namespace of the
		// Application.
		name, _, tracked := strings.Cut(o.Metadata.Annotations["argocd.argoproj.io/tracking-id"], ":")
		moves := o.Status.Phase == "Progressing" || o.Status.Phase == "Paused"
		if tracked && moves && o.Status.StableRS != "" && o.Status.StableRS != o.Status.CurrentPodHash {
			found[name[strings.Index(name, "_")+1:]] = true
		}
	}
	return found, nil
}
