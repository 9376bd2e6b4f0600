package addons

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// rootProject is the project of the root Application. Applications are in the project with the name of the
// environment.
const rootProject = "root"

// projects creates Argo CD's projects, which limit what Git may do in the cluster. Without them every Application could
// create any object anywhere. Git can write Applications with any project in their spec, so the project default, which
// Argo CD creates with all rights, loses them.
func (a argoCD) projects(argocd pulumi.Resource) []pulumi.Resource {
	return needs(
		a.project(rootProject, projectOfRoot(a.cfg), argocd),
		a.project(a.cfg.Environment, projectOfApplications(a.cfg), argocd),
		a.project("default", projectWithoutRights(), argocd),
	)
}

// project creates one project, or takes it over: Argo CD creates the project default, and a person may have created the
// others. The Applications in it must be deleted before it.
func (a argoCD) project(name string, spec kube.Values, argocd pulumi.Resource) pulumi.Resource {
	return a.object("project-"+name, kube.ObjectArgs{
		APIVersion:  "argoproj.io/v1alpha1",
		Kind:        "AppProject",
		Name:        name,
		Namespace:   "argocd",
		Annotations: map[string]string{"pulumi.com/patchForce": "true"},
		Fields:      kube.Values{"spec": spec},
	}, needs(argocd))
}

// projectOfRoot allows Applications and nothing else. An Application in the namespace argocd can only do what its own
// project allows. ApplicationSets are different: their generators may read any Secret of the namespace.
func projectOfRoot(cfg *config.Config) kube.Values {
	return kube.Values{
		"description":                "The root Application: it may create Applications",
		"sourceRepos":                []string{cfg.Addons.ArgoCD.RepoURL},
		"destinations":               []kube.Values{destination("argocd")},
		"namespaceResourceWhitelist": kinds([]string{"argoproj.io/Application"}),
	}
}

// projectOfApplications allows the kinds of ordinary applications in their namespaces, and what the settings add.
// Without a clusterResourceWhitelist no cluster-wide object is allowed.
func projectOfApplications(cfg *config.Config) kube.Values {
	settings := cfg.Addons.ArgoCD
	destinations := []kube.Values{destination(appsNamespace)}
	for _, name := range slices.Sorted(maps.Keys(settings.Project.Namespaces)) {
		destinations = append(destinations, destination(name))
	}
	return kube.Values{
		"description":                "Applications of " + cfg.Environment + ": addons.argocd.project allows more",
		"sourceRepos":                append([]string{settings.RepoURL}, settings.Project.Repositories...),
		"destinations":               destinations,
		"namespaceResourceWhitelist": kinds(slices.Concat(applicationKinds, settings.Project.Kinds)),
	}
}

// projectWithoutRights returns empty lists, because the fields that Argo CD wrote would stay if they were left out.
func projectWithoutRights() kube.Values {
	return kube.Values{
		"description":              "Allows nothing: Applications belong to another project",
		"sourceRepos":              []string{},
		"destinations":             []kube.Values{},
		"clusterResourceWhitelist": []kube.Values{},
	}
}

// applicationKinds are the kinds that every application may create. Pods and ReplicaSets are among them, because Argo
// CD shows and deletes only what the project allows. Roles are not, because Argo CD would create them with its own
// rights.
var applicationKinds = []string{
	"ConfigMap", "PersistentVolumeClaim", "Pod", "Secret", "Service", "ServiceAccount",
	"apps/DaemonSet", "apps/Deployment", "apps/ReplicaSet", "apps/StatefulSet",
	"argoproj.io/AnalysisRun", "argoproj.io/AnalysisTemplate", "argoproj.io/Experiment", "argoproj.io/Rollout",
	"autoscaling/HorizontalPodAutoscaler",
	"batch/CronJob", "batch/Job",
	"monitoring.coreos.com/PodMonitor", "monitoring.coreos.com/PrometheusRule", "monitoring.coreos.com/ServiceMonitor",
	"networking.k8s.io/Ingress", "networking.k8s.io/NetworkPolicy",
	"policy/PodDisruptionBudget",
}

// kinds returns group and kind of texts such as apps/Deployment. The core group has no name and no slash.
func kinds(texts []string) []kube.Values {
	var all []kube.Values
	for _, text := range texts {
		slash := strings.LastIndex(text, "/")
		all = append(all, kube.Values{"group": text[:max(slash, 0)], "kind": text[slash+1:]})
	}
	return all
}

// destination is a namespace of the cluster that Argo CD runs in.
func destination(namespace string) kube.Values {
	return kube.Values{"server": "https://kubernetes.default.svc", "namespace": namespace}
}
