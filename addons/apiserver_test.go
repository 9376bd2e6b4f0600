package addons

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kubeadm-aws/internal/testenv"
)

// api is a real Kubernetes API server with etcd. No controllers run; the tests simulate them.
type api struct {
	t          *testing.T
	kubeconfig string
	url        string
}

// withKubectl puts the kubectl of the API server's release first on PATH, because the script under test calls it.
func withKubectl(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", filepath.Dir(testenv.NeedKubernetes(t, "kubectl"))+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func startAPI(t *testing.T, flags ...string) *api {
	t.Helper()
	if testing.Short() {
		t.Skip("starts an API server")
	}
	withKubectl(t)
	server := testenv.StartAPI(t, flags...)
	return &api{t: t, url: server.URL, kubeconfig: server.Kubeconfig}
}

func (a *api) until(what string, done func() bool) {
	a.t.Helper()
	if !testenv.Until(5*time.Minute, done) {
		a.t.Fatalf("not after five minutes: %s", what)
	}
}

// definitionsAreEstablished waits until the API serves every CustomResourceDefinition that it stores. kubectl wait
// fails for a definition without conditions.
func (a *api) definitionsAreEstablished() {
	a.t.Helper()
	a.until("the definitions are established", func() bool {
		_, err := a.try("", "wait", "--for=condition=Established", "--timeout=1s", "customresourcedefinitions", "--all")
		return err == nil
	})
}

func (a *api) try(input string, args ...string) (string, error) {
	a.t.Helper()
	return testenv.Kubectl(a.t, a.kubeconfig, input, args...)
}

func (a *api) kubectl(args ...string) string {
	a.t.Helper()
	out, err := a.try("", args...)
	if err != nil {
		a.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (a *api) apply(objects ...string) {
	a.t.Helper()
	if out, err := a.try("---\n"+strings.Join(objects, "\n---\n"), "create", "-f", "-"); err != nil {
		a.t.Fatalf("kubectl create: %v\n%s", err, out)
	}
}

// names returns the objects of a resource as namespace/name.
func (a *api) names(resource string) []string {
	a.t.Helper()
	return strings.Fields(a.kubectl("get", resource, "--all-namespaces", "-o",
		`go-template={{range .items}}{{.metadata.namespace}}/{{.metadata.name}} {{end}}`))
}

// definition returns a custom resource definition that accepts any fields.
func definition(group, version, kind, plural string) string {
	return fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[4]s.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {kind: %[3]s, plural: %[4]s}
  versions: [{name: %[2]s, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`, group, version, kind, plural)
}

// controller creates a Deployment with one ready pod, or without pods.
func (a *api) controller(namespace, name string, ready int) {
	a.t.Helper()
	a.apply(
		fmt.Sprintf(
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s, namespace: %s}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}}`, name, namespace))
	a.ready(namespace, name, ready)
}

func (a *api) ready(namespace, name string, n int) {
	a.t.Helper()
	a.kubectl("-n", namespace, "patch", "deployment", name, "--subresource=status", "--type=merge", "-p",
		fmt.Sprintf(`{"status":{"replicas":1,"readyReplicas":%d}}`, n))
}

// play repeats the action of a controller until the test ends.
func (a *api) play(part func()) {
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		for {
			select {
			case <-stop:
				return
			case <-time.After(300 * time.Millisecond):
				part()
			}
		}
	}()
	a.t.Cleanup(func() { close(stop); done.Wait() })
}

// finish removes the finalizers of the objects of a resource that are being deleted, as their controller would, and
// returns their names.
func (a *api) finish(resource string) []string {
	out, err := a.try("", "get", resource, "--all-namespaces", "-o",
		`go-template={{range .items}}{{if .metadata.deletionTimestamp}}{{or .metadata.namespace "default"}} {{.metadata.name}}{{"\n"}}{{end}}{{end}}`)
	if err != nil {
		return nil
	}
	var finished []string
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if namespace, name, ok := strings.Cut(line, " "); ok {
			_, _ = a.try("", "-n", namespace, "patch", resource, name, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
			finished = append(finished, name)
		}
	}
	return finished
}
