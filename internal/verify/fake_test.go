package verify

import (
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
)

// now is the time of all tests in this package.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// fakeAPI is an API server that stores objects by path, starts pods immediately and answers their ports.
type fakeAPI struct {
	*httptest.Server
	mu sync.Mutex
	// objects are by the path from which they are read.
	objects map[string]any
	// created and removed are the paths of the objects that a check created and deleted.
	created, removed []string
	// resolves is the address that the cluster's DNS answers with.
	resolves string
	// podStatus is the status that pods of checks get.
	podStatus map[string]any
	// stored is the data on the volume.
	stored map[string]string
	// volume is the name that a claim gets. It is empty for a claim that stays pending. released are the volumes with
	// the policy Delete.
	volume   string
	released []string
	// log is the output of a client pod.
	log string
	// published are the discovery documents in the bucket, by path.
	published map[string]string
	// peer is the common name of the client certificate last shown.
	peer string
	cert tls.Certificate
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{objects: map[string]any{}, resolves: "10.96.0.1", podStatus: runningPod(), stored: map[string]string{},
		log: "done", volume: "pv-1"}
	f.cert = selfSigned(t, "api", now.AddDate(0, 6, 0))
	f.Server = httptest.NewUnstartedServer(f)
	f.TLS = &tls.Config{Certificates: []tls.Certificate{f.cert}, ClientAuth: tls.RequireAnyClientCert}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// kubeconfig returns one for this server, with its own client certificate.
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
`, f.URL, encode("CERTIFICATE", f.cert.Certificate[0]), encode("CERTIFICATE", user.Certificate[0]),
		encode("PRIVATE KEY", key))
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

// read answers with the object at a path, or with a list of objects that a selector filters.
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

// refusedByPodSecurity is the error of a cluster whose default level is "restricted".
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
		if of["allowPrivilegeEscalation"] != false || !slices.Contains(drop, any("ALL")) ||
			slices.ContainsFunc(add, func(c any) bool { return c != "NET_BIND_SERVICE" }) {
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
