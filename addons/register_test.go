package addons

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"kubeadm-aws/config"
)

// Without the plugin's version and the explicit provider the engine would choose a version, and a default provider
// that the project forbids.
func TestEverythingInTheClusterIsRegisteredInFull(t *testing.T) {
	version := strings.TrimPrefix(sdk(t, "{{.Version}}"), "v")
	for _, entry := range install(t, nil, everything).resources {
		if !strings.HasPrefix(entry.kind, "kubernetes:") {
			continue
		}
		if entry.version != version {
			t.Errorf("%s: plugin version %q", entry.name, entry.version)
		}
		if !strings.Contains(entry.provider, "pulumi:providers:kubernetes::platform-dev") {
			t.Errorf("%s: provider %q", entry.name, entry.provider)
		}
		if entry.parent != "platform" {
			t.Errorf("%s: parent %q", entry.name, entry.parent)
		}
	}
}

func TestReleasesUseTheNamesOfTheSchema(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(sdk(t, "{{.Dir}}"), "go/kubernetes/helm/v3/release.go"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[resource.PropertyKey]bool{}
	arguments := string(source[bytes.Index(source, []byte("type releaseArgs struct")):])
	for _, tag := range regexp.MustCompile("`pulumi:\"(\\w+)\"`").FindAllStringSubmatch(arguments, -1) {
		known[resource.PropertyKey(tag[1])] = true
	}
	for name, release := range install(t, nil, everything).releases() {
		for key := range release.inputs {
			if !known[key] {
				t.Errorf("%s: a release has no property %s", name, key)
			}
		}
		for _, key := range []resource.PropertyKey{"compat", "name", "namespace", "chart", "version", "timeout"} {
			if _, ok := release.inputs[key]; !ok {
				t.Errorf("%s: no %s", name, key)
			}
		}
		if got := release.inputs["name"].StringValue(); got != name {
			t.Errorf("%s is installed as %s", name, got)
		}
		chart := release.inputs["chart"].StringValue()
		if _, hasRepository := release.inputs["repositoryOpts"]; hasRepository == strings.HasPrefix(chart, "oci://") {
			t.Errorf("%s: chart %s with a repository: %v", name, chart, hasRepository)
		}
	}
}

// sdk returns a fact about the module of the Kubernetes SDK, whose packages are too heavy to import.
func sdk(t *testing.T, format string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", format, "github.com/pulumi/pulumi-kubernetes/sdk/v4").Output()
	if err != nil {
		t.Fatalf("finding the Kubernetes SDK: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// The compiler does not check types of objects, so a wrong token is found only here.
func TestTypesOfObjects(t *testing.T) {
	r := install(t, nil, everything)
	for name, kind := range map[string]string{
		"namespace-data":              "kubernetes:core/v1:Namespace",
		"secret-grafana-admin":        "kubernetes:core/v1:Secret",
		"dashboard-platform":          "kubernetes:core/v1:ConfigMap",
		"storageclass-gp3":            "kubernetes:storage.k8s.io/v1:StorageClass",
		"snapshotclass-ebs":           "kubernetes:snapshot.storage.k8s.io/v1:VolumeSnapshotClass",
		"snapshot-controller":         "kubernetes:apps/v1:Deployment",
		"ingress-shared":              "kubernetes:networking.k8s.io/v1:Ingress",
		"ingressclass-alb":            "kubernetes:networking.k8s.io/v1:IngressClass",
		"ingressclassparams-alb":      "kubernetes:elbv2.k8s.aws/v1beta1:IngressClassParams",
		"clusterissuer-letsencrypt":   "kubernetes:cert-manager.io/v1:ClusterIssuer",
		"rabbitmq":                    "kubernetes:rabbitmq.com/v1beta1:RabbitmqCluster",
		"postgresql":                  "kubernetes:postgresql.cnpg.io/v1:Cluster",
		"root-application":            "kubernetes:argoproj.io/v1alpha1:Application",
		"project-dev":                 "kubernetes:argoproj.io/v1alpha1:AppProject",
		"podmonitor-rabbitmq":         "kubernetes:monitoring.coreos.com/v1:PodMonitor",
		"prometheusrule-certificates": "kubernetes:monitoring.coreos.com/v1:PrometheusRule",
	} {
		if got := r.find(t, name).kind; got != kind {
			t.Errorf("%s is a %s, want %s", name, got, kind)
		}
	}
}

func TestMirrorsReplaceRepositories(t *testing.T) {
	r := install(t, nil, func(c *config.Config) {
		c.Mirrors.Charts = map[string]string{
			"https://charts.jetstack.io":              "https://mirror.example.com/jetstack/",
			"oci://registry-1.docker.io/cloudpirates": "oci://mirror.example.com/charts",
			"https://argoproj.github.io/argo-helm":    "oci://mirror.example.com/argo",
		}
	})
	certManager := r.find(t, "cert-manager")
	if got := certManager.inputs["repositoryOpts"].ObjectValue()["repo"].StringValue(); got != "https://mirror.example.com/jetstack" {
		t.Errorf("cert-manager comes from %s", got)
	}
	for name, want := range map[string]string{
		"rabbitmq-cluster-operator": "oci://mirror.example.com/charts/rabbitmq-cluster-operator",
		"argo-cd":                   "oci://mirror.example.com/argo/argo-cd",
	} {
		release := r.find(t, name)
		if got := release.inputs["chart"].StringValue(); got != want {
			t.Errorf("%s comes from %s, want %s", name, got, want)
		}
		if _, ok := release.inputs["repositoryOpts"]; ok {
			t.Errorf("%s has a repository in addition to its reference", name)
		}
	}
}

func TestUserValuesLieOverOurs(t *testing.T) {
	r := install(t, nil, func(c *config.Config) {
		c.Addons.MetricsServer.Values = map[string]any{"resources": map[string]any{"requests": map[string]any{"cpu": "1"}},
			"replicas": 2}
		c.Addons.ArgoCD.Values = map[string]any{"dex": map[string]any{"enabled": true}}
	})
	values := valuesOf(r.find(t, "metrics-server"))
	requests := values["resources"].(map[string]any)["requests"].(map[string]any)
	if requests["cpu"] != "1" || requests["memory"] != "64Mi" || values["replicas"] != int64(2) || values["args"] == nil {
		t.Errorf("merged values are %v", values)
	}
	argocd := valuesOf(r.find(t, "argo-cd"))
	if argocd["dex"].(map[string]any)["enabled"] != true || argocd["controller"] == nil {
		t.Errorf("merged values are %v", argocd)
	}
}

func TestKeptVolumesAreKeptFromTheStart(t *testing.T) {
	r := install(t, nil, func(c *config.Config) { c.Protection.Volumes = keepVolumes })
	if got := r.find(t, "storageclass-gp3").inputs["reclaimPolicy"].StringValue(); got != "Retain" {
		t.Errorf("the class reclaims by %s", got)
	}
	if gate := r.find(t, "release-gate-volumes"); !strings.Contains(gate.inputs["create"].StringValue(),
		"VOLUMES='keep'") {
		t.Error("the gate does not turn existing volumes to Retain")
	}
}

func TestWithoutStorageNodesVolumesGoAnywhere(t *testing.T) {
	r := install(t, nil, func(c *config.Config) {
		for i := range c.Nodes {
			c.Nodes[i].Labels = nil
		}
	})
	if values := valuesOf(r.find(t, "valkey")); values["nodeSelector"] != nil {
		t.Errorf("valkey looks for %v, which no node has", values["nodeSelector"])
	}
	spec := plainMap(r.find(t, "rabbitmq").inputs)["spec"].(map[string]any)
	if affinity := spec["affinity"].(map[string]any); affinity["nodeAffinity"] != nil {
		t.Errorf("rabbitmq looks for %v, which no node has", affinity["nodeAffinity"])
	}
}

func TestSharedLoadBalancerHasTheProgramsGroupsAndCertificate(t *testing.T) {
	r := install(t, nil, everything)
	shared := plainMap(r.find(t, "ingress-shared").inputs)["metadata"].(map[string]any)["annotations"].(map[string]any)
	if got := shared["alb.ingress.kubernetes.io/security-groups"]; got != "sg-balancer,sg-backend" {
		t.Errorf("groups are %v", got)
	}
	params := plainMap(r.find(t, "ingressclassparams-alb").inputs)["spec"].(map[string]any)
	if got := params["certificateArn"].([]any)[0]; got != "arn:aws:acm:eu-central-1:1:certificate/1" {
		t.Errorf("certificate is %v", got)
	}
	if got := fmt.Sprint(params["subnets"]); got != "map[ids:[subnet-a subnet-b]]" {
		t.Errorf("subnets are %v: a zone that is added later would not be used", got)
	}
	record := r.find(t, "shop.example.com")
	if got := plainMap(record.inputs)["records"].([]any)[0]; got != "shared.elb.amazonaws.com" {
		t.Errorf("the record points to %v", got)
	}
}

func TestApplicationsGetWhatTheSettingsAllow(t *testing.T) {
	r := install(t, nil, func(c *config.Config) {
		everything(c)
		c.Addons.ArgoCD.Project = config.Project{
			Repositories: []string{"https://charts.example.com"},
			Namespaces:   map[string]string{"tools": baseline, "shop": restricted},
			Kinds:        []string{"cert-manager.io/Certificate", "LimitRange"},
		}
	})
	spec := plainMap(r.find(t, "project-dev").inputs)["spec"].(map[string]any)
	if got := fmt.Sprint(spec["sourceRepos"]); got != "[https://git.example.com/platform.git https://charts.example.com]" {
		t.Errorf("the sources are %s", got)
	}
	allowed := fmt.Sprint(spec["destinations"], spec["namespaceResourceWhitelist"])
	for _, want := range []string{"namespace:shop", "namespace:tools", "group:cert-manager.io kind:Certificate",
		"group: kind:LimitRange", "group:apps kind:Deployment"} {
		if !strings.Contains(allowed, want) {
			t.Errorf("%s is not in %s", want, allowed)
		}
	}
	if got := fmt.Sprint(plainMap(r.find(t, "project-root").inputs)["spec"]); strings.Contains(got, "shop") ||
		strings.Contains(got, "charts") {
		t.Errorf("the root Application may do more: %s", got)
	}
	for name, level := range map[string]string{"tools": baseline, "shop": restricted} {
		labels := plainMap(r.find(t, "namespace-"+name).inputs)["metadata"].(map[string]any)["labels"].(map[string]any)
		if labels["pod-security.kubernetes.io/enforce"] != level {
			t.Errorf("the namespace %s has the labels %v", name, labels)
		}
		if !r.outlives("namespace-"+name, "release-gate-applications") {
			t.Errorf("the namespace %s can be deleted before its applications", name)
		}
	}
}

// These packages import the whole Kubernetes API, which costs minutes and gigabytes to compile.
func TestImportsStayLean(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "kubeadm-aws/addons").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		_, below, ok := strings.Cut(path, "pulumi-kubernetes/sdk/v4/go/kubernetes")
		if ok && below != "" && below != "/utilities" {
			t.Errorf("imports %s", path)
		}
	}
}

// A release with definitions is complete when the API server serves their kinds. Otherwise the next chart fails with
// "no matches for kind".
func TestDefinitionsAreAwaited(t *testing.T) {
	releases := install(t, nil, everything).releases()
	for _, name := range []string{"calico-crds", "prometheus-operator-crds"} {
		if _, skips := releases[name].inputs["skipAwait"]; skips {
			t.Errorf("%s does not wait for its definitions", name)
		}
	}
}
