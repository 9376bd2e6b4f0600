package addons

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"go.yaml.in/yaml/v3"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

const (
	snapshotter       = "github.com/kubernetes-csi/external-snapshotter/v8"
	snapshotterClient = "github.com/kubernetes-csi/external-snapshotter/client/v8"
)

// documents reads a file of YAML documents.
func documents(t *testing.T, path string) (all []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document map[string]any
		if err := decoder.Decode(&document); err != nil {
			return all
		}
		if document != nil {
			all = append(all, document)
		}
	}
}

func TestSnapshotDefinitionsAreTheModules(t *testing.T) {
	for _, kind := range []string{"volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshots"} {
		original := filepath.Join(sourceOf(t, snapshotterClient), "config", "crd", "snapshot.storage.k8s.io_"+kind+".yaml")
		want, err := json.MarshalIndent(withoutDescriptions(documents(t, original)[0], false), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		path := filepath.Join("definitions", kind+".snapshot.storage.k8s.io.json")
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not %s without its descriptions (run the test with -update to accept): %v", path, original, err)
		}
	}
}

// The module, the image, the definitions and the sidecar of the chart must have the same version.
func TestSnapshotVersionIsTheModules(t *testing.T) {
	for _, module := range []string{snapshotter, snapshotterClient} {
		if _, version, _ := strings.Cut(snapshotImage, ":"); !strings.HasSuffix(sourceOf(t, module), "@"+version) {
			t.Errorf("%s is not at %s", sourceOf(t, module), version)
		}
	}
}

func TestSnapshotPermissionsAreThoseOfTheRelease(t *testing.T) {
	want := map[string]any{}
	release := filepath.Join(sourceOf(t, snapshotter), "deploy", "kubernetes", "snapshot-controller",
		"rbac-snapshot-controller.yaml")
	for _, document := range documents(t, release) {
		var rules []any
		all, _ := document["rules"].([]any)
		for _, rule := range all {
			if group := rule.(map[string]any)["apiGroups"].([]any)[0]; group != "groupsnapshot.storage.k8s.io" {
				rules = append(rules, rule)
			}
		}
		want[document["kind"].(string)] = rules
	}
	r := install(t, nil, nil)
	for _, kind := range []string{"ClusterRole", "Role"} {
		got := plainMap(r.find(t, "snapshot-controller-"+kind).inputs)["rules"]
		if !reflect.DeepEqual(got, want[kind]) {
			t.Errorf("the rules of the %s are %v, those of the release %v", kind, got, want[kind])
		}
	}
}

func TestKeptSnapshotsAreKeptFromTheStart(t *testing.T) {
	for volumes, want := range map[string]string{"delete": "Delete", keepVolumes: "Retain"} {
		r := install(t, nil, func(c *config.Config) { c.Protection.Volumes = volumes })
		if got := r.find(t, "snapshotclass-ebs").inputs["deletionPolicy"].StringValue(); got != want {
			t.Errorf("protection.volumes %s: the class has the deletion policy %s, want %s", volumes, got, want)
		}
	}
}

// The chart contains the sidecar only if it finds the definitions or a value forces it.
func TestTheDriverTakesSnapshots(t *testing.T) {
	found := false
	for _, c := range renderedOf(t, "aws-ebs-csi-driver") {
		found = found || c.container == "csi-snapshotter"
	}
	if !found {
		t.Error("the chart runs no csi-snapshotter")
	}
}

// The real controller runs with the program's flags, account and permissions. The test acts as the driver's sidecar,
// which needs AWS.
func TestRealSnapshotController(t *testing.T) {
	a := startAPI(t)
	r := install(t, nil, nil)
	a.snapshotObjects(r)
	a.startSnapshotController(r)
	for name, test := range map[string]func(*testing.T, *api, *recorder){
		"a snapshot is bound, ready and deleted by the gate": snapshotIsBoundAndDeleted,
		"snapshots are kept with their volumes":              snapshotsAreKept,
	} {
		t.Run(name, func(t *testing.T) { test(t, &api{t: t, kubeconfig: a.kubeconfig}, r) })
	}
}

// snapshotObjects creates the program's objects for snapshots. The API validates each of them.
func (a *api) snapshotObjects(r *recorder) {
	a.t.Helper()
	create := func(name string) {
		a.applyJSON(jsonOf(a.t, openSecrets(resource.NewProperty(r.find(a.t, name).inputs))))
	}
	for _, plural := range []string{"volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshots"} {
		create("definition-" + plural + ".snapshot.storage.k8s.io")
	}
	a.definitionsAreEstablished()
	for _, name := range []string{"snapshotclass-ebs", "snapshot-controller-ServiceAccount",
		"snapshot-controller-ClusterRole",
		"snapshot-controller-ClusterRoleBinding", "snapshot-controller-Role", "snapshot-controller-RoleBinding",
		"snapshot-controller"} {
		create(name)
	}
}

func (a *api) startSnapshotController(r *recorder) {
	a.t.Helper()
	spec := plainMap(r.find(a.t, "snapshot-controller").inputs)["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	account := spec["serviceAccountName"].(string)
	token := strings.TrimSpace(a.kubectl("-n", "kube-system", "create", "token", account))
	kubeconfig := filepath.Join(a.t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: test, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, a.url, token)), 0o600); err != nil {
		a.t.Fatal(err)
	}
	args := []string{"--kubeconfig=" + kubeconfig}
	for _, arg := range spec["containers"].([]any)[0].(map[string]any)["args"].([]any) {
		// The pod's port may be in use on this host.
		if arg == "--http-endpoint=:8080" {
			arg = fmt.Sprintf("--http-endpoint=127.0.0.1:%d", testenv.FreePort(a.t))
		}
		args = append(args, arg.(string))
	}
	testenv.Start(a.t, operator(a.t, snapshotter+"/cmd/snapshot-controller"), args...)
	a.until("the controller leads", func() bool {
		return a.get("kube-system", "lease/snapshot-controller-leader", "{.spec.holderIdentity}") != ""
	})
}

// claimed creates a bound claim and a VolumeSnapshot of it, and waits for its content.
func (a *api) claimed(name, class string) (content string) {
	a.t.Helper()
	a.apply(volume(name, "gp3", "Delete")...)
	a.kubectl("patch", "persistentvolume", "pv-"+name, "--subresource=status", "--type=merge", "-p",
		`{"status":{"phase":"Bound"}}`)
	a.kubectl("patch", "persistentvolumeclaim", name, "--subresource=status", "--type=merge", "-p",
		`{"status":{"phase":"Bound"}}`)
	a.apply(
		fmt.Sprintf(
			`{apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshot, metadata: {name: %[1]s, namespace: default},
spec: {%[2]s source: {persistentVolumeClaimName: %[1]s}}}`, name, class))
	a.until("the snapshot has a content", func() bool {
		content = a.get("default", "volumesnapshot/"+name, "{.status.boundVolumeSnapshotContentName}")
		return content != ""
	})
	return content
}

// taken acts as the sidecar after the driver has created a snapshot.
func (a *api) taken(name, content string) {
	a.t.Helper()
	a.kubectl("patch", "volumesnapshotcontent", content, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(
		`{"status":{"snapshotHandle":"snap-%s","creationTime":1,"readyToUse":true,"restoreSize":1073741824}}`, name))
	a.until("the snapshot is ready", func() bool {
		return a.get("default", "volumesnapshot/"+name, "{.status.readyToUse}") == "true"
	})
}

// sidecar acts as the sidecar that releases a content when its snapshot is deleted in EC2.
func (a *api) sidecar() {
	a.play(func() { a.finish("volumesnapshotcontents.snapshot.storage.k8s.io") })
}

// releaseSnapshots runs the gate of volumes while the driver and the snapshot controller run.
func (a *api) releaseSnapshots(volumes string) string {
	a.t.Helper()
	a.controller("kube-system", "csi", 1)
	a.t.Cleanup(func() { a.kubectl("-n", "kube-system", "delete", "deployment", "csi") })
	a.ready("kube-system", snapshotController, 1)
	a.storage()
	a.sidecar()
	return a.mustGate("ACTION=release", "RELEASE=volumes", "VOLUMES="+volumes, "CONTROLLER=kube-system/deployment/csi",
		"SNAPSHOT_CONTROLLER=kube-system/deployment/"+snapshotController)
}

func snapshotIsBoundAndDeleted(t *testing.T, a *api, _ *recorder) {
	content := a.claimed("data", "")
	for path, want := range map[string]string{
		"{.spec.driver}": "ebs.csi.aws.com", "{.spec.deletionPolicy}": "Delete",
		"{.spec.volumeSnapshotClassName}": snapshotClass, "{.spec.source.volumeHandle}": "vol-data",
	} {
		if got := a.get("default", "volumesnapshotcontent/"+content, path); got != want {
			t.Errorf("%s of the content is %q, want %q", path, got, want)
		}
	}
	a.taken("data", content)
	// A class of the user whose snapshots are retained.
	a.apply(
		`{apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshotClass, metadata: {name: archive}, driver: ebs.csi.aws.com, deletionPolicy: Retain}`)
	archive := a.claimed("archive", "volumeSnapshotClassName: archive,")
	a.taken("archive", archive)
	out := a.releaseSnapshots("delete")
	a.wantNames("volumesnapshots")
	a.wantNames("persistentvolumeclaims")
	if left := a.kubectl("get", "volumesnapshotcontents", "-o",
		"name"); strings.TrimSpace(left) != "volumesnapshotcontent.snapshot.storage.k8s.io/"+archive {
		t.Errorf("contents that are left: %s", left)
	}
	for _, want := range []string{"snapshot snap-data (default/data): deleted",
		"snapshot snap-archive (default/archive): kept"} {
		if !strings.Contains(out, want) {
			t.Errorf("not said: %s", want)
		}
	}
	a.forget()
}

func snapshotsAreKept(t *testing.T, a *api, _ *recorder) {
	content := a.claimed("kept", "")
	// The driver has not created it yet.
	out := a.releaseSnapshots(keepVolumes)
	a.wantNames("volumesnapshots")
	a.wantNames("persistentvolumeclaims")
	if got := a.get("default", "volumesnapshotcontent/"+content, "{.spec.deletionPolicy}"); got != "Retain" {
		t.Errorf("the content that is kept has the deletion policy %q", got)
	}
	if !strings.Contains(out, "(default/kept): kept") {
		t.Error("the snapshot that is kept is not named")
	}
	a.forget()
}

// forget removes the contents and volumes of a case.
func (a *api) forget() {
	for _, resource := range []string{"volumesnapshotcontents", "persistentvolumes"} {
		_, _ = a.try("", "delete", resource, "--all", "--wait=false")
		a.finish(resource)
	}
}
