// Package apps holds no program. Its tests render what Argo CD will sync, with the library that Argo CD renders with,
// and hold it against the settings of the stacks.
package apps

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"kubeadm-aws/config"
)

var environments = []string{"dev", "staging", "prod"}

// object is one rendered object.
type object map[string]any

func (o object) kind() string { return text(o, "kind") }
func (o object) name() string { return text(o, "metadata", "name") }

func (o object) String() string { return o.kind() + " " + o.name() }

// at follows keys and list positions; nil where nothing is.
func at(v any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			switch m := v.(type) {
			case object:
				v = m[key]
			case map[string]any:
				v = m[key]
			default:
				return nil
			}
		case int:
			list, ok := v.([]any)
			if !ok || key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

func text(v any, path ...any) string {
	s, _ := at(v, path...).(string)
	return s
}

func list(v any, path ...any) []any {
	l, _ := at(v, path...).([]any)
	return l
}

func table(v any, path ...any) map[string]any {
	m, _ := at(v, path...).(map[string]any)
	return m
}

// render is `kustomize build`.
func render(t *testing.T, dir string) []object {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("kustomize build %s: %v", dir, err)
	}
	var objects []object
	for _, r := range built.Resources() {
		m, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, m)
	}
	return objects
}

func only(objects []object, kinds ...string) []object {
	return slices.DeleteFunc(slices.Clone(objects), func(o object) bool { return !slices.Contains(kinds, o.kind()) })
}

func find(objects []object, kind, name string) object {
	for _, o := range objects {
		if o.kind() == kind && o.name() == name {
			return o
		}
	}
	return nil
}

func settings(t *testing.T, environment string) *config.Config {
	t.Helper()
	cfg, err := config.LoadFile(environment, "..")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// folders are the apps that an environment has settings for.
func folders(t *testing.T, environment string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("../envs", environment))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		t.Fatalf("envs/%s has no apps", environment)
	}
	return names
}

func TestEveryAppOfAnEnvironmentHasAnApplication(t *testing.T) {
	for _, environment := range environments {
		t.Run(environment, func(t *testing.T) {
			var synced []string
			for _, a := range render(t, "../envs/"+environment) {
				if a.kind() != "Application" || text(a, "metadata", "namespace") != "argocd" {
					t.Errorf("%s in namespace %q: Argo CD looks for Applications in argocd", a, text(a, "metadata", "namespace"))
				}
				folder := text(a, "spec", "source", "path")
				if path.Dir(folder) != "envs/"+environment {
					t.Errorf("%s syncs %q, which is not of this environment", a, folder)
				}
				synced = append(synced, path.Base(folder))
				if text(a, "spec", "destination", "namespace") != "apps" {
					t.Errorf("%s deploys to namespace %q", a, text(a, "spec", "destination", "namespace"))
				}
				// Without it a destroy forgets what the app made in AWS.
				if text(a, "metadata", "finalizers", 0) != "resources-finalizer.argocd.argoproj.io" {
					t.Errorf("deleting %s leaves behind what it deployed", a)
				}
				if at(a, "spec", "syncPolicy", "automated", "prune") != true ||
					at(a, "spec", "syncPolicy", "automated", "selfHeal") != true {
					t.Errorf("%s is not kept in sync", a)
				}
				if at(a, "spec", "syncPolicy", "retry", "refresh") != true {
					t.Errorf("%s retries a bad commit after its revert", a)
				}
			}
			slices.Sort(synced)
			if want := folders(t, environment); !slices.Equal(synced, want) {
				t.Errorf("Applications for %v, folders %v", synced, want)
			}
		})
	}
}

// Every environment and every kind of release renders to manifests that fit together and that its nodes can run.
func TestAppsFitTogetherAndOnTheirNodes(t *testing.T) {
	for _, environment := range environments {
		cfg := settings(t, environment)
		for _, app := range folders(t, environment) {
			t.Run(environment+"/"+app, func(t *testing.T) {
				objects := renderApp(t, environment, app, factsOf(cfg))
				workloads := only(objects, "Deployment", "Rollout")
				if len(workloads) != 1 {
					t.Fatalf("%d workloads, want 1", len(workloads))
				}
				for _, o := range objects {
					if text(o, "metadata", "namespace") != "apps" {
						t.Errorf("%s is in namespace %q", o, text(o, "metadata", "namespace"))
					}
					if o.kind() == "Secret" {
						t.Errorf("%s is in Git", o)
					}
				}
				workload := workloads[0]
				checkPod(t, at(workload, "spec", "template", "spec"))
				for _, job := range jobs(objects) {
					checkPod(t, job)
				}
				checkPlacement(t, cfg, workload)
				checkServices(t, objects, workload)
				checkJobs(t, objects, workload)
				checkScaling(t, objects, workload)
				checkBudget(t, cfg, objects, workload)
				checkRelease(t, objects, workload)
				checkIngress(t, cfg, objects)
			})
		}
	}
}

// facts are those that the root Application of a stack writes into the object of envs/stack.
type facts struct{ registry, host string }

func factsOf(cfg *config.Config) facts {
	f := facts{registry: "registry.example.com/team", host: "api.invalid"}
	if len(cfg.DNS.IngressHosts) > 0 {
		f.host = cfg.DNS.IngressHosts[0]
	}
	return f
}

func (f facts) patch() string {
	return fmt.Sprintf("- {op: replace, path: /data/registry, value: %q}\n- {op: replace, path: /data/host, value: %q}\n", f.registry, f.host)
}

// renderApp renders an app as Argo CD does, with the facts of a stack.
func renderApp(t *testing.T, environment, app string, f facts) []object {
	t.Helper()
	return renderWith(t, environment, app, []any{map[string]any{
		"target": map[string]any{"kind": "ConfigMap", "name": "stack"}, "patch": f.patch(),
	}})
}

// renderWith renders an app in a copy of its files, to whose kustomization patches are added, which is what Argo CD
// does.
func renderWith(t *testing.T, environment, app string, patches []any) []object {
	t.Helper()
	dir := t.TempDir()
	for _, from := range []string{"api", "worker", "../envs"} {
		if err := os.CopyFS(filepath.Join(dir, "apps", from), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(dir, "envs", environment, app)
	file := filepath.Join(folder, "kustomization.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kustomization map[string]any
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		t.Fatal(err)
	}
	kustomization["patches"] = append(list(kustomization, "patches"), patches...)
	if content, err = yaml.Marshal(kustomization); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return render(t, folder)
}

// No account, and no tag that could come to mean another image.
func TestGitHoldsDigestsAndNoRegistry(t *testing.T) {
	for _, environment := range environments {
		for _, app := range folders(t, environment) {
			content, err := os.ReadFile(filepath.Join("../envs", environment, app, "kustomization.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			var kustomization map[string]any
			if err := yaml.Unmarshal(content, &kustomization); err != nil {
				t.Fatal(err)
			}
			image := at(kustomization, "images", 0)
			if text(image, "newName") != "registry.invalid/app" || !digest.MatchString(text(image, "digest")) || at(image, "newTag") != nil {
				t.Errorf("envs/%s/%s has the image %v", environment, app, image)
			}
		}
	}
}

var (
	digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	pinned = regexp.MustCompile(`^registry\.example\.com/team/app@sha256:[0-9a-f]{64}$`)
)

// jobs are the pods of what runs once: migrations, and the Jobs of an analysis.
func jobs(objects []object) []any {
	var pods []any
	for _, o := range only(objects, "Job") {
		pods = append(pods, at(o, "spec", "template", "spec"))
	}
	for _, o := range only(objects, "AnalysisTemplate") {
		for _, metric := range list(o, "spec", "metrics") {
			if pod := at(metric, "provider", "job", "spec", "template", "spec"); pod != nil {
				pods = append(pods, pod)
			}
		}
	}
	return pods
}

func checkPod(t *testing.T, pod any) {
	t.Helper()
	if at(pod, "securityContext", "runAsNonRoot") != true {
		t.Error("the pod may run as root, which its namespace refuses")
	}
	if text(pod, "securityContext", "seccompProfile", "type") != "RuntimeDefault" {
		t.Error("the pod has no seccomp profile, which its namespace refuses")
	}
	for _, c := range list(pod, "containers") {
		name := text(c, "name")
		if at(c, "securityContext", "readOnlyRootFilesystem") != true {
			t.Errorf("container %s may write to its image", name)
		}
		if image := text(c, "image"); !pinned.MatchString(image) {
			t.Errorf("container %s: image %q is not the registry's app with a digest", name, image)
		}
		for _, probe := range []string{"startupProbe", "livenessProbe"} {
			// What runs once has no probes.
			if at(c, probe) == nil && text(pod, "restartPolicy") != "Never" {
				t.Errorf("container %s has no %s", name, probe)
			}
		}
		if text(c, "ports", 0, "name") == "http" && at(c, "readinessProbe") == nil {
			t.Errorf("container %s gets requests before it is ready", name)
		}
		for _, resource := range []string{"cpu", "memory"} {
			if text(c, "resources", "requests", resource) == "" {
				t.Errorf("container %s requests no %s", name, resource)
			}
		}
		if at(c, "securityContext", "allowPrivilegeEscalation") != false ||
			text(c, "securityContext", "capabilities", "drop", 0) != "ALL" {
			t.Errorf("container %s keeps privileges, which its namespace refuses", name)
		}
	}
}

// checkPlacement looks for a node of the stack that has the labels the pod asks for and no taint that it does not
// tolerate.
func checkPlacement(t *testing.T, cfg *config.Config, workload object) {
	t.Helper()
	selector := table(workload, "spec", "template", "spec", "nodeSelector")
	if len(selector) == 0 {
		t.Error("no node selector: the pod may run next to the databases")
	}
	if len(fittingNodes(cfg, workload)) == 0 {
		t.Errorf("no node of stack %s has the labels %v and no taint", cfg.Stack, selector)
	}
}

func selects(selector map[string]any, workload object) bool {
	labels := table(workload, "spec", "template", "metadata", "labels")
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

func checkServices(t *testing.T, objects []object, workload object) {
	t.Helper()
	if !selects(table(workload, "spec", "selector", "matchLabels"), workload) {
		t.Errorf("%s does not select its own pods", workload)
	}
	named := map[string]bool{}
	for _, c := range list(workload, "spec", "template", "spec", "containers") {
		for _, p := range list(c, "ports") {
			named[text(p, "name")] = true
		}
	}
	for _, s := range only(objects, "Service") {
		if !selects(table(s, "spec", "selector"), workload) {
			t.Errorf("%s selects %v, which is not on the pods", s, table(s, "spec", "selector"))
		}
		if port := text(s, "spec", "ports", 0, "targetPort"); !named[port] {
			t.Errorf("%s sends to port %q, which no container has", s, port)
		}
		if text(s, "spec", "type") != "NodePort" {
			t.Errorf("%s is not reachable for the load balancer, whose targets are nodes", s)
		}
	}
	if account := text(workload, "spec", "template", "spec", "serviceAccountName"); find(objects, "ServiceAccount",
		account) == nil {
		t.Errorf("service account %q is not there", account)
	}
}

// checkJobs wants no Job's pod to count as a pod of the workload. A finished pod would take requests, and the
// disruption controller would allow no eviction, because a Job has no scale.
func checkJobs(t *testing.T, objects []object, workload object) {
	t.Helper()
	selectors := map[string]map[string]any{workload.String(): table(workload, "spec", "selector", "matchLabels")}
	for _, o := range only(objects, "Service", "PodDisruptionBudget", "PodMonitor") {
		selectors[o.String()] = table(o, "spec", "selector")
		if o.kind() != "Service" {
			selectors[o.String()] = table(o, "spec", "selector", "matchLabels")
		}
	}
	for _, job := range only(objects, "Job") {
		for who, selector := range selectors {
			if selects(selector, job) {
				t.Errorf("%s selects the pod of %s", who, job)
			}
		}
	}
}

func checkScaling(t *testing.T, objects []object, workload object) {
	t.Helper()
	scalers := only(objects, "HorizontalPodAutoscaler")
	if len(scalers) != 1 {
		t.Fatalf("%d autoscalers, want 1", len(scalers))
	}
	h := scalers[0]
	target := table(h, "spec", "scaleTargetRef")
	if target["kind"] != workload.kind() || target["name"] != workload.name() ||
		target["apiVersion"] != text(workload, "apiVersion") {
		t.Errorf("%s scales %v", h, target)
	}
	if at(workload, "spec", "replicas") != nil {
		t.Errorf("%s has a number of replicas, which Argo CD and the autoscaler would fight over", workload)
	}
	low, high := fmt.Sprint(at(h, "spec", "minReplicas")), fmt.Sprint(at(h, "spec", "maxReplicas"))
	if len(low) > len(high) || len(low) == len(high) && low > high {
		t.Errorf("%s scales from %s to %s", h, low, high)
	}
}

// checkBudget wants a budget where an evicted pod has another node to go to, and none where it has not: on a single
// node the first evicted pod waits for a node, and a budget would hold the others there forever.
func checkBudget(t *testing.T, cfg *config.Config, objects []object, workload object) {
	t.Helper()
	nodes := len(fittingNodes(cfg, workload))
	budgets := only(objects, "PodDisruptionBudget")
	switch {
	case nodes < 2 && len(budgets) > 0:
		t.Errorf("%s: stack %s has %d node for the pods, so a drain of it would never end", budgets[0], cfg.Stack, nodes)
	case nodes >= 2 && len(budgets) != 1:
		t.Errorf("%d budgets, want 1: %d nodes take the pods", len(budgets), nodes)
	case nodes >= 2 && !selects(table(budgets[0], "spec", "selector", "matchLabels"), workload):
		t.Errorf("%s does not select the pods", budgets[0])
	}
}

// fittingNodes are the nodes of a stack with the labels that a workload asks for and without a taint that it does not
// tolerate.
func fittingNodes(cfg *config.Config, workload object) []string {
	var names []string
	for _, node := range cfg.Nodes {
		fits := len(node.Taints) == 0
		for key, value := range table(workload, "spec", "template", "spec", "nodeSelector") {
			fits = fits && node.Labels[key] == value
		}
		if fits {
			names = append(names, node.Name)
		}
	}
	return names
}

// checkAnalyses wants the AnalysisTemplate of each templateName in a strategy.
func checkAnalyses(t *testing.T, objects []object, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if name := text(v, "templateName"); name != "" {
			template := find(objects, "AnalysisTemplate", name)
			if template == nil {
				t.Errorf("there is no AnalysisTemplate %q", name)
			}
			// Argo CD would otherwise write the Rollout first, by their names.
			if text(template, "metadata", "annotations", "argocd.argoproj.io/sync-wave") != "-1" {
				t.Errorf("AnalysisTemplate %q is not in a wave before the Rollout that runs it", name)
			}
		}
		for _, part := range v {
			checkAnalyses(t, objects, part)
		}
	case []any:
		for _, part := range v {
			checkAnalyses(t, objects, part)
		}
	}
}

// checkRelease wants the Services that a strategy names.
func checkRelease(t *testing.T, objects []object, workload object) {
	t.Helper()
	if workload.kind() != "Rollout" {
		return
	}
	strategy := table(workload, "spec", "strategy")
	if len(strategy) != 1 {
		t.Errorf("%s has %d strategies, want 1: %v", workload, len(strategy), strategy)
	}
	for _, role := range [][]any{
		{"canary", "stableService"}, {"canary", "canaryService"}, {"canary", "trafficRouting", "alb", "rootService"},
		{"blueGreen", "activeService"}, {"blueGreen", "previewService"},
	} {
		if name := text(strategy, role...); name != "" && find(objects, "Service", name) == nil {
			t.Errorf("%s wants Service %q as %v, which is not there", workload, name, role)
		}
	}
	checkAnalyses(t, objects, strategy)
	if name := text(strategy, "canary", "trafficRouting", "alb", "ingress"); name != "" {
		ingress := find(objects, "Ingress", name)
		root := text(strategy, "canary", "trafficRouting", "alb", "rootService")
		backend := at(ingress, "spec", "rules", 0, "http", "paths", 0, "backend", "service")
		if text(backend, "name") != root || text(backend, "port", "name") != "use-annotation" {
			t.Errorf("Ingress %s sends to %v; Argo Rollouts can shift requests only where it sends to %s by annotation", name,
				backend, root)
		}
		checkFirstShares(t, objects, ingress, root, text(strategy, "canary", "stableService"))
	}
}

// checkFirstShares wants the annotation that an Ingress begins with. The load balancer controller refuses the backend
// use-annotation without it, and then changes no Ingress of the group.
func checkFirstShares(t *testing.T, objects []object, ingress object, root, stable string) {
	t.Helper()
	var action struct {
		Type          string
		ForwardConfig struct {
			TargetGroups []struct {
				ServiceName, ServicePort string
				Weight                   int
			}
		}
	}
	annotation := text(ingress, "metadata", "annotations", "alb.ingress.kubernetes.io/actions."+root)
	if err := json.Unmarshal([]byte(annotation), &action); err != nil {
		t.Fatalf("%s: the first shares of %s are %q: %v", ingress, root, annotation, err)
	}
	groups := action.ForwardConfig.TargetGroups
	if action.Type != "forward" || len(groups) != 1 || groups[0].ServiceName != stable || groups[0].Weight != 100 {
		t.Fatalf("%s: the first shares are %q, want all requests for %s", ingress, annotation, stable)
	}
	port := fmt.Sprint(at(find(objects, "Service", stable), "spec", "ports", 0, "port"))
	if port != groups[0].ServicePort {
		t.Errorf("%s: the first shares are for port %s, and Service %s has %s", ingress, groups[0].ServicePort, stable,
			port)
	}
}

// checkIngress wants the names that the stack's certificate and records are for.
func checkIngress(t *testing.T, cfg *config.Config, objects []object) {
	t.Helper()
	for _, i := range only(objects, "Ingress") {
		if cfg.DNS.Domain == "" {
			t.Errorf("%s: stack %s has no domain, so nothing makes it reachable", i, cfg.Stack)
		}
		if text(i, "spec", "ingressClassName") != "alb" {
			t.Errorf("%s is of class %q", i, text(i, "spec", "ingressClassName"))
		}
		for _, rule := range list(i, "spec", "rules") {
			if host := text(rule, "host"); !slices.Contains(cfg.DNS.IngressHosts, host) {
				t.Errorf("%s serves %q; the certificate and the records of stack %s are for %v (dns.ingressHosts)", i, host,
					cfg.Stack, cfg.DNS.IngressHosts)
			}
			for _, p := range list(rule, "http", "paths") {
				service, port := text(p, "backend", "service", "name"), text(p, "backend", "service", "port", "name")
				s := find(objects, "Service", service)
				if s == nil || port != "use-annotation" && text(s, "spec", "ports", 0, "name") != port {
					t.Errorf("%s sends to port %q of Service %q, which is not there", i, port, service)
				}
			}
		}
		// A pod that ends must outlive the time in which the load balancer still sends it requests.
		attributes := text(i, "metadata", "annotations", "alb.ingress.kubernetes.io/target-group-attributes")
		if !strings.Contains(attributes, "deregistration_delay.timeout_seconds=10") {
			t.Errorf("%s: the load balancer drains for 5 minutes, and the pods wait for 15 s", i)
		}
	}
}
