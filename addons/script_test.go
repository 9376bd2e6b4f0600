package addons

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// gate runs the script and returns its output and whether it succeeded.
func (a *api) gate(settings ...string) (string, error) {
	cmd := exec.Command("bash", "scripts/release-gate.sh")
	cmd.Env = append(os.Environ(), append([]string{"KUBECONFIG=" + a.kubeconfig, "INTERVAL=0.3", "LIMIT=30",
		"DEAD_LIMIT=1"}, settings...)...)
	out, err := cmd.CombinedOutput()
	a.t.Logf("%s:\n%s", strings.Join(settings, " "), out)
	return string(out), err
}

func (a *api) mustGate(settings ...string) string {
	a.t.Helper()
	out, err := a.gate(settings...)
	if err != nil {
		a.t.Errorf("the gate failed: %v", err)
	}
	return out
}

func (a *api) wantNames(resource string, want ...string) {
	a.t.Helper()
	if got := a.names(resource); !slices.Equal(got, want) {
		a.t.Errorf("%s that are left: %v, want %v", resource, got, want)
	}
}

// One API server serves all cases in turn: starting it takes longer than all of them.
func TestReleaseGate(t *testing.T) {
	server := startAPI(t)
	for _, namespace := range []string{"argocd", "rabbitmq-system", dataNamespace} {
		server.kubectl("create", "namespace", namespace)
	}
	for name, test := range map[string]func(*testing.T, *api){
		"gate removes load balancers of users":              gateRemovesLoadBalancersOfUsers,
		"gate lets go when the controller is dead":          gateLetsGoWhenTheControllerIsDead,
		"gate deletes applications with what they deployed": gateDeletesApplicationsWithWhatTheyDeployed,
		"gate without the definition has nothing to do":     gateWithoutTheDefinitionHasNothingToDo,
		"gate removes custom resources of users":            gateRemovesCustomResourcesOfUsers,
		"gate removes the program's own cluster":            gateRemovesTheProgramsOwnClusterWithoutItsOperator,
		"gate removes databases before their cluster":       gateRemovesDatabasesBeforeTheirCluster,
		"gate lets go when the controller does nothing":     gateLetsGoWhenTheControllerDoesNothing,
		"gate does not mind a dead part of the API":         gateDoesNotMindADeadPartOfTheAPI,
		"gate deletes volumes with their workloads":         gateDeletesVolumesWithTheirWorkloads,
		"gate keeps volumes":                                gateKeepsVolumes,
		"gate names volumes that a dead driver leaves":      gateNamesVolumesThatADeadDriverLeaves,
		"gate refuses what Argo CD would create again":      gateRefusesWhatArgoCDWouldCreateAgain,
		"gate fails where an object comes back":             gateFailsWhereAnObjectComesBack,
		"gate keeps webhooks of other groups":               gateKeepsWebhooksOfOtherGroups,
		"holding volumes sets what becomes of them":         holdingVolumesSetsWhatBecomesOfThem,
	} {
		t.Run(name, func(t *testing.T) {
			a := &api{t: t, kubeconfig: server.kubeconfig}
			t.Cleanup(a.wipe)
			test(t, a)
		})
	}
}

// wipe removes the objects of a case.
func (a *api) wipe() {
	_, _ = a.try("", "delete", "validatingwebhookconfigurations", "--all") // they would refuse the rest
	for _, resource := range []string{"ingresses", "services", "persistentvolumeclaims", "persistentvolumes",
		"applications.argoproj.io", "rabbitmqclusters.rabbitmq.com", "databases.postgresql.cnpg.io"} {
		_, _ = a.try("", "delete", resource, "--all", "--all-namespaces", "--wait=false")
		a.finish(resource)
	}
	_, _ = a.try("", "delete", "deployments,replicasets,pods", "--all", "--all-namespaces", "--force", "--grace-period=0")
	_, _ = a.try("", "delete", "customresourcedefinitions", "--all")
}

const (
	userIngress = `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: shop, namespace: default, finalizers: [ingress.k8s.aws/resources]}, spec: {defaultBackend: {service: {name: shop, port: {number: 80}}}}}`
	userService = `{apiVersion: v1, kind: Service, metadata: {name: mail, namespace: default, finalizers: [service.k8s.aws/resources]}, spec: {type: LoadBalancer, ports: [{port: 25}]}}`
	otherWeb    = `{apiVersion: v1, kind: Service, metadata: {name: shop, namespace: default}, spec: {ports: [{port: 80}]}}`
)

func gateRemovesLoadBalancersOfUsers(t *testing.T, a *api) {
	settings := []string{"ACTION=release", "RELEASE=load-balancers", "CONTROLLER=kube-system/deployment/lbc"}
	a.controller("kube-system", "lbc", 1)
	a.apply(definition("elbv2.k8s.aws", "v1beta1", "TargetGroupBinding", "targetgroupbindings"))
	a.until("the definition is served", func() bool {
		_, err := a.try("", "get", "targetgroupbindings")
		return err == nil
	})
	a.until("the API has its own Service", func() bool {
		_, err := a.try("", "get", "service", "kubernetes")
		return err == nil
	})
	a.apply(userIngress, userService, otherWeb)
	a.play(func() { a.finish("ingresses"); a.finish("services") })

	a.mustGate("ACTION=hold", "RELEASE=load-balancers", "CONTROLLER=x")
	a.wantNames("ingresses", "default/shop")
	a.mustGate(settings...)
	a.wantNames("ingresses")
	a.wantNames("services", "default/kubernetes", "default/shop")
	a.mustGate(settings...)
}

func gateLetsGoWhenTheControllerIsDead(t *testing.T, a *api) {
	a.controller("kube-system", "lbc", 0)
	a.apply(userIngress, userService, webhook("aws-load-balancer-webhook", "networking.k8s.io", "v1", "ingresses"),
		`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: other}, webhooks: []}`)
	a.kubectl("patch", "ingress", "shop", "--subresource=status", "--type=merge", "-p",
		`{"status":{"loadBalancer":{"ingress":[{"hostname":"k8s-shop.elb.amazonaws.com"}]}}}`)

	out := a.mustGate("ACTION=release", "RELEASE=load-balancers", "CONTROLLER=kube-system/deployment/lbc")
	a.wantNames("ingresses")
	if !strings.Contains(out, "k8s-shop.elb.amazonaws.com") {
		t.Error("the load balancer that is left to the sweep is not named")
	}
	if left := a.kubectl("get", "validatingwebhookconfigurations", "-o", "name"); !strings.Contains(left, "/other") ||
		strings.Contains(left, "/aws-load-balancer-webhook") {
		t.Errorf("webhooks that are left: %s", left)
	}
}

func gateDeletesApplicationsWithWhatTheyDeployed(t *testing.T, a *api) {
	a.apply(definition("argoproj.io", "v1alpha1", "Application", "applications"),
		definition("argoproj.io", "v1alpha1", "ApplicationSet", "applicationsets"))
	a.until("the definitions are served", func() bool {
		_, err := a.try("", "get", "applications,applicationsets")
		return err == nil
	})
	a.controller("argocd", "argocd", 1)
	for _, name := range []string{"plain", "cascading"} {
		finalizers := "[]"
		if name == "cascading" {
			finalizers = "[resources-finalizer.argocd.argoproj.io]"
		}
		a.apply(
			fmt.Sprintf(
				`{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: %s, namespace: argocd, finalizers: %s}}`,
				name, finalizers))
	}
	a.apply(`{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, metadata: {name: all, namespace: argocd}}`)
	var mutex sync.Mutex
	cascaded := map[string]bool{}
	a.play(func() {
		for _, name := range a.finish("applications") {
			mutex.Lock()
			cascaded[name] = true
			mutex.Unlock()
		}
	})

	a.mustGate("ACTION=release", "RELEASE=applications", "CONTROLLER=argocd/deployment/argocd")
	a.wantNames("applications")
	a.wantNames("applicationsets")
	mutex.Lock()
	defer mutex.Unlock()
	if !cascaded["plain"] || !cascaded["cascading"] {
		t.Errorf("Argo CD was asked to clean up after %v, want both", cascaded)
	}
}

func gateWithoutTheDefinitionHasNothingToDo(t *testing.T, a *api) {
	a.mustGate("ACTION=release", "RELEASE=applications", "CONTROLLER=argocd/deployment/argocd")
	a.mustGate("ACTION=release", "RELEASE=resources", "RESOURCES=rabbitmqclusters.rabbitmq.com",
		"CONTROLLER=a/deployment/b")
}

func gateRemovesCustomResourcesOfUsers(t *testing.T, a *api) {
	a.apply(definition("rabbitmq.com", "v1beta1", "RabbitmqCluster", "rabbitmqclusters"))
	a.until("the definition is served", func() bool { _, err := a.try("", "get", "rabbitmqclusters"); return err == nil })
	a.controller("rabbitmq-system", "operator", 1)
	a.apply(
		`{apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, metadata: {name: own, namespace: default, finalizers: [deletion.finalizers.rabbitmqclusters.rabbitmq.com]}}`)
	a.play(func() { a.finish("rabbitmqclusters") })
	a.mustGate("ACTION=release", "RELEASE=resources", "RESOURCES=rabbitmqclusters.rabbitmq.com",
		"CONTROLLER=rabbitmq-system/deployment/operator")
	a.wantNames("rabbitmqclusters")
}

// volume is a bound pair of claim and EBS volume.
func volume(name, class, policy string) []string {
	return []string{
		fmt.Sprintf(
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: pv-%[1]s, finalizers: [external-provisioner.volume.kubernetes.io/finalizer]}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: %[2]s, persistentVolumeReclaimPolicy: %[3]s, claimRef: {namespace: default, name: %[1]s}, csi: {driver: ebs.csi.aws.com, volumeHandle: vol-%[1]s}}}`, name, class, policy),
		fmt.Sprintf(
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: %[1]s, namespace: default}, spec: {accessModes: [ReadWriteOnce], storageClassName: %[2]s, volumeName: pv-%[1]s, resources: {requests: {storage: 1Gi}}}}`, name, class),
	}
}

func (a *api) policy(name string) string {
	a.t.Helper()
	return a.kubectl("get", "pv", "pv-"+name, "-o", "jsonpath={.spec.persistentVolumeReclaimPolicy}")
}

// storage acts as the driver, the volume controllers and the garbage collector. A claim is deleted when no pod uses
// it, then its volume unless it is retained. Pods are deleted with their Deployment.
func (a *api) storage() {
	a.play(func() {
		if out, err := a.try("", "get", "deployment", "shop", "--ignore-not-found", "-o", "name"); err == nil && out == "" {
			_, _ = a.try("", "delete", "replicaset,pod", "--all", "--force", "--grace-period=0")
		}
		if out, err := a.try("", "get", "pods", "-o", "name"); err == nil && !strings.Contains(out, "pod/") {
			a.finish("persistentvolumeclaims")
		}
		out, err := a.try("", "get", "pv", "-o",
			`go-template={{range .items}}{{.metadata.name}} {{.spec.claimRef.name}} {{.spec.persistentVolumeReclaimPolicy}}{{"\n"}}{{end}}`)
		if err != nil {
			return
		}
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			fields := strings.Fields(line)
			if len(fields) != 3 || fields[2] != "Delete" {
				continue
			}
			if claim, err := a.try("", "get", "pvc", fields[1], "--ignore-not-found", "-o", "name"); err == nil && claim == "" {
				_, _ = a.try("", "delete", "pv", fields[0], "--wait=false")
				_, _ = a.try("", "patch", "pv", fields[0], "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
			}
		}
	})
}

// userWorkload is a Deployment whose pod mounts the claim "data".
func (a *api) userWorkload() {
	a.t.Helper()
	template := `template: {metadata: {labels: {a: shop}}, spec: {containers: [{name: c, image: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]}}`
	a.apply(
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: shop, namespace: default}, spec: {selector: {matchLabels: {a: shop}}, ` + template + `}}`)
	owner := func(version, kind, name string) string {
		uid := a.kubectl("get", kind, name, "-o", "jsonpath={.metadata.uid}")
		return fmt.Sprintf(`ownerReferences: [{apiVersion: %s, kind: %s, name: %s, uid: %s, controller: true}]`, version,
			kind, name, uid)
	}
	a.apply(
		fmt.Sprintf(
			`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: shop-1, namespace: default, %s}, spec: {selector: {matchLabels: {a: shop}}, %s}}`, owner("apps/v1", "Deployment", "shop"), template))
	a.apply(
		fmt.Sprintf(
			`{apiVersion: v1, kind: Pod, metadata: {name: shop-1-x, namespace: default, %s}, spec: {containers: [{name: c, image: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]}}`, owner("apps/v1", "ReplicaSet", "shop-1")))
}

func gateDeletesVolumesWithTheirWorkloads(t *testing.T, a *api) {
	a.controller("kube-system", "csi", 1)
	a.apply(append(volume("data", "gp3", "Delete"), volume("archive", "slow", "Retain")...)...)
	a.userWorkload()
	a.storage()
	out := a.mustGate("ACTION=release", "RELEASE=volumes", "VOLUMES=delete", "CONTROLLER=kube-system/deployment/csi")
	a.wantNames("pvc")
	if left := a.kubectl("get", "pv", "-o", "name"); left != "" {
		t.Errorf("volumes that are left: %s", left)
	}
	for _, want := range []string{"volume vol-data (1Gi, default/data): deleted",
		"volume vol-archive (1Gi, default/archive): deleted", "Deployment.v1.apps default/shop"} {
		if !strings.Contains(out, want) {
			t.Errorf("not said: %s", want)
		}
	}
}

func gateKeepsVolumes(t *testing.T, a *api) {
	a.controller("kube-system", "csi", 1)
	a.apply(volume("data", "gp3", "Delete")...)
	a.storage()
	out := a.mustGate("ACTION=release", "RELEASE=volumes", "VOLUMES=keep", "CONTROLLER=kube-system/deployment/csi")
	a.wantNames("pvc")
	if got := a.policy("data"); got != "Retain" {
		t.Errorf("the volume would be reclaimed by %s", got)
	}
	if !strings.Contains(out, "volume vol-data (1Gi, default/data): kept") {
		t.Error("the volume that is kept is not named")
	}
}

func gateNamesVolumesThatADeadDriverLeaves(t *testing.T, a *api) {
	a.controller("kube-system", "csi", 0)
	a.apply(volume("data", "gp3", "Delete")...)
	out := a.mustGate("ACTION=release", "RELEASE=volumes", "VOLUMES=delete", "CONTROLLER=kube-system/deployment/csi")
	if !strings.Contains(out, "volume vol-data (1Gi, default/data): not confirmed gone, left to the sweep") {
		t.Error("the volume that is left to the sweep is not named")
	}
}

func holdingVolumesSetsWhatBecomesOfThem(t *testing.T, a *api) {
	a.apply(append(volume("data", "gp3", "Delete"), volume("archive", "slow", "Retain")...)...)
	settings := []string{"ACTION=hold", "RELEASE=volumes", "CONTROLLER=x"}
	a.mustGate(append(settings, "VOLUMES=keep")...)
	if a.policy("data") != "Retain" || a.policy("archive") != "Retain" {
		t.Errorf("kept volumes would be reclaimed by %s, %s", a.policy("data"), a.policy("archive"))
	}
	a.mustGate(append(settings, "VOLUMES=delete")...)
	if a.policy("data") != "Delete" || a.policy("archive") != "Retain" {
		t.Errorf("volumes would be reclaimed by %s, those of the user's own class by %s", a.policy("data"),
			a.policy("archive"))
	}
}

// A gate that treats no answer as success would let the controllers be deleted too early.
func TestGateFailsWhenTheAPIDoesNotAnswer(t *testing.T) {
	a := &api{t: t, kubeconfig: filepath.Join(t.TempDir(), "none")}
	withKubectl(t)
	for _, settings := range [][]string{
		{"RELEASE=applications"}, {"RELEASE=load-balancers"}, {"RELEASE=volumes", "VOLUMES=delete"},
		{"RELEASE=resources", "RESOURCES=a.b"},
	} {
		if out, err := a.gate(append(settings, "ACTION=release", "CONTROLLER=a/deployment/b")...); err == nil {
			t.Errorf("%v: succeeded without an API:\n%s", settings, out)
		}
	}
}
