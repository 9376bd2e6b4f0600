// Package projecttest holds what Git may do in the cluster against the code of Argo CD. It is a module of its own, so
// that the program does not depend on that code.
package projecttest

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// objects are the program's own, as the tests of addons review them. Their environment is dev.
const objects = "../../addons/testdata/objects"

var environments = []string{"dev", "staging", "prod"}

// cluster is the one that Argo CD runs in.
var cluster = &v1alpha1.Cluster{Name: "in-cluster", Server: v1alpha1.KubernetesInternalAPIServerAddr}

func read[T any](t *testing.T, name string) T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(objects, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var object T
	if err := yaml.UnmarshalStrict(text, &object); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return object
}

func project(t *testing.T, name string) v1alpha1.AppProject {
	t.Helper()
	p := read[v1alpha1.AppProject](t, "project-"+name)
	if err := p.ValidateProject(); err != nil {
		t.Errorf("Argo CD refuses the project %s: %v", name, err)
	}
	if p.Name != name || p.Namespace != "argocd" {
		t.Errorf("the project %s is %s/%s", name, p.Namespace, p.Name)
	}
	return p
}

// object is one object that Git describes.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	text []byte
}

// render is `kustomize build` of a folder of the repository. patches are added to its kustomization, as Argo CD does.
func render(t *testing.T, folder string, patches []any) []object {
	t.Helper()
	dir := t.TempDir()
	for _, from := range []string{"apps/api", "apps/worker", "envs"} {
		if err := os.CopyFS(filepath.Join(dir, from), os.DirFS(filepath.Join("../..", from))); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, folder, "kustomization.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	kustomization := map[string]any{}
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		t.Fatal(err)
	}
	own, _ := kustomization["patches"].([]any)
	kustomization["patches"] = append(own, patches...)
	if text, err = yaml.Marshal(kustomization); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Dir(file))
	if err != nil {
		t.Fatalf("kustomize build %s: %v", folder, err)
	}
	var all []object
	for _, r := range built.Resources() {
		var o object
		o.text = []byte(r.MustYaml())
		if err := yaml.Unmarshal(o.text, &o); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

// permitted asks what Argo CD asks before it creates an object.
func permitted(t *testing.T, p v1alpha1.AppProject, o object) bool {
	t.Helper()
	version, err := schema.ParseGroupVersion(o.APIVersion)
	if err != nil {
		t.Fatal(err)
	}
	kind := schema.GroupKind{Group: version.Group, Kind: o.Kind}
	ok, err := p.IsResourcePermitted(kind, o.Metadata.Name, o.Metadata.Namespace, cluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// starts reports whether Argo CD carries out an Application at all.
func starts(t *testing.T, p v1alpha1.AppProject, a v1alpha1.Application) bool {
	t.Helper()
	ok, err := p.IsDestinationPermitted(cluster, a.Spec.Destination.Namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ok && a.Spec.Project == p.Name && p.IsSourcePermitted(a.Spec.GetSource())
}

func root(t *testing.T) (v1alpha1.Application, []any) {
	t.Helper()
	application := read[v1alpha1.Application](t, "root-application")
	var patches []any
	for _, patch := range application.Spec.Source.Kustomize.Patches {
		text, err := yaml.Marshal(patch)
		if err != nil {
			t.Fatal(err)
		}
		var as any
		if err := yaml.Unmarshal(text, &as); err != nil {
			t.Fatal(err)
		}
		patches = append(patches, as)
	}
	return application, patches
}

// Every environment is allowed what it contains: the root Application its Applications, and these their objects.
func TestTheEnvironmentsAreAllowedWhatTheyContain(t *testing.T) {
	ofRoot, ofApplications := project(t, "root"), project(t, "dev")
	application, patches := root(t)
	if !starts(t, ofRoot, application) {
		t.Errorf("the project does not allow the root Application")
	}
	for _, environment := range environments {
		for _, o := range render(t, "envs/"+environment, patches) {
			if !permitted(t, ofRoot, o) {
				t.Errorf("%s: the root Application may not create %s %s", environment, o.Kind, o.Metadata.Name)
			}
			var child v1alpha1.Application
			if err := yaml.UnmarshalStrict(o.text, &child); err != nil {
				t.Fatalf("%s: %v", o.Metadata.Name, err)
			}
			if !starts(t, ofApplications, child) {
				t.Errorf("%s: the project does not allow %s: %+v", environment, child.Name, child.Spec)
			}
			objects := render(t, child.Spec.Source.Path, nil)
			if len(objects) < 4 {
				t.Errorf("%s/%s has only %d objects", environment, child.Name, len(objects))
			}
			for _, deployed := range objects {
				if !permitted(t, ofApplications, deployed) {
					t.Errorf("%s/%s may not create %s %s", environment, child.Name, deployed.Kind, deployed.Metadata.Name)
				}
			}
		}
	}
}

func named(apiVersion, kind, namespace, name string) object {
	o := object{APIVersion: apiVersion, Kind: kind}
	o.Metadata.Name, o.Metadata.Namespace = name, namespace
	return o
}

func TestGitMayNotChangeThePlatform(t *testing.T) {
	refused := map[string]object{
		"rights in the cluster":          named("rbac.authorization.k8s.io/v1", "ClusterRole", "", "all"),
		"a binding of such rights":       named("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "all"),
		"rights in its namespace":        named("rbac.authorization.k8s.io/v1", "RoleBinding", "apps", "all"),
		"a namespace":                    named("v1", "Namespace", "", "apps"),
		"a definition":                   named("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "x.example.com"),
		"a webhook":                      named("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", "x"),
		"a volume of the node's disk":    named("v1", "PersistentVolume", "", "disk"),
		"pods next to the control plane": named("apps/v1", "Deployment", "kube-system", "x"),
		"a Secret of Argo CD":            named("v1", "Secret", "argocd", "argocd-secret"),
		"an Ingress of the monitoring":   named("networking.k8s.io/v1", "Ingress", "monitoring", "grafana"),
		"an Application":                 named("argoproj.io/v1alpha1", "Application", "argocd", "more"),
		"a target group of another":      named("elbv2.k8s.aws/v1beta1", "TargetGroupBinding", "apps", "x"),
	}
	for _, p := range []v1alpha1.AppProject{project(t, "dev"), project(t, "default")} {
		for _, what := range slices.Sorted(maps.Keys(refused)) {
			if permitted(t, p, refused[what]) {
				t.Errorf("the project %s allows %s", p.Name, what)
			}
		}
	}
	ofRoot := project(t, "root")
	delete(refused, "an Application")
	refused["a project"] = named("argoproj.io/v1alpha1", "AppProject", "argocd", "default")
	refused["a generator of Applications"] = named("argoproj.io/v1alpha1", "ApplicationSet", "argocd", "x")
	refused["an Application of another namespace"] = named("argoproj.io/v1alpha1", "Application", "apps", "x")
	for what, o := range refused {
		if permitted(t, ofRoot, o) {
			t.Errorf("the root Application may create %s", what)
		}
	}
}

func TestOtherSourcesAndClustersAreRefused(t *testing.T) {
	elsewhere := &v1alpha1.Cluster{Name: "other", Server: "https://203.0.113.7:6443"}
	for _, name := range []string{"root", "dev", "default"} {
		p := project(t, name)
		for _, url := range []string{
			"https://git.example.com/other.git", "https://git.example.com/platform/more.git",
			"https://charts.example.com", "https://evil.example.com/platform.git",
		} {
			if p.IsSourcePermitted(v1alpha1.ApplicationSource{RepoURL: url}) {
				t.Errorf("the project %s allows %s", name, url)
			}
		}
		for _, namespace := range []string{"apps", "argocd"} {
			if ok, err := p.IsDestinationPermitted(elsewhere, namespace, nil); ok || err != nil {
				t.Errorf("the project %s allows another cluster: %v", name, err)
			}
		}
	}
}

// The project default would take every Application that names no other one.
func TestTheDefaultProjectAllowsNothing(t *testing.T) {
	p := project(t, "default")
	application, _ := root(t)
	if p.IsSourcePermitted(application.Spec.GetSource()) {
		t.Error("it allows the stack's repository")
	}
	for _, namespace := range []string{"apps", "argocd", "kube-system", "default", ""} {
		if ok, err := p.IsDestinationPermitted(cluster, namespace, nil); ok || err != nil {
			t.Errorf("it allows the namespace %q: %v", namespace, err)
		}
	}
}

// Git cannot leave its project: neither with another one in the file nor without one.
func TestTheRootApplicationSetsTheProject(t *testing.T) {
	_, patches := root(t)
	for _, written := range []string{"default", "root", ""} {
		patches := append([]any{map[string]any{
			"target": map[string]any{"kind": "Application"},
			"patch":  `[{"op": "replace", "path": "/spec/project", "value": "` + written + `"}]`,
		}}, patches...)
		for _, o := range render(t, "envs/prod", patches) {
			var a v1alpha1.Application
			if err := yaml.Unmarshal(o.text, &a); err != nil {
				t.Fatal(err)
			}
			if a.Spec.Project != "dev" {
				t.Errorf("%s is in the project %q although the stack says dev", a.Name, a.Spec.Project)
			}
		}
	}
}

// Argo Rollouts moves requests by an annotation of the Ingress, for which Git has the first value. Argo CD sees no
// difference in it, and sees each other one. It compares and syncs without the fields that its normalizer removes.
func TestTheSharesOfACanaryAreLeftToArgoRollouts(t *testing.T) {
	const shares = "alb.ingress.kubernetes.io/actions.api"
	var app v1alpha1.Application
	for _, o := range render(t, "envs/prod", nil) {
		if o.Metadata.Name == "api" {
			if err := yaml.UnmarshalStrict(o.text, &app); err != nil {
				t.Fatal(err)
			}
		}
	}
	if app.Spec.SyncPolicy == nil || !app.Spec.SyncPolicy.SyncOptions.HasOption("RespectIgnoreDifferences=true") {
		t.Errorf("a sync writes what the comparison ignores: %+v", app.Spec.SyncPolicy)
	}
	normalizer, err := normalizers.NewIgnoreNormalizer(app.Spec.IgnoreDifferences, nil, normalizers.IgnoreNormalizerOpts{})
	if err != nil {
		t.Fatal(err)
	}
	normal := func(change map[string]string) *unstructured.Unstructured {
		var o unstructured.Unstructured
		for _, deployed := range render(t, "envs/prod/api", nil) {
			if deployed.Kind == "Ingress" {
				if err := yaml.Unmarshal(deployed.text, &o.Object); err != nil {
					t.Fatal(err)
				}
			}
		}
		annotations := o.GetAnnotations()
		if annotations[shares] == "" {
			t.Fatal("Git has no first value")
		}
		maps.Copy(annotations, change)
		o.SetAnnotations(annotations)
		if err := normalizer.Normalize(&o); err != nil {
			t.Fatal(err)
		}
		return &o
	}
	git := normal(nil)
	if !reflect.DeepEqual(git, normal(map[string]string{shares: "what Argo Rollouts writes"})) {
		t.Error("Argo CD would take back what Argo Rollouts writes")
	}
	if reflect.DeepEqual(git, normal(map[string]string{"alb.ingress.kubernetes.io/healthcheck-path": "/"})) {
		t.Error("Argo CD would leave other annotations as they are")
	}
}
