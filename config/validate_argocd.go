package config

import (
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/addons/catalog"
)

// argocdValidator validates Argo CD: its repository and what the repository may create.
type argocdValidator struct{ part }

func (v argocdValidator) validate(a ArgoCD) {
	if a.RepoURL != "" {
		if fault := gitURLFault(a.RepoURL); fault != "" {
			v.fault("addons.argocd.repoUrl", a.RepoURL, fault,
				"https://github.com/example/platform.git or ssh://git@github.com/example/platform.git")
		}
	}
	if a.Registry != "" && !registryPath.MatchString(a.Registry) {
		v.fault("addons.argocd.registry", a.Registry,
			"must be the host of an image registry, with its path if it has one, without https:// and without a slash at the end",
			"111122223333.dkr.ecr.eu-central-1.amazonaws.com")
	}
	if !gitRevision.MatchString(a.Revision) || strings.Contains(a.Revision, "..") || strings.Contains(a.Revision, "//") ||
		strings.HasSuffix(a.Revision, ".lock") || strings.HasSuffix(a.Revision, "/") || strings.HasSuffix(a.Revision, ".") {
		v.fault("addons.argocd.revision", a.Revision, "must be a branch, a tag, a commit or HEAD", "main")
	}
	v.repository(a)
	v.project(a)
}

// project validates what the applications may use in addition to the defaults.
func (v argocdValidator) project(a ArgoCD) {
	const path = "addons.argocd.project"
	p := a.Project
	if a.RepoURL == "" && len(p.Repositories)+len(p.Namespaces)+len(p.Kinds) > 0 {
		v.fault(path, nil, "is not used: without addons.argocd.repoUrl there is no project", "addons.argocd.repoUrl with it")
	}
	for i, text := range p.Repositories {
		if fault := sourceFault(text); fault != "" {
			v.fault(fmt.Sprintf("%s.repositories[%d]", path, i), text, fault, "https://charts.example.com")
		}
	}
	for _, name := range sortedKeys(p.Namespaces) {
		key := child(path+".namespaces", name)
		if fault := namespaceFault(name); fault != "" {
			v.fault(key, name, fault, "shop: restricted")
			continue
		}
		v.oneOf(key, p.Namespaces[name], "restricted", "baseline")
	}
	for i, text := range p.Kinds {
		key := fmt.Sprintf("%s.kinds[%d]", path, i)
		switch {
		case !groupKind.MatchString(text):
			v.fault(key, text, "must be group/Kind, or Kind alone in the core group", "cert-manager.io/Certificate")
		case slices.Contains(clusterWide, text):
			v.fault(key, text, "is a cluster-wide kind, and Git may create only what is in a namespace",
				"cert-manager.io/Certificate; create cluster-wide objects with kubectl")
		}
	}
}

// sourceFault returns what is wrong with the address of a Git repository, a chart repository or an OCI registry, which
// Argo CD also takes without oci://.
func sourceFault(text string) string {
	switch {
	case strings.HasPrefix(text, "ssh://") || gitSSH.MatchString(text):
		return gitURLFault(text)
	case !strings.Contains(text, "://") && registryPath.MatchString(text) && strings.Contains(text, "."):
		return ""
	}
	return serverURLFault(text, "https", "oci")
}

// namespaceFault returns why the applications cannot have a namespace, or "".
func namespaceFault(name string) string {
	switch {
	case !dnsLabel.MatchString(name):
		return "is not the name of a namespace, which is 1 to 63 lowercase letters, digits and dashes, with no dash at the ends"
	case name == "apps":
		return "is always one of their namespaces"
	case name == "default" || strings.HasPrefix(name, "kube-") || slices.Contains(platformNamespaces(), name):
		return "is a namespace of the platform, in which Git could change the platform"
	}
	return ""
}

// platformNamespaces returns the namespaces of the add-ons.
func platformNamespaces() []string {
	names := []string{"calico-system", "calico-apiserver", "ingress"}
	for _, chart := range catalog.Charts() {
		names = append(names, chart.Namespace)
	}
	return names
}

// clusterWide are the kinds without a namespace that Kubernetes and the add-ons have. Argo CD would not allow them
// either, because it looks for them in another list.
var clusterWide = []string{
	"Namespace", "Node", "PersistentVolume", "admissionregistration.k8s.io/MutatingAdmissionPolicy",
	"admissionregistration.k8s.io/MutatingAdmissionPolicyBinding", "admissionregistration.k8s.io/MutatingWebhookConfiguration",
	"admissionregistration.k8s.io/ValidatingAdmissionPolicy", "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding",
	"admissionregistration.k8s.io/ValidatingWebhookConfiguration", "apiextensions.k8s.io/CustomResourceDefinition",
	"apiregistration.k8s.io/APIService", "argoproj.io/ClusterAnalysisTemplate", "certificates.k8s.io/CertificateSigningRequest",
	"cert-manager.io/ClusterIssuer", "elbv2.k8s.aws/IngressClassParams", "networking.k8s.io/IngressClass",
	"node.k8s.io/RuntimeClass", "rbac.authorization.k8s.io/ClusterRole", "rbac.authorization.k8s.io/ClusterRoleBinding",
	"scheduling.k8s.io/PriorityClass", "snapshot.storage.k8s.io/VolumeSnapshotClass",
	"snapshot.storage.k8s.io/VolumeSnapshotContent", "storage.k8s.io/CSIDriver", "storage.k8s.io/StorageClass",
}
