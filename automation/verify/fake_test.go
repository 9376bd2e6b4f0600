package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"kubeadm-aws/config"
)

// now is the time of all tests in this package.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// fakeAPI is an API server that holds objects by path, starts pods at once and answers their ports.
type fakeAPI struct {
	*httptest.Server
	mu sync.Mutex
	// objects are by the path that reads them.
	objects map[string]any
	// created and removed are the paths of what a check made and deleted.
	created, removed []string
	// resolves is the address that the cluster's DNS answers with.
	resolves string
	// podStatus is what becomes of pods that checks make.
	podStatus map[string]any
	// stored is what was written to the etcd on a volume.
	stored map[string]string
	// volume is what a claim gets; empty for none. released are the volumes that were told to end with their claim.
	volume   string
	released []string
	// log is what a client pod says.
	log string
	// peer is the common name of the client certificate last shown.
	peer string
	cert tls.Certificate
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{objects: map[string]any{}, resolves: "10.96.0.1", podStatus: runningPod(), stored: map[string]string{}, log: "done", volume: "pv-1"}
	f.cert = selfSigned(t, "api", now.AddDate(0, 6, 0))
	f.Server = httptest.NewUnstartedServer(f)
	f.TLS = &tls.Config{Certificates: []tls.Certificate{f.cert}, ClientAuth: tls.RequireAnyClientCert}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// kubeconfig is one for this server, with a client certificate of its own.
func (f *fakeAPI) kubeconfig(t *testing.T) []byte {
	t.Helper()
	user := selfSigned(t, "kubernetes-admin", now.AddDate(1, 0, 0))
	key, err := x509.MarshalPKCS8PrivateKey(user.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return fmt.Appendf(nil, `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}]
`, f.URL, encode("CERTIFICATE", f.cert.Certificate[0]), encode("CERTIFICATE", user.Certificate[0]), encode("PRIVATE KEY", key))
}

func selfSigned(t *testing.T, name string, end time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"grafana.example.com"}, IPAddresses: nil,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	template.IPAddresses = append(template.IPAddresses, netip.MustParseAddr("127.0.0.1").AsSlice())
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(r.TLS.PeerCertificates) > 0 {
		f.peer = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	body, _ := io.ReadAll(r.Body)
	path := r.URL.Path
	switch {
	case strings.Contains(path, "/proxy/dns-query"):
		_, _ = w.Write(f.answerDNS(r.URL.Query().Get("dns")))
	case strings.Contains(path, "/proxy/v3/kv/"):
		f.answerEtcd(w, path, body)
	case strings.HasSuffix(path, "/log"):
		_, _ = io.WriteString(w, f.log)
	case r.Method == http.MethodPost:
		f.create(w, path, body)
	case r.Method == http.MethodPatch:
		if strings.Contains(string(body), `"persistentVolumeReclaimPolicy":"Delete"`) {
			f.released = append(f.released, path)
		}
		_, _ = io.WriteString(w, "{}")
	case r.Method == http.MethodDelete:
		f.removed = append(f.removed, path)
		if strings.HasSuffix(path, "/persistentvolumeclaims/data") {
			delete(f.objects, "/api/v1/persistentvolumes/pv-1")
		}
		delete(f.objects, path)
		_, _ = io.WriteString(w, "{}")
	default:
		f.read(w, path, r.URL.Query().Get("labelSelector"), r.URL.Query().Get("fieldSelector"))
	}
}

// read answers with the object at a path, or with a list of it that a selector narrows.
func (f *fakeAPI) read(w http.ResponseWriter, path, label, field string) {
	o, there := f.objects[path]
	if !there {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","message":"not found: `+path+`"}`)
		return
	}
	if items, isList := o.([]any); isList {
		chosen := []any{}
		for _, item := range items {
			if selected(item, label, field) {
				chosen = append(chosen, item)
			}
		}
		o = map[string]any{"items": chosen}
	}
	_ = json.NewEncoder(w).Encode(o)
}

func selected(item any, label, field string) bool {
	metadata := item.(map[string]any)["metadata"].(map[string]any)
	if key, value, exact := strings.Cut(label, "="); label != "" {
		labels, _ := metadata["labels"].(map[string]any)
		if got, there := labels[key]; !there || exact && got != value {
			return false
		}
	}
	if _, name, ok := strings.Cut(field, "metadata.name="); ok && metadata["name"] != name {
		return false
	}
	return true
}

func (f *fakeAPI) create(w http.ResponseWriter, path string, body []byte) {
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if why := refusedByPodSecurity(o); why != "" {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"violates PodSecurity: `+why+`"}`)
		return
	}
	at := path + "/" + o["metadata"].(map[string]any)["name"].(string)
	f.created = append(f.created, at)
	switch o["kind"] {
	case "Pod":
		o["status"] = f.podStatus
		if o["spec"].(map[string]any)["restartPolicy"] == "Never" && f.podStatus["phase"] == "Running" {
			o["status"] = map[string]any{"phase": "Succeeded"}
		}
	case "PersistentVolumeClaim":
		o["spec"].(map[string]any)["volumeName"] = f.volume
		o["status"] = map[string]any{"phase": map[bool]string{true: "Bound", false: "Pending"}[f.volume != ""]}
		f.objects["/api/v1/persistentvolumes/pv-1"] = map[string]any{}
		f.objects[path] = []any{o}
	}
	f.objects[at] = o
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(o)
}

// refusedByPodSecurity is what a cluster whose default is the level "restricted" says of a pod.
func refusedByPodSecurity(o map[string]any) string {
	if o["kind"] != "Pod" {
		return ""
	}
	spec := o["spec"].(map[string]any)
	of, _ := spec["securityContext"].(map[string]any)
	profile, _ := of["seccompProfile"].(map[string]any)
	if of["runAsNonRoot"] != true || of["runAsUser"] == nil || profile["type"] != "RuntimeDefault" {
		return "runAsNonRoot, runAsUser or seccompProfile"
	}
	for _, c := range spec["containers"].([]any) {
		of, _ := c.(map[string]any)["securityContext"].(map[string]any)
		capabilities, _ := of["capabilities"].(map[string]any)
		drop, _ := capabilities["drop"].([]any)
		add, _ := capabilities["add"].([]any)
		if of["allowPrivilegeEscalation"] != false || !slices.Contains(drop, any("ALL")) || slices.ContainsFunc(add, func(c any) bool { return c != "NET_BIND_SERVICE" }) {
			return "allowPrivilegeEscalation or capabilities"
		}
	}
	return ""
}

func (f *fakeAPI) answerDNS(question string) []byte {
	text, _ := base64.RawURLEncoding.DecodeString(question)
	var m dnsmessage.Message
	if err := m.Unpack(text); err != nil {
		return []byte(err.Error())
	}
	m.Response = true
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
		Body:   &dnsmessage.AResource{A: netip.MustParseAddr(f.resolves).As4()},
	}}
	packed, _ := m.Pack()
	return packed
}

func (f *fakeAPI) answerEtcd(w http.ResponseWriter, path string, body []byte) {
	var kv map[string]string
	_ = json.Unmarshal(body, &kv)
	if strings.HasSuffix(path, "put") {
		f.stored[kv["key"]] = kv["value"]
		_, _ = io.WriteString(w, "{}")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kvs": []any{map[string]string{"value": f.stored[kv["key"]]}}})
}

func runningPod() map[string]any {
	return map[string]any{"phase": "Running", "conditions": []any{
		map[string]any{"type": "PodScheduled", "status": "True"}, map[string]any{"type": "Ready", "status": "True"},
	}}
}

// obj is an object with a name, labels from "k=v" words, and fields merged in.
func obj(name, labels string, fields map[string]any) map[string]any {
	l := map[string]any{}
	for _, word := range strings.Fields(labels) {
		key, value, _ := strings.Cut(word, "=")
		l[key] = value
	}
	o := map[string]any{"metadata": map[string]any{
		"name": name, "namespace": "ns", "labels": l, "annotations": map[string]any{}, "creationTimestamp": now.Add(-48 * time.Hour).Format(time.RFC3339),
	}}
	for k, v := range fields {
		o[k] = v
	}
	return o
}

// condition is a status with one condition per word, such as "Ready=True".
func conditions(words string) map[string]any {
	var all []any
	for _, word := range strings.Fields(words) {
		typ, status, _ := strings.Cut(word, "=")
		all = append(all, map[string]any{"type": typ, "status": status, "message": "because"})
	}
	return map[string]any{"status": map[string]any{"conditions": all}}
}

// settings are of a stack with one control plane and one worker, and every add-on.
func settings() *config.Config {
	on := true
	c := &config.Config{
		Region:  "eu-west-1",
		Cluster: config.Cluster{Name: "dev", KubernetesVersion: "1.36.3", CNI: "calico", DNSDomain: "cluster.local"},
		Network: config.Network{Zones: []string{"a", "b"}},
		DNS:     config.DNS{Domain: "example.com"},
		Backup:  config.Backup{Schedule: "*-*-* 00/6:00:00"},
		Nodes: []config.Node{
			{Name: "master", Role: config.ControlPlane, Taints: []config.Taint{{Key: "node-role.kubernetes.io/control-plane", Effect: "NoSchedule"}}},
			{Name: "worker-1", Role: config.Worker, Zone: 1, Labels: map[string]string{"workload": "api"}},
		},
	}
	a := config.Addon{Enabled: &on}
	c.Addons.MetricsServer, c.Addons.EBSCSI, c.Addons.CertManager, c.Addons.LoadBalancer = a, a, a, a
	c.Addons.Monitoring, c.Addons.Logging, c.Addons.ArgoRollouts = a, a, a
	c.Addons.RabbitMQ.Addon, c.Addons.Redis.Addon, c.Addons.PostgreSQL.Addon, c.Addons.ArgoCD.Addon = a, a, a, a
	c.Addons.ArgoCD.RepoURL = "https://git.example.com/platform"
	return c
}

// healthy fills the server with a cluster as settings() describes it.
func healthy(t *testing.T) *fakeAPI {
	t.Helper()
	f := newFakeAPI(t)
	node := func(name, zone, labels string, taints ...any) map[string]any {
		o := obj(name, "topology.kubernetes.io/region=eu-west-1 topology.kubernetes.io/zone="+zone+" "+labels, map[string]any{
			"spec":   map[string]any{"providerID": "aws:///" + zone + "/i-" + name, "taints": taints},
			"status": map[string]any{"nodeInfo": map[string]any{"kubeletVersion": "v1.36.3"}, "conditions": conditions("Ready=True")["status"].(map[string]any)["conditions"]},
		})
		return o
	}
	master := node("master", "eu-west-1a", "", map[string]any{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})
	master["metadata"].(map[string]any)["annotations"] = map[string]any{lastBackup: now.Add(-3 * time.Hour).Format(time.RFC3339), lastBackupKey: "etcd/3.db"}
	f.objects["/api/v1/namespaces"] = []any{}
	f.objects["/version"] = map[string]any{"gitVersion": "v1.36.3"}
	f.objects["/readyz"] = map[string]any{}
	f.objects["/api/v1/nodes"] = []any{master, node("worker-1", "eu-west-1b", "workload=api")}
	f.objects["/api/v1/nodes/master"] = master
	withImage := func(name, labels, containerName, image string) map[string]any {
		return obj(name, labels, map[string]any{
			"spec": map[string]any{"containers": []any{map[string]any{"name": containerName, "image": image}}}, "status": runningPod(),
		})
	}
	system := []any{
		withImage("coredns-1", "k8s-app=kube-dns", "coredns", "registry.k8s.io/coredns/coredns:v1.14.0"),
		withImage("etcd-master", "component=etcd", "etcd", "registry.k8s.io/etcd:3.6.16-0"),
	}
	f.objects["/api/v1/namespaces/kube-system/pods"] = system
	f.objects["/api/v1/pods"] = append([]any{withImage("app", "", "app", "app:1")}, system...)
	f.objects["/api/v1/namespaces/data/pods"] = []any{
		withImage("rabbitmq-server-0", "app.kubernetes.io/name=rabbitmq", "rabbitmq", "rabbitmq:4"),
		withImage("valkey-0", "app.kubernetes.io/instance=valkey", "valkey", "valkey:9"),
		withImage("postgresql-1", "cnpg.io/cluster=postgresql", "postgres", "postgresql:18"),
	}
	f.objects["/api/v1/namespaces/kube-system/services/kube-dns"] = map[string]any{"spec": map[string]any{"clusterIP": "10.96.0.10"}}
	f.objects["/api/v1/namespaces/default/services/kubernetes"] = map[string]any{"spec": map[string]any{"clusterIP": "10.96.0.1"}}
	f.objects["/apis/apiregistration.k8s.io/v1/apiservices"] = []any{obj("v1.", "", conditions("Available=True")), obj("v1beta1.metrics.k8s.io", "", conditions("Available=True"))}
	f.objects["/apis/operator.tigera.io/v1/tigerastatuses"] = []any{obj("calico", "", conditions("Available=True"))}
	deployment := func(release string) map[string]any {
		return obj(release, "app.kubernetes.io/instance="+release, map[string]any{"spec": map[string]any{"replicas": 1}, "status": map[string]any{"readyReplicas": 1}})
	}
	var deployments []any
	for _, release := range []string{"metrics-server", "aws-ebs-csi-driver", "cert-manager", "aws-load-balancer-controller", "kube-prometheus-stack", "loki", "valkey", "argo-cd", "argo-rollouts"} {
		deployments = append(deployments, deployment(release))
	}
	daemonSet := map[string]any{"status": map[string]any{"desiredNumberScheduled": 2, "numberReady": 2}}
	f.objects["/apis/apps/v1/deployments"] = deployments
	f.objects["/apis/apps/v1/statefulsets"] = []any{}
	f.objects["/apis/apps/v1/daemonsets"] = []any{
		obj("aws-cloud-controller-manager", "", daemonSet), obj("fluent-bit", "app.kubernetes.io/instance=fluent-bit", daemonSet),
	}
	f.objects["/apis/metrics.k8s.io/v1beta1/nodes"] = []any{obj("master", "", nil), obj("worker-1", "", nil)}
	gp3 := obj("gp3", "", nil)
	gp3["metadata"].(map[string]any)["annotations"] = map[string]any{"storageclass.kubernetes.io/is-default-class": "true"}
	f.objects["/apis/storage.k8s.io/v1/storageclasses"] = []any{gp3}
	f.objects["/apis/cert-manager.io/v1/clusterissuers"] = []any{obj("letsencrypt", "", conditions("Ready=True"))}
	f.objects["/apis/cert-manager.io/v1/certificates"] = []any{}
	f.objects["/apis/monitoring.coreos.com/v1/prometheuses"] = []any{obj("prometheus", "", conditions("Available=True"))}
	f.objects["/apis/monitoring.coreos.com/v1/alertmanagers"] = []any{obj("alertmanager", "", conditions("Available=True"))}
	f.objects["/apis/rabbitmq.com/v1beta1/rabbitmqclusters"] = []any{obj("rabbitmq", "", conditions("AllReplicasReady=True ClusterAvailable=True"))}
	f.objects["/apis/postgresql.cnpg.io/v1/clusters"] = []any{obj("postgresql", "", conditions("Ready=True"))}
	f.objects["/apis/argoproj.io/v1alpha1/applications"] = []any{obj("root", "", map[string]any{
		"status": map[string]any{"sync": map[string]any{"status": "Synced"}, "health": map[string]any{"status": "Healthy"}},
	})}
	f.objects["/apis/networking.k8s.io/v1/ingresses"] = []any{f.ingress(t, http.StatusFound)}
	return f
}

// ingress is one whose load balancer is a server of the test that answers with a status.
func (f *fakeAPI) ingress(t *testing.T, status int) map[string]any {
	t.Helper()
	balancer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "grafana.example.com" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	balancer.TLS = &tls.Config{Certificates: []tls.Certificate{f.cert}}
	balancer.StartTLS()
	t.Cleanup(balancer.Close)
	return obj("grafana", "", map[string]any{
		"spec":   map[string]any{"rules": []any{map[string]any{"host": "grafana.example.com"}}},
		"status": map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"hostname": strings.TrimPrefix(balancer.URL, "https://")}}}},
	})
}

// check runs all checks against the server on a clock that a pause moves on.
func (f *fakeAPI) check(t *testing.T, o Options) map[string]Result {
	t.Helper()
	api, err := Open(f.kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	if o.Config == nil {
		o.Config = settings()
	}
	clock := now
	o.Now = func() time.Time { return clock }
	o.roots = x509.NewCertPool()
	leaf, err := x509.ParseCertificate(f.cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	o.roots.AddCert(leaf)
	after := o.pause
	o.pause = func(ctx context.Context, d time.Duration) error {
		clock = clock.Add(d)
		if after != nil {
			return after(ctx, d)
		}
		return nil
	}
	results, err := Run(t.Context(), api, o)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Result{}
	for _, r := range results {
		by[r.Check] = r
	}
	return by
}
