package addons

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

const cloudNativePG = "github.com/cloudnative-pg/cloudnative-pg"

func TestRealPostgreSQLOperator(t *testing.T) {
	server := startAPI(t)
	server.define(cloudNativePG)
	server.kubectl("create", "namespace", "cnpg-system")
	startCloudNativePG(server)
	stacks := shippedStacks(t)
	stacks["restored"] = func(c *config.Config) {
		everything(c)
		c.Addons.PostgreSQL.Generation = "2"
		c.Addons.PostgreSQL.Restore = config.PostgreSQLRestore{From: "postgresql", TargetTime: "2026-11-25T01:30:00Z"}
	}
	for name, change := range stacks {
		t.Run(name, func(t *testing.T) {
			a := &api{t: t, kubeconfig: server.kubeconfig}
			r := install(t, nil, change)
			if !r.has("postgresql") {
				t.Skip("this stack has no PostgreSQL")
			}
			cluster, namespace := r.find(t, "postgresql"), "data-"+name
			a.kubectl("create", "namespace", namespace)
			for _, secret := range postgresqlSecrets(r) {
				a.applyJSON(manifest(t, secret, namespace))
			}
			// The webhook answers once the operator runs.
			a.until("the webhook takes the cluster", func() bool {
				out, err := a.try(manifest(t, cluster, namespace), "apply", "--server-side", "-f", "-")
				if err != nil && !strings.Contains(out, "connection refused") {
					t.Fatalf("the operator refuses the cluster: %s", out)
				}
				return err == nil
			})
			postgresqlIsMade(a, namespace, waitsFor(t, cluster))
			postgresqlIsBackedUp(a, namespace, manifest(t, r.find(t, "postgresql-backup"), namespace))
			postgresqlCanBeDrained(a, namespace)
			postgresqlSeesItsPassword(a, namespace)
			postgresqlImageMovesForward(a, namespace, waitsFor(t, cluster))
		})
	}
}

// postgresqlSecrets are the Secrets that the cluster refers to.
func postgresqlSecrets(r *recorder) []registered {
	var found []registered
	for _, entry := range r.resources {
		if strings.HasPrefix(entry.name, "secret-postgresql") {
			found = append(found, entry)
		}
	}
	return found
}

// startCloudNativePG runs the operator with its webhooks. Their certificate and configuration normally come from the
// chart.
func startCloudNativePG(a *api) {
	a.t.Helper()
	dir := a.t.TempDir()
	program := operator(a.t, cloudNativePG+"/cmd/manager")
	// The operator searches its image for the programs that it copies into the database's pods.
	if err := os.MkdirAll(filepath.Join(dir, "operator"), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "operator", "manager_amd64")); err != nil {
		a.t.Fatal(err)
	}
	port, authority := testenv.FreePort(a.t), webhookCertificate(a.t, dir)
	for _, hooks := range webhooksOf(a.t, sourceOf(a.t, cloudNativePG), port, authority) {
		a.applyJSON(hooks)
	}
	testenv.Start(a.t, "env", "-C", dir, "KUBECONFIG="+a.kubeconfig, "OPERATOR_NAMESPACE=cnpg-system",
		"WEBHOOK_CERT_DIR="+dir,
		program, "controller", "--metrics-bind-address=0", fmt.Sprintf("--webhook-port=%d", port))
}

// webhookCertificate writes apiserver.crt and apiserver.key into a directory and returns the authority in base64.
func webhookCertificate(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{"apiserver.crt": certificate,
		"apiserver.key": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return base64.StdEncoding.EncodeToString(certificate)
}

// webhooksOf returns the operator's webhook configurations, redirected to a program on this machine.
func webhooksOf(t *testing.T, source string, port int, authority string) []string {
	t.Helper()
	file, err := os.Open(filepath.Join(source, "config", "webhook", "manifests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []string
	for decoder := yaml.NewDecoder(file); ; {
		var hooks map[string]any
		if err := decoder.Decode(&hooks); err != nil {
			break
		}
		for _, hook := range hooks["webhooks"].([]any) {
			path := hook.(map[string]any)["clientConfig"].(map[string]any)["service"].(map[string]any)["path"]
			hook.(map[string]any)["clientConfig"] = map[string]any{"url": fmt.Sprintf("https://127.0.0.1:%d%s", port, path),
				"caBundle": authority}
		}
		all = append(all, jsonOf(t, hooks))
	}
	if len(all) != 2 {
		t.Fatalf("%d webhook configurations in the operator's source", len(all))
	}
	return all
}

const postgresqlObject = "cluster.postgresql.cnpg.io/postgresql"

// postgresqlIsMade follows the operator until it creates the database's pod. It acts as the volume controller, the
// job and the kubelet.
func postgresqlIsMade(a *api, namespace string, wait []string) {
	a.t.Helper()
	job := "job/postgresql-1-initdb"
	if a.get(namespace, postgresqlObject, "{.spec.bootstrap.recovery}") != "" {
		job = "job/postgresql-1-full-recovery"
	}
	a.until("the operator makes the job", func() bool { return a.get(namespace, job, "{.metadata.name}") != "" })
	if image := a.get(namespace, job, "{.spec.template.spec.containers[0].image}"); image != postgresqlImage {
		a.t.Errorf("the job runs %s, not %s", image, postgresqlImage)
	}
	a.kubectl("-n", namespace, "patch", "pvc/postgresql-1", "--subresource=status", "--type=merge", "-p",
		`{"status":{"phase":"Bound"}}`)
	now := time.Now().UTC().Format(time.RFC3339)
	a.kubectl("-n", namespace, "patch", job, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(
		`{"status":{"succeeded":1,"startTime":%q,"completionTime":%[1]q,"uncountedTerminatedPods":{},"conditions":[{"type":"SuccessCriteriaMet","status":"True"},{"type":"Complete","status":"True"}]}}`, now))
	a.until("the operator makes the pod", func() bool {
		return a.get(namespace, "pod/postgresql-1", "{.metadata.name}") != ""
	})
	if image := a.get(namespace, "pod/postgresql-1", "{.spec.containers[0].image}"); image != postgresqlImage {
		a.t.Errorf("the pod runs %s, not %s", image, postgresqlImage)
	}
	if a.done(namespace, postgresqlObject, wait) {
		a.t.Error("done before the database answers")
	}
}

func postgresqlIsBackedUp(a *api, namespace, schedule string) {
	a.t.Helper()
	a.applyJSON(schedule)
	a.until("the operator starts the first backup", func() bool {
		return a.get(namespace, "backups.postgresql.cnpg.io",
			"{.items[0].spec.method} {.items[0].spec.cluster.name}") == "barmanObjectStore postgresql"
	})
}

func postgresqlCanBeDrained(a *api, namespace string) {
	a.t.Helper()
	if budgets := a.get(namespace, "poddisruptionbudgets", "{.items[*].metadata.name}"); budgets != "" {
		a.t.Errorf("there is a budget, so a drain of its node cannot end: %s", budgets)
	}
	// With enablePDB the operator creates the budget, so above it was not merely late.
	a.kubectl("-n", namespace, "patch", postgresqlObject, "--type=merge", "-p", `{"spec":{"enablePDB":true}}`)
	a.until("the operator makes a budget where it is on", func() bool {
		return a.get(namespace, "poddisruptionbudget/postgresql-primary", "{.spec.minAvailable}") == "1"
	})
	a.kubectl("-n", namespace, "patch", postgresqlObject, "--type=merge", "-p", `{"spec":{"enablePDB":false}}`)
	a.until("the operator removes the budget of a stack made before", func() bool {
		return a.get(namespace, "poddisruptionbudgets", "{.items[*].metadata.name}") == ""
	})
}

// The instance changes the role when the version of the Secret in the status changes.
func postgresqlSeesItsPassword(a *api, namespace string) {
	a.t.Helper()
	a.kubectl("-n", namespace, "patch", "secret/postgresql-app", "--type=merge", "-p",
		`{"stringData":{"password":"another"}}`)
	version := a.get(namespace, "secret/postgresql-app", "{.metadata.resourceVersion}")
	a.until("the operator reads the new password", func() bool {
		return a.get(namespace, postgresqlObject, "{.status.secretsResourceVersion.applicationSecretVersion}") == version
	})
}

func postgresqlImageMovesForward(a *api, namespace string, wait []string) {
	a.t.Helper()
	const next = "ghcr.io/cloudnative-pg/postgresql:18.99-system-trixie"
	if got := a.get(namespace, postgresqlObject, "{.status.image}"); got != postgresqlImage {
		a.t.Errorf("the operator runs %s, not %s", got, postgresqlImage)
	}
	a.kubectl("-n", namespace, "patch", postgresqlObject, "--type=merge", "-p", `{"spec":{"imageName":"`+next+`"}}`)
	a.until("the operator takes the new image",
		func() bool { return a.get(namespace, postgresqlObject, "{.status.image}") == next })
	if a.done(namespace, postgresqlObject, wait[:1]) {
		a.t.Error("the wait for the old image is met by the new one")
	}
}
