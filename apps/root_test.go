package apps

import (
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What the root Application of the golden files gives to Argo CD, which adds it to the kustomization of the
// environment.
const (
	stackRepository = "https://git.example.com/platform.git"
	stackRevision   = "main"
	placeholder     = "https://git.invalid/replaced-by-the-root-application.git"
)

// chartApplication and severalSources are Applications of the user, whose sources are not the stack's repository.
const chartApplication = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: external-dns}
spec:
  source: {repoURL: https://charts.example.com, chart: external-dns, targetRevision: 1.19.0}
`

const severalSources = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  sources:
    - {repoURL: https://charts.example.com, chart: shop, targetRevision: 2.0.0}
    - {repoURL: https://git.example.com/values.git, targetRevision: HEAD, ref: values}
`

const withoutRevision = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: other, labels: {kubeadm-aws/source: stack}}
spec:
  source: {repoURL: https://git.invalid/replaced-by-the-root-application.git, path: envs/dev/other}
`

// asArgoCDRenders renders the Applications of an environment and more, with the patches of the root Application.
func asArgoCDRenders(t *testing.T, environment string, more map[string]string) []object {
	t.Helper()
	text, err := os.ReadFile("../addons/testdata/objects/root-application.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root object
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../envs/"+environment)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kustomization.yaml")
	text, err = os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kustomization map[string]any
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		t.Fatal(err)
	}
	for name, application := range more {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(application), 0o600); err != nil {
			t.Fatal(err)
		}
		kustomization["resources"] = append(kustomization["resources"].([]any), name)
	}
	kustomization["patches"] = append(list(kustomization, "patches"),
		list(root, "spec", "source", "kustomize", "patches")...)
	text, err = yaml.Marshal(kustomization)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return render(t, dir)
}

func TestTheRootApplicationGivesShippedApplicationsTheirRepository(t *testing.T) {
	for _, environment := range environments {
		for _, a := range asArgoCDRenders(t, environment, nil) {
			if repo, revision := text(a, "spec", "source", "repoURL"),
				text(a, "spec", "source", "targetRevision"); repo != stackRepository || revision != stackRevision {
				t.Errorf("%s/%s syncs %s at %s", environment, a, repo, revision)
			}
		}
	}
}

// The facts of the stack go from the root Application to each Application and from there into what it deploys.
func TestTheRootApplicationHandsOnTheFactsOfTheStack(t *testing.T) {
	for _, environment := range environments {
		for _, a := range asArgoCDRenders(t, environment, nil) {
			objects := renderWith(t, environment, filepath.Base(text(a, "spec", "source", "path")), list(a, "spec", "source", "kustomize", "patches"))
			for _, o := range only(objects, "Rollout", "Deployment", "Job") {
				if image := text(o, "spec", "template", "spec", "containers", 0, "image"); !pinned.MatchString(image) {
					t.Errorf("%s/%s runs %s", environment, o, image)
				}
			}
			for _, i := range only(objects, "Ingress") {
				if host := text(i, "spec", "rules", 0, "host"); host != "shop.example.com" {
					t.Errorf("%s/%s serves %s", environment, i, host)
				}
			}
			if find(objects, "ConfigMap", "stack") != nil {
				t.Errorf("%s/%s deploys the facts", environment, a)
			}
		}
	}
}

func TestTheRootApplicationLeavesOtherSourcesAlone(t *testing.T) {
	objects := asArgoCDRenders(t, "dev", map[string]string{
		"external-dns.yaml": chartApplication, "shop.yaml": severalSources, "other.yaml": withoutRevision,
	})
	chart := find(objects, "Application", "external-dns")
	if repo, revision := text(chart, "spec", "source", "repoURL"),
		text(chart, "spec", "source", "targetRevision"); repo != "https://charts.example.com" || revision != "1.19.0" {
		t.Errorf("the chart comes from %s at %s", repo, revision)
	}
	shop := find(objects, "Application", "shop")
	if got := text(shop, "spec", "sources", 0, "repoURL"); got != "https://charts.example.com" ||
		at(shop, "spec", "source") != nil {
		t.Errorf("the sources are %v and %v", at(shop, "spec", "sources"), at(shop, "spec", "source"))
	}
	other := find(objects, "Application", "other")
	if repo, revision := text(other, "spec", "source", "repoURL"),
		text(other, "spec", "source", "targetRevision"); repo != stackRepository || revision != stackRevision {
		t.Errorf("an Application with the label syncs %s at %s", repo, revision)
	}
}

// An Application with the placeholder and without the label would look for a repository that does not exist.
func TestThePlaceholderComesWithItsLabel(t *testing.T) {
	for _, environment := range environments {
		for _, a := range render(t, "../envs/"+environment) {
			marked := text(a, "metadata", "labels", "kubeadm-aws/source") == "stack"
			if isPlaceholder := text(a, "spec", "source", "repoURL") == placeholder; isPlaceholder != marked {
				t.Errorf("%s/%s: placeholder %v, label %v", environment, a, isPlaceholder, marked)
			}
		}
	}
}
