package addons

import (
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/internal/testenv"
)

// defineArgoCD creates the custom resource definitions of Argo CD, at the version of the chart.
func (a *api) defineArgoCD() {
	a.t.Helper()
	source := testenv.SourceOf(a.t, "../apps/projecttest", "github.com/argoproj/argo-cd/v3")
	a.kubectl("apply", "--server-side", "-k", filepath.Join(source, "manifests", "crds"))
	a.definitionsAreEstablished()
}

// defaultProject is the project that Argo CD creates when it starts.
const defaultProject = `{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: default, namespace: argocd},
  spec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}],
  clusterResourceWhitelist: [{group: '*', kind: '*'}]}}`

// Argo CD's own definitions accept the projects and the root Application. The project that Argo CD created with all
// rights loses them, which needs force, because Argo CD owns its fields.
func TestProjectsAreAcceptedAndTakeTheRightsOfTheDefault(t *testing.T) {
	a := startAPI(t)
	a.defineArgoCD()
	a.kubectl("create", "namespace", "argocd")
	if out, err := a.try(defaultProject, "create", "--field-manager=argocd-server", "-f", "-"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	r := install(t, nil, everything)
	object := func(name string) string { return jsonOf(t, plainMap(r.find(t, name).inputs)) }
	if out, err := a.try(object("project-default"), "apply", "--server-side", "-f", "-"); err == nil ||
		!strings.Contains(out, "conflict") {
		t.Errorf("without force: %v %s", err, out)
	}
	for _, name := range []string{"project-root", "project-dev", "project-default", "root-application"} {
		if out, err := a.try(object(name), "apply", "--server-side", "--validate=strict", "--force-conflicts", "-f",
			"-"); err != nil {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	metadata := plainMap(r.find(t, "project-default").inputs)["metadata"].(map[string]any)
	if annotations := metadata["annotations"].(map[string]any); annotations["pulumi.com/patchForce"] != "true" {
		t.Error("the provider takes fields from another owner only with the annotation pulumi.com/patchForce")
	}
	for _, field := range []string{"sourceRepos", "destinations", "clusterResourceWhitelist"} {
		if got := a.get("argocd", "appproject/default", "{.spec."+field+"}"); got != "[]" {
			t.Errorf("the project default still has %s %s", field, got)
		}
	}
	if got := a.get("argocd", "application/root", "{.spec.project}"); got != "root" {
		t.Errorf("the root Application is in the project %q", got)
	}
}
