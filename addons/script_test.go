package addons

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// api is a real Kubernetes API server with etcd behind it, and no controllers: tests play them.
type api struct {
	t          *testing.T
	kubeconfig string
}

// binary finds a program that the mirror has compiled.
func binary(t *testing.T, pattern string) string {
	t.Helper()
	root := os.Getenv("MIRROR_DIR")
	if root == "" {
		root = "/var/cache/kubeadm-aws-mirror"
	}
	found, err := filepath.Glob(filepath.Join(root, "build", pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skipf("needs %s, which the mirror compiles (MIRROR_DIR)", pattern)
	}
	return slices.Max(found)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func startAPI(t *testing.T) *api {
	t.Helper()
	if testing.Short() {
		t.Skip("starts an API server")
	}
	etcd, server := binary(t, "etcd-v*/bin/etcd"), binary(t, "k8s-*/bin/kube-apiserver")
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("needs kubectl")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keyPath := write("sa.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	client, peer, secure := freePort(t), freePort(t), freePort(t)
	clientURL := fmt.Sprintf("http://127.0.0.1:%d", client)
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", peer)
	run(t, etcd, "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", clientURL, "--advertise-client-urls", clientURL,
		"--listen-peer-urls", peerURL, "--initial-advertise-peer-urls", peerURL, "--initial-cluster", "default="+peerURL, "--unsafe-no-fsync")
	run(t, server, "--etcd-servers", clientURL, "--secure-port", fmt.Sprint(secure), "--bind-address", "127.0.0.1",
		"--cert-dir", dir, "--service-account-issuer", "https://test", "--service-account-key-file", keyPath,
		"--service-account-signing-key-file", keyPath, "--token-auth-file", write("tokens.csv", "test,test,test,system:masters\n"),
		"--authorization-mode", "AlwaysAllow", "--service-cluster-ip-range", "10.0.0.0/24", "--disable-admission-plugins", "ServiceAccount")
	a := &api{t: t, kubeconfig: write("kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:%d", insecure-skip-tls-verify: true}}]
users: [{name: test, user: {token: test}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, secure))}
	a.until("the API answers", func() bool {
		_, err := a.try("", "get", "--raw", "/readyz")
		return err == nil
	})
	return a
}

// run starts a program that lives as long as the test.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() && log.Len() > 0 {
			t.Logf("%s ended with:\n%s", filepath.Base(name), log.String()[max(0, log.Len()-1000):])
		}
	})
}

func (a *api) until(what string, done func() bool) {
	a.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			a.t.Fatalf("not after a minute: %s", what)
		}
	}
}

func (a *api) try(input string, args ...string) (string, error) {
	cmd := exec.Command("kubectl", args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+a.kubeconfig)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
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

// names lists the objects of a resource as namespace/name.
func (a *api) names(resource string) []string {
	a.t.Helper()
	return strings.Fields(a.kubectl("get", resource, "--all-namespaces", "-o",
		`go-template={{range .items}}{{.metadata.namespace}}/{{.metadata.name}} {{end}}`))
}

// definition is a custom resource definition that takes any fields.
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

// controller makes a Deployment with one ready pod, or with none.
func (a *api) controller(namespace, name string, ready int) {
	a.t.Helper()
	a.apply(fmt.Sprintf(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s, namespace: %s}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}}`, name, namespace))
	a.ready(namespace, name, ready)
}

func (a *api) ready(namespace, name string, n int) {
	a.t.Helper()
	a.kubectl("-n", namespace, "patch", "deployment", name, "--subresource=status", "--type=merge", "-p",
		fmt.Sprintf(`{"status":{"replicas":1,"readyReplicas":%d}}`, n))
}

// play runs a controller's part again and again until the test ends.
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

// finish takes the finalizers off the objects of a resource that are being deleted, as their controller would, and
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

// gate runs the script and returns what it printed and whether it succeeded.
func (a *api) gate(settings ...string) (string, error) {
	cmd := exec.Command("bash", "scripts/release-gate.sh")
	cmd.Env = append(os.Environ(), append([]string{"KUBECONFIG=" + a.kubeconfig, "INTERVAL=0.3", "LIMIT=30", "DEAD_LIMIT=1"}, settings...)...)
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

// One API server serves all cases, one after the other: starting it takes longer than all of them.
func TestReleaseGate(t *testing.T) {
	server := startAPI(t)
	for _, namespace := range []string{"argocd", "rabbitmq-system"} {
		server.kubectl("create", "namespace", namespace)
	}
	for name, test := range map[string]func(*testing.T, *api){
		"gate removes load balancers of users":              gateRemovesLoadBalancersOfUsers,
		"gate lets go when the controller is dead":          gateLetsGoWhenTheControllerIsDead,
		"gate deletes applications with what they deployed": gateDeletesApplicationsWithWhatTheyDeployed,
		"gate without the definition has nothing to do":     gateWithoutTheDefinitionHasNothingToDo,
		"gate removes custom resources of users":            gateRemovesCustomResourcesOfUsers,
		"gate deletes volumes with their workloads":         gateDeletesVolumesWithTheirWorkloads,
		"gate keeps volumes":                                gateKeepsVolumes,
		"gate names volumes that a dead driver leaves":      gateNamesVolumesThatADeadDriverLeaves,
		"holding volumes sets what becomes of them":         holdingVolumesSetsWhatBecomesOfThem,
	} {
		t.Run(name, func(t *testing.T) {
			a := &api{t: t, kubeconfig: server.kubeconfig}
			t.Cleanup(a.wipe)
			test(t, a)
		})
	}
}

// wipe removes what a case has made.
func (a *api) wipe() {
	for _, resource := range []string{"ingresses", "services", "persistentvolumeclaims", "persistentvolumes", "applications.argoproj.io", "rabbitmqclusters.rabbitmq.com"} {
		_, _ = a.try("", "delete", resource, "--all", "--all-namespaces", "--wait=false")
		a.finish(resource)
	}
	_, _ = a.try("", "delete", "deployments,replicasets,pods", "--all", "--all-namespaces", "--force", "--grace-period=0")
	_, _ = a.try("", "delete", "validatingwebhookconfigurations,customresourcedefinitions", "--all")
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
	a.until("the definition is served", func() bool { _, err := a.try("", "get", "targetgroupbindings"); return err == nil })
	a.until("the API has its own Service", func() bool { _, err := a.try("", "get", "service", "kubernetes"); return err == nil })
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
	a.apply(userIngress, userService, `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: aws-load-balancer-webhook}, webhooks: [{name: a.b.c, admissionReviewVersions: [v1], sideEffects: None, clientConfig: {url: "https://127.0.0.1:1"}, rules: [{apiGroups: [networking.k8s.io], apiVersions: [v1], operations: [UPDATE], resources: [ingresses]}]}]}`,
		`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: other}, webhooks: []}`)
	a.kubectl("patch", "ingress", "shop", "--subresource=status", "--type=merge", "-p", `{"status":{"loadBalancer":{"ingress":[{"hostname":"k8s-shop.elb.amazonaws.com"}]}}}`)

	out := a.mustGate("ACTION=release", "RELEASE=load-balancers", "CONTROLLER=kube-system/deployment/lbc")
	a.wantNames("ingresses")
	if !strings.Contains(out, "k8s-shop.elb.amazonaws.com") {
		t.Error("the load balancer that is left to the sweep is not named")
	}
	if left := a.kubectl("get", "validatingwebhookconfigurations", "-o", "name"); !strings.Contains(left, "/other") || strings.Contains(left, "/aws-load-balancer-webhook") {
		t.Errorf("webhooks that are left: %s", left)
	}
}

func gateDeletesApplicationsWithWhatTheyDeployed(t *testing.T, a *api) {
	a.apply(definition("argoproj.io", "v1alpha1", "Application", "applications"), definition("argoproj.io", "v1alpha1", "ApplicationSet", "applicationsets"))
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
		a.apply(fmt.Sprintf(`{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: %s, namespace: argocd, finalizers: %s}}`, name, finalizers))
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
	a.mustGate("ACTION=release", "RELEASE=resources", "RESOURCES=rabbitmqclusters.rabbitmq.com", "CONTROLLER=a/deployment/b")
}

func gateRemovesCustomResourcesOfUsers(t *testing.T, a *api) {
	a.apply(definition("rabbitmq.com", "v1beta1", "RabbitmqCluster", "rabbitmqclusters"))
	a.until("the definition is served", func() bool { _, err := a.try("", "get", "rabbitmqclusters"); return err == nil })
	a.controller("rabbitmq-system", "operator", 1)
	a.apply(`{apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, metadata: {name: own, namespace: default, finalizers: [deletion.finalizers.rabbitmqclusters.rabbitmq.com]}}`)
	a.play(func() { a.finish("rabbitmqclusters") })
	a.mustGate("ACTION=release", "RELEASE=resources", "RESOURCES=rabbitmqclusters.rabbitmq.com", "CONTROLLER=rabbitmq-system/deployment/operator")
	a.wantNames("rabbitmqclusters")
}

// volume is a bound pair of claim and EBS volume.
func volume(name, class, policy string) []string {
	return []string{
		fmt.Sprintf(`{apiVersion: v1, kind: PersistentVolume, metadata: {name: pv-%[1]s, finalizers: [external-provisioner.volume.kubernetes.io/finalizer]}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: %[2]s, persistentVolumeReclaimPolicy: %[3]s, claimRef: {namespace: default, name: %[1]s}, csi: {driver: ebs.csi.aws.com, volumeHandle: vol-%[1]s}}}`, name, class, policy),
		fmt.Sprintf(`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: %[1]s, namespace: default}, spec: {accessModes: [ReadWriteOnce], storageClassName: %[2]s, volumeName: pv-%[1]s, resources: {requests: {storage: 1Gi}}}}`, name, class),
	}
}

func (a *api) policy(name string) string {
	a.t.Helper()
	return a.kubectl("get", "pv", "pv-"+name, "-o", "jsonpath={.spec.persistentVolumeReclaimPolicy}")
}

// storage plays the driver, the volume controllers and the garbage collector: a claim goes when no pod uses it, its
// volume after it unless it is retained, and pods go with their Deployment.
func (a *api) storage() {
	a.play(func() {
		if out, err := a.try("", "get", "deployment", "shop", "--ignore-not-found", "-o", "name"); err == nil && out == "" {
			_, _ = a.try("", "delete", "replicaset,pod", "--all", "--force", "--grace-period=0")
		}
		if out, err := a.try("", "get", "pods", "-o", "name"); err == nil && !strings.Contains(out, "pod/") {
			a.finish("persistentvolumeclaims")
		}
		out, err := a.try("", "get", "pv", "-o", `go-template={{range .items}}{{.metadata.name}} {{.spec.claimRef.name}} {{.spec.persistentVolumeReclaimPolicy}}{{"\n"}}{{end}}`)
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
	a.apply(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: shop, namespace: default}, spec: {selector: {matchLabels: {a: shop}}, ` + template + `}}`)
	owner := func(version, kind, name string) string {
		uid := a.kubectl("get", kind, name, "-o", "jsonpath={.metadata.uid}")
		return fmt.Sprintf(`ownerReferences: [{apiVersion: %s, kind: %s, name: %s, uid: %s, controller: true}]`, version, kind, name, uid)
	}
	a.apply(fmt.Sprintf(`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: shop-1, namespace: default, %s}, spec: {selector: {matchLabels: {a: shop}}, %s}}`, owner("apps/v1", "Deployment", "shop"), template))
	a.apply(fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: shop-1-x, namespace: default, %s}, spec: {containers: [{name: c, image: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]}}`, owner("apps/v1", "ReplicaSet", "shop-1")))
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
	for _, want := range []string{"volume vol-data (1Gi, default/data): deleted", "volume vol-archive (1Gi, default/archive): deleted", "Deployment.v1.apps default/shop"} {
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
		t.Errorf("volumes would be reclaimed by %s, those of the user's own class by %s", a.policy("data"), a.policy("archive"))
	}
}

// A gate that takes silence for success would let the controllers go too early.
func TestGateFailsWhenTheAPIDoesNotAnswer(t *testing.T) {
	a := &api{t: t, kubeconfig: filepath.Join(t.TempDir(), "none")}
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("needs kubectl")
	}
	for _, settings := range [][]string{
		{"RELEASE=applications"}, {"RELEASE=load-balancers"}, {"RELEASE=volumes", "VOLUMES=delete"}, {"RELEASE=resources", "RESOURCES=a.b"},
	} {
		if out, err := a.gate(append(settings, "ACTION=release", "CONTROLLER=a/deployment/b")...); err == nil {
			t.Errorf("%v: succeeded without an API:\n%s", settings, out)
		}
	}
}
