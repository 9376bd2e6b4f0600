package repair

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/testenv"
	check "kubeadm-aws/internal/verify"
)

// real is a real API server without controllers and kubelets. The test writes what they would write.
type real struct {
	*testing.T
	live
}

// startReal starts it with an authority for client certificates.
func startReal(t *testing.T) real {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	file := filepath.Join(t.TempDir(), "clients.crt")
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	server := testenv.StartAPI(t, "--client-ca-file="+file)
	authority, err := os.ReadFile(filepath.Join(filepath.Dir(server.Kubeconfig), "apiserver.crt"))
	if err != nil {
		t.Fatal(err)
	}
	text := func(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
	api, err := check.Open(fmt.Appendf(nil, `{clusters: [{cluster: {server: %q, certificate-authority-data: %s}}],
users: [{user: {client-certificate-data: %s, client-key-data: %s}}]}`, server.URL, text(authority), text(certificate),
		text(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))))
	if err != nil {
		t.Fatal(err)
	}
	return real{t, live{api}}
}

type object = map[string]any

func (r real) create(path string, o object) {
	r.Helper()
	if err := r.Call(r.Context(), kubeapi.Post, path, o, nil); err != nil {
		r.Fatal(err)
	}
}

func (r real) patch(path string, o object) {
	r.Helper()
	if err := r.Call(r.Context(), kubeapi.Patch, path, o, nil); err != nil {
		r.Fatal(err)
	}
}

// node creates a node in a zone, whose condition Ready has a status since a time.
func (r real) node(name, zone, ready string, since time.Time) {
	r.Helper()
	r.create("/api/v1/nodes", object{"metadata": object{"name": name, "labels": object{
		"topology.kubernetes.io/zone": zone}}, "spec": object{"providerID": "aws:///" + zone + "/i-" + name}})
	if ready == "" {
		return
	}
	r.patch("/api/v1/nodes/"+name+"/status", object{"status": object{"conditions": []object{{"type": "Ready",
		"status": ready, "lastTransitionTime": since.Format(time.RFC3339), "lastHeartbeatTime": since.Format(time.RFC3339),
		"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}}}})
}

// pod creates a pod of an application on a node, with an owner of a kind. claim is a volume of it, if not empty.
func (r real) pod(name, node, owner, claim string) {
	r.Helper()
	spec := object{"nodeName": node, "containers": []object{{"name": "app", "image": "app"}}}
	if claim != "" {
		spec["volumes"] = []object{{"name": "data", "persistentVolumeClaim": object{"claimName": claim}}}
	}
	meta := object{"name": name, "labels": object{"app": name}}
	if owner != "" {
		meta["ownerReferences"] = []object{{"apiVersion": "apps/v1", "kind": owner, "name": "app", "uid": "1",
			"controller": true}}
	}
	r.create("/api/v1/namespaces/default/pods", object{"metadata": meta, "spec": spec})
	r.patch("/api/v1/namespaces/default/pods/"+name+"/status", object{"status": object{"phase": "Running",
		"conditions": []object{{"type": "Ready", "status": "True"}}}})
}

// volume creates a bound claim with a volume of a source, in a zone.
func (r real) volume(name, zone string, source object) {
	r.Helper()
	spec := object{"capacity": object{"storage": "1Gi"}, "accessModes": []string{"ReadWriteOnce"},
		"nodeAffinity": object{"required": object{"nodeSelectorTerms": []object{{"matchExpressions": []object{{
			"key": "topology.kubernetes.io/zone", "operator": "In", "values": []string{zone}}}}}}}}
	for key, value := range source {
		spec[key] = value
	}
	r.create("/api/v1/persistentvolumes", object{"metadata": object{"name": "pv-" + name}, "spec": spec})
	r.create("/api/v1/namespaces/default/persistentvolumeclaims", object{"metadata": object{"name": name}, "spec": object{
		"accessModes": []string{"ReadWriteOnce"}, "volumeName": "pv-" + name, "storageClassName": "",
		"resources": object{"requests": object{"storage": "1Gi"}}}})
}

// TestARealAPISaysWhatIsUnhealthy reads nodes and pods from a real API server.
func TestARealAPISaysWhatIsUnhealthy(t *testing.T) {
	r := startReal(t)
	ctx := t.Context()
	since := time.Now().Add(-20 * time.Minute).UTC().Truncate(time.Second)
	r.node("well", "a", "True", since)
	r.node("silent", "b", "Unknown", since)
	r.node("young", "b", "", since)
	r.patch("/api/v1/nodes/young", object{"metadata": object{"annotations": object{"kubeadm-aws/repair": "off"}}})
	r.patch("/api/v1/nodes/well", object{"metadata": object{"annotations": object{"kubeadm-aws/upgrade": "draining"}}})
	nodes, err := r.Health(ctx)
	if err != nil || len(nodes) != 3 {
		t.Fatalf("%v %v", nodes, err)
	}
	silent, well, young := nodes[0], nodes[1], nodes[2]
	if silent.Ready || !silent.Since.Equal(since) || silent.Instance != "i-silent" || silent.Zone != "b" ||
		silent.Message != "Kubelet stopped posting node status." || silent.Off || silent.Upgrading ||
		!silent.UpgradingSince.IsZero() {
		t.Errorf("a silent node: %+v", silent)
	}
	if !well.Ready || !well.Upgrading || well.Off || well.UpgradingSince.IsZero() ||
		time.Since(well.UpgradingSince) > time.Minute {
		t.Errorf("a node that is well: %+v", well)
	}
	if young.Ready || !young.Off || time.Since(young.Since) > time.Minute || young.Since.IsZero() {
		t.Errorf("a node whose kubelet never reported: %+v", young)
	}
	r.kept(nodes)
}

// kept puts pods on the nodes and asks what a replacement would lose.
func (r real) kept(nodes []check.NodeHealth) {
	silent, well := nodes[0], nodes[1]
	r.volume("local", "b", object{"local": object{"path": "/data"}})
	r.volume("here", "b", object{"csi": object{"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}})
	r.volume("elsewhere", "c", object{"csi": object{"driver": "ebs.csi.aws.com", "volumeHandle": "vol-2"}})
	r.pod("daemon", "silent", "DaemonSet", "")
	r.pod("replica", "silent", "ReplicaSet", "")
	r.pod("data", "silent", "StatefulSet", "here")
	r.expect(silent, "b", nodes)
	r.pod("alone", "silent", "", "")
	r.expect(silent, "b", nodes, "pod default/alone has no controller")
	r.remove("alone")
	r.pod("disk", "silent", "StatefulSet", "local")
	r.expect(silent, "b", nodes, "pod default/disk has its data on the disk of the machine (volume pv-local)")
	r.remove("disk")
	r.pod("far", "silent", "StatefulSet", "elsewhere")
	r.expect(silent, "b", nodes, "pod default/far has a volume of another zone")
	// Another node of that zone, or the new machine in it, can attach the volume.
	r.expect(silent, "c", nodes, "pod default/data has a volume of another zone")
	r.expect(silent, "b", append(nodes, check.NodeHealth{Name: "third", Zone: "c", Ready: true}))
	// What a node that is not Ready had is lost for its budget already.
	r.budget("replica")
	r.expect(silent, "b", append(nodes, check.NodeHealth{Name: "third", Zone: "c", Ready: true}))
	r.pod("served", "well", "ReplicaSet", "")
	r.budget("served")
	r.expect(well, "a", nodes, "pod default/served is held by its disruption budget")
	r.create("/apis/policy/v1/namespaces/default/poddisruptionbudgets", object{"metadata": object{"name": "second"},
		"spec": object{"minAvailable": 1, "selector": object{"matchLabels": object{"app": "served"}}}})
	r.expect(well, "a", nodes, "pod default/served cannot be evicted: This pod has more than one PodDisruptionBudget")
	if err := r.Call(r.Context(), kubeapi.Get, "/api/v1/namespaces/default/pods/served", nil, nil); err != nil {
		r.Errorf("the question has evicted the pod: %v", err)
	}
}

// budget creates a disruption budget that allows no eviction of a pod.
func (r real) budget(name string) {
	r.Helper()
	path := "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	r.create(path, object{"metadata": object{"name": name}, "spec": object{"minAvailable": 1,
		"selector": object{"matchLabels": object{"app": name}}}})
	r.patch(path+"/"+name+"/status", object{"status": object{"observedGeneration": 1, "disruptionsAllowed": 0,
		"currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}})
}

func (r real) remove(pod string) {
	r.Helper()
	path := "/api/v1/namespaces/default/pods/" + pod + "?gracePeriodSeconds=0"
	if err := r.Call(r.Context(), kubeapi.Delete, path, nil, nil); err != nil {
		r.Fatal(err)
	}
}

func (r real) expect(node check.NodeHealth, zone string, nodes []check.NodeHealth, parts ...string) {
	r.Helper()
	kept, err := r.Kept(r.Context(), node, zone, nodes)
	if err != nil || len(kept) != len(parts) {
		r.Errorf("kept on %s for zone %s: %v %v, want %v", node.Name, zone, kept, err, parts)
		return
	}
	for i, part := range parts {
		if !strings.Contains(kept[i], part) {
			r.Errorf("kept on %s: %q, want %q", node.Name, kept[i], part)
		}
	}
}

// TestARealAPIKeepsTheHistory writes it as two runs do at the same time: the second is refused. Of two replacements
// that are unfinished, one ends.
func TestARealAPIKeepsTheHistory(t *testing.T) {
	r := startReal(t)
	ctx := context.WithoutCancel(t.Context())
	empty, err := r.History(ctx)
	if err != nil || len(empty.Unfinished) > 0 || len(empty.Began) > 0 {
		t.Fatalf("%+v %v", empty, err)
	}
	p := FailedWorker{Name: "a", URN: "urn:a", Machine: "i-a"}
	first, err := r.Note(ctx, empty.Begin(p, now))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(h History) {
		t.Helper()
		if _, err := r.Note(ctx, h); report.CodeOf(err) != report.ExitLocked {
			t.Errorf("a second run writes: %v", err)
		}
	}
	refused(empty.Begin(p, now))
	expect := func(unfinished string) History {
		t.Helper()
		h, err := r.History(ctx)
		if err != nil || fmt.Sprint(h.Unfinished) != unfinished || len(h.Began["a"]) != 1 || first.version != h.version {
			t.Errorf("read %+v %v, want %s", h, err, unfinished)
		}
		return h
	}
	note := func(h History) {
		t.Helper()
		if first, err = r.Note(ctx, h); err != nil {
			t.Fatal(err)
		}
	}
	expect("map[a:i-a]")
	note(first.Begin(FailedWorker{Name: "b-1", URN: "urn:b", Machine: "i-b"}, now))
	seen := expect("map[a:i-a b-1:i-b]")
	note(first.End("b-1"))
	refused(seen.End("a"))
	expect("map[a:i-a]")
	note(first.End("a"))
	expect("map[]")
}
