package addons

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// webhook refuses every update of a resource, because its server does not run.
func webhook(name, group, version, resource string) string {
	return fmt.Sprintf(
		`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: %s}, webhooks: [{name: a.b.c, admissionReviewVersions: [v1], sideEffects: None, clientConfig: {url: "https://127.0.0.1:1"}, rules: [{apiGroups: [%s], apiVersions: [%s], operations: [CREATE, UPDATE], resources: [%s]}]}]}`,
		name, group, version, resource)
}

// The program's own cluster blocks a destroy if its operator does not run. The engine does not delete it, so the gate
// has to.
func gateRemovesTheProgramsOwnClusterWithoutItsOperator(t *testing.T, a *api) {
	a.apply(definition("rabbitmq.com", "v1beta1", "RabbitmqCluster", "rabbitmqclusters"))
	a.until("the definition is served", func() bool { _, err := a.try("", "get", "rabbitmqclusters"); return err == nil })
	own, err := os.ReadFile("testdata/objects/rabbitmq.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a.apply(string(own))
	// What the operator did while it ran, and what blocks the deletion now.
	a.kubectl("-n", dataNamespace, "patch", "rabbitmqcluster", "rabbitmq", "--type=merge", "-p",
		`{"metadata":{"finalizers":["deletion.finalizers.rabbitmqclusters.rabbitmq.com"]}}`)
	a.apply(webhook("operator", "rabbitmq.com", "v1beta1", "rabbitmqclusters"))

	out := a.mustGate("ACTION=release", "RELEASE=resources", "RESOURCES=rabbitmqclusters.rabbitmq.com",
		"CONTROLLER=rabbitmq-system/deployment/rabbitmq-cluster-operator")
	a.wantNames("rabbitmqclusters")
	const want = "removing the finalizers of rabbitmqclusters.rabbitmq.com data/rabbitmq: its controller does not run"
	if !strings.Contains(out, want) {
		t.Errorf("not said: %s", want)
	}
}

// The operator processes a database's finalizer in the running server, so databases are deleted before their cluster
// is changed.
func gateRemovesDatabasesBeforeTheirCluster(t *testing.T, a *api) {
	const group = "postgresql.cnpg.io"
	a.apply(definition(group, "v1", "Database", "databases"), definition(group, "v1", "Cluster", "clusters"))
	a.until("the definitions are served", func() bool {
		_, err := a.try("", "get", "databases,clusters")
		return err == nil
	})
	a.controller("kube-system", "cnpg", 1)
	a.apply(
		`{apiVersion: postgresql.cnpg.io/v1, kind: Database, metadata: {name: shop, namespace: default, finalizers: [cnpg.io/deleteDatabase]}}`,
		`{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: own, namespace: default}}`)
	a.play(func() {
		if out, err := a.try("", "get", "clusters", "own", "-o", "name"); err == nil && out != "" {
			a.finish("databases")
		}
	})
	out := a.mustGate("ACTION=release", "RELEASE=resources", "CONTROLLER=kube-system/deployment/cnpg",
		"RESOURCES=databases.postgresql.cnpg.io publications.postgresql.cnpg.io clusters.postgresql.cnpg.io")
	a.wantNames("databases")
	a.wantNames("clusters")
	if strings.Contains(out, "without its controller") {
		t.Error("the operator had no chance to drop the database")
	}
}

// A controller can be ready and still do nothing, for example with an expired credential.
func gateLetsGoWhenTheControllerDoesNothing(t *testing.T, a *api) {
	a.apply(definition("rabbitmq.com", "v1beta1", "RabbitmqCluster", "rabbitmqclusters"))
	a.until("the definition is served", func() bool { _, err := a.try("", "get", "rabbitmqclusters"); return err == nil })
	a.controller("rabbitmq-system", "operator", 1)
	a.apply(
		`{apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, metadata: {name: own, namespace: default, finalizers: [deletion.finalizers.rabbitmqclusters.rabbitmq.com]}}`)
	out := a.mustGate("ACTION=release", "RELEASE=resources", "RESOURCES=rabbitmqclusters.rabbitmq.com",
		"CONTROLLER=rabbitmq-system/deployment/operator", "LIMIT=2")
	a.wantNames("rabbitmqclusters")
	if !strings.Contains(out, "These still exist after 2 s.") {
		t.Error("the gate did not wait for a controller that is ready")
	}
}

// If a part of the API does not answer, discovery is incomplete. The gate must not leave objects behind for that
// reason.
func gateDoesNotMindADeadPartOfTheAPI(t *testing.T, a *api) {
	a.apply(
		`{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1beta1.metrics.k8s.io}, spec: {group: metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: {name: metrics-server, namespace: kube-system}}}`)
	t.Cleanup(func() { a.kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io") })
	a.until("the part of the API is dead", func() bool {
		out, err := a.try("", "get", "apiservice", "v1beta1.metrics.k8s.io", "-o",
			`jsonpath={.status.conditions[?(@.type=="Available")].status}`)
		return err == nil && out == "False"
	})
	a.controller("kube-system", "lbc", 1)
	a.apply(userIngress, userService)
	a.apply(volume("data", "gp3", "Delete")...)
	a.play(func() { a.finish("ingresses"); a.finish("services") })
	a.storage()
	a.mustGate("ACTION=release", "RELEASE=load-balancers", "CONTROLLER=kube-system/deployment/lbc")
	a.mustGate("ACTION=release", "RELEASE=volumes", "VOLUMES=delete", "CONTROLLER=kube-system/deployment/lbc")
	a.mustGate("ACTION=release", "RELEASE=applications", "CONTROLLER=argocd/deployment/argocd")
	a.wantNames("ingresses")
	a.wantNames("persistentvolumeclaims")
}
