package addons

import (
	"fmt"
	"strings"
	"testing"
)

// deploys creates Argo CD's definition and an Application with a sync policy that has deployed the objects.
func (a *api) deploys(policy, resources string) {
	a.t.Helper()
	a.apply(definition("argoproj.io", "v1alpha1", "Application", "applications"))
	a.until("the definition is served", func() bool { _, err := a.try("", "get", "applications"); return err == nil })
	a.apply(`{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: new, namespace: argocd}}`,
		fmt.Sprintf(`{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: shop, namespace: argocd}, `+
			`spec: {syncPolicy: %s}, status: {resources: [%s]}}`, policy, resources))
}

func gateRefusesWhatArgoCDWouldCreateAgain(t *testing.T, a *api) {
	const deployed = `{group: networking.k8s.io, kind: Ingress, namespace: default, name: shop}, ` +
		`{kind: Service, namespace: default, name: mail}, {kind: Service, namespace: default, name: shop}, ` +
		`{kind: PersistentVolumeClaim, namespace: default, name: data}, ` +
		`{group: rabbitmq.com, kind: RabbitmqCluster, namespace: default, name: own}, {kind: Namespace, name: default}`
	a.apply(definition("rabbitmq.com", "v1beta1", "RabbitmqCluster", "rabbitmqclusters"))
	a.until("the definition is served", func() bool { _, err := a.try("", "get", "rabbitmqclusters"); return err == nil })
	a.deploys("{automated: {}}", deployed)
	a.apply(userIngress, userService, otherWeb,
		`{apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, metadata: {name: own, namespace: default}}`)
	a.apply(volume("data", "gp3", "Delete")...)
	gates := map[string][]string{
		"Ingress default/shop":               {"RELEASE=load-balancers"},
		"Service default/mail":               {"RELEASE=load-balancers"},
		"PersistentVolumeClaim default/data": {"RELEASE=volumes", "VOLUMES=delete"},
		"RabbitmqCluster default/own":        {"RELEASE=resources", "RESOURCES=rabbitmqclusters.rabbitmq.com"},
	}
	for object, settings := range gates {
		out, err := a.gate(append(settings, "ACTION=release", "CONTROLLER=kube-system/deployment/none")...)
		if err == nil || !strings.Contains(out, object+" of the Application argocd/shop") ||
			strings.Contains(out, "Service default/shop") {
			t.Errorf("%s: %v\n%s", object, err, out)
		}
	}
	a.wantNames("ingresses", "default/shop")
	a.wantNames("persistentvolumeclaims", "default/data")
	a.wantNames("rabbitmqclusters", "default/own")
	for _, off := range []string{"null", `{"automated":null,"syncOptions":["Prune=false"]}`, `{"automated":{"enabled":false}}`} {
		a.kubectl("-n", "argocd", "patch", "application", "shop", "--type=merge", "-p", `{"spec":{"syncPolicy":`+off+`}}`)
		a.mustGate("ACTION=release", "RELEASE=load-balancers", "CONTROLLER=kube-system/deployment/none")
	}
	a.wantNames("ingresses")
}

// An object that comes back while the gate runs keeps its load balancer, so the controller has to stay.
func gateFailsWhereAnObjectComesBack(t *testing.T, a *api) {
	a.controller("kube-system", "lbc", 1)
	a.apply(userIngress, otherWeb)
	a.play(func() {
		a.finish("ingresses")
		_, _ = a.try(userIngress, "create", "-f", "-")
	})
	out, err := a.gate("ACTION=release", "RELEASE=load-balancers", "CONTROLLER=kube-system/deployment/lbc", "LIMIT=3")
	if err == nil || !strings.Contains(out, "Created again while the gate removed all ingresses: default/shop") {
		t.Errorf("%v\n%s", err, out)
	}
}

func gateKeepsWebhooksOfOtherGroups(t *testing.T, a *api) {
	a.controller("kube-system", "lbc", 0)
	a.apply(userIngress, webhook("foreign", "config.openshift.io", "v1", "ingresses"))
	a.mustGate("ACTION=release", "RELEASE=load-balancers", "CONTROLLER=kube-system/deployment/lbc")
	a.wantNames("ingresses")
	a.kubectl("get", "validatingwebhookconfiguration", "foreign")
}
