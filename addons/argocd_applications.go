package addons

import (
	"fmt"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// rootApplication syncs envs/<environment> of the configured repository.
func rootApplication(cfg *config.Config) kube.ObjectArgs {
	settings := cfg.Addons.ArgoCD
	return kube.ObjectArgs{
		APIVersion: "argoproj.io/v1alpha1",
		Kind:       "Application",
		Name:       "root",
		Namespace:  "argocd",
		// Deleting the Application deletes everything that it deployed, and waits for it.
		Finalizers: []string{"resources-finalizer.argocd.argoproj.io"},
		Fields: kube.Values{"spec": kube.Values{
			"project": rootProject,
			"source": kube.Values{
				"repoURL":        settings.RepoURL,
				"targetRevision": settings.Revision,
				"path":           "envs/" + cfg.Environment,
				"kustomize":      kube.Values{"patches": []kube.Values{projectOfTheStack(cfg), sourceOfTheStack(cfg)}},
			},
			"destination": destination("argocd"),
			"syncPolicy": kube.Values{
				"automated": kube.Values{"prune": true, "selfHeal": true},
				// A retry takes the newest commit. Otherwise a revert waits until the retries of the bad commit have ended.
				"retry": kube.Values{
					"limit": 5, "refresh": true,
					"backoff": kube.Values{"duration": "10s", "factor": 2, "maxDuration": "3m"},
				},
			},
		}},
	}
}

// projectOfTheStack sets the project of every Application, whatever Git says.
func projectOfTheStack(cfg *config.Config) kube.Values {
	return kube.Values{
		"target": kube.Values{"group": "argoproj.io", "kind": "Application"},
		"patch":  fmt.Sprintf("- {op: add, path: /spec/project, value: %q}\n", cfg.Environment),
	}
}

// sourceOfTheStack sets the repository, the revision and the facts of the stack in Applications with its label, because
// only the settings contain them. Applications without the label keep their own source: a chart, another repository,
// several sources.
func sourceOfTheStack(cfg *config.Config) kube.Values {
	settings := cfg.Addons.ArgoCD
	patch := fmt.Sprintf("- {op: add, path: /spec/source/repoURL, value: %q}\n"+
		"- {op: add, path: /spec/source/targetRevision, value: %q}\n", settings.RepoURL, settings.Revision)
	if facts := factsOfTheStack(cfg); facts != "" {
		// A patch of the object in envs/stack, from which each kustomization.yaml copies the facts.
		patch += fmt.Sprintf("- op: add\n  path: /spec/source/kustomize\n"+
			"  value: {patches: [{target: {kind: ConfigMap, name: stack}, patch: %q}]}\n", facts)
	}
	return kube.Values{
		"target": kube.Values{"kind": "Application", "labelSelector": "kubeadm-aws/source=stack"},
		"patch":  patch,
	}
}

// factsOfTheStack returns the JSON patch that writes the registry and the public host name of the applications into the
// object of envs/stack. A fact without a setting is left out.
func factsOfTheStack(cfg *config.Config) string {
	var facts string
	if registry := cfg.Addons.ArgoCD.Registry; registry != "" {
		facts += fmt.Sprintf("- {op: replace, path: /data/registry, value: %q}\n", registry)
	}
	if len(cfg.DNS.IngressHosts) > 0 {
		facts += fmt.Sprintf("- {op: replace, path: /data/host, value: %q}\n", cfg.DNS.IngressHosts[0])
	}
	return facts
}
