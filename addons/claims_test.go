package addons

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

const (
	claimClass = `{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: %s}, provisioner: ebs.csi.aws.com, allowVolumeExpansion: %t}`
	boundClaim = `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: %[1]s, namespace: default, labels: {a: %[2]s}}, spec: {accessModes: [ReadWriteOnce], storageClassName: %[3]s, volumeName: %[1]s, resources: {requests: {storage: 10Gi}}}}`
	claimMaker = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: loki, namespace: default, labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: loki}}, spec: {serviceName: loki, selector: {matchLabels: {a: loki}}, template: {metadata: {labels: {a: loki}}, spec: {containers: [{name: c, image: c}]}}, volumeClaimTemplates: [{metadata: {name: storage}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}}]}}`
)

// claims runs the script for the claims with label a=of.
func (a *api) claims(of, size, bytes string, settings ...string) (string, error) {
	cmd := exec.Command("bash", "scripts/claims.sh")
	cmd.Env = append(os.Environ(), append([]string{"KUBECONFIG=" + a.kubeconfig, "NAMESPACE=default", "SELECTOR=a=" + of,
		"SIZE=" + size, "BYTES=" + bytes}, settings...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// makes returns the size of the claims that the StatefulSet makes, and who owns it.
func (a *api) makes() string {
	a.t.Helper()
	return a.kubectl("get", "statefulsets", "-o", `go-template={{range .items}}{{(index .spec.volumeClaimTemplates 0).spec.resources.requests.storage}} `+
		`{{index .metadata.labels "app.kubernetes.io/managed-by"}} {{index .metadata.annotations "meta.helm.sh/release-name"}}{{end}}`)
}

func (a *api) sizeOf(claim string) string {
	a.t.Helper()
	return a.kubectl("get", "pvc", claim, "-o", "jsonpath={.spec.resources.requests.storage}")
}

// The API server of the test takes a larger claim only of a class that allows it, as in a cluster.
func TestClaimsGrow(t *testing.T) {
	a := startAPI(t)
	a.apply(fmt.Sprintf(claimClass, "gp3", true), fmt.Sprintf(claimClass, "fixed", false),
		fmt.Sprintf(boundClaim, "storage-loki-0", "loki", "gp3"), fmt.Sprintf(boundClaim, "other", "other", "gp3"),
		fmt.Sprintf(boundClaim, "fixed", "fixed", "fixed"), claimMaker)
	for _, name := range []string{"storage-loki-0", "other", "fixed"} {
		a.kubectl("patch", "pvc", name, "--subresource=status", "--type=merge", "-p",
			`{"status":{"phase":"Bound","capacity":{"storage":"10Gi"}}}`)
	}
	a.play(func() { a.finish("statefulsets") }) // the garbage collector lets the pods go
	for _, c := range []struct {
		size, bytes, says, want, makes string
	}{
		{"10Gi", "10737418240", "unchanged", "10Gi", "10Gi Helm loki"},
		{"50Gi", "53687091200", "grown", "50Gi", "50Gi Helm loki"},
		{"50Gi", "53687091200", "unchanged", "50Gi", "50Gi Helm loki"},
		{"20Gi", "21474836480", "unchanged", "50Gi", "20Gi Helm loki"}, // made larger by hand
		// The API server stores these in other forms.
		{"0.1Ti", "109951162777", "grown", "109951162777600m", "109951162777600m Helm loki"},
		{"0.1Ti", "109951162777", "unchanged", "109951162777600m", "109951162777600m Helm loki"},
		{"1200e8", "120000000000", "grown", "120e9", "120e9 Helm loki"},
		{"1200e8", "120000000000", "unchanged", "120e9", "120e9 Helm loki"},
	} {
		before := a.kubectl("get", "statefulsets", "-o", "jsonpath={.items[*].metadata.uid}")
		out, err := a.claims("loki", c.size, c.bytes, "STATEFULSET=loki")
		if err != nil || !strings.HasSuffix(out, c.says+"\n") {
			t.Errorf("%s: %v\n%s", c.size, err, out)
		}
		if got := a.sizeOf("storage-loki-0"); got != c.want {
			t.Errorf("with %s the claim has %s", c.size, got)
		}
		if makes := a.makes(); makes != c.makes {
			t.Errorf("with %s the StatefulSet makes %q", c.size, makes)
		}
		after := a.kubectl("get", "statefulsets", "-o", "jsonpath={.items[*].metadata.uid}")
		if again := c.says == "grown" || c.size == "20Gi"; again != (before != after) {
			t.Errorf("with %s the StatefulSet %s is now %s: %s", c.size, before, after, out)
		}
	}
	testClaimsGoOn(t, a)
	if got := a.sizeOf("other"); got != "10Gi" {
		t.Errorf("the claim of another has %s", got)
	}
	if out, err := a.claims("none", "50Gi", "53687091200", "STATEFULSET=none"); err != nil || out != "unchanged\n" {
		t.Errorf("before the first release: %v\n%s", err, out)
	}
	out, err := a.claims("fixed", "50Gi", "53687091200")
	if err == nil || !strings.Contains(out, "cannot make default/fixed larger than 10Gi") {
		t.Errorf("a class that does not grow: %v\n%s", err, out)
	}
}

// testClaimsGoOn interrupts the script before and after each of its changes. The next run makes the StatefulSet
// with the size that is asked for then, and leaves no ConfigMap.
func testClaimsGoOn(t *testing.T, a *api) {
	t.Helper()
	kubectl := testenv.NeedKubernetes(t, "kubectl")
	gib := 200
	for _, at := range []string{"create configmap", "delete statefulset", "create -f", "delete configmap"} {
		for _, does := range []string{"", kubectl + ` "$@"; `} {
			dir := t.TempDir()
			stub := "#!/bin/bash\ncase \"$*\" in *\"" + at + "\"*) " + does + "exit 1 ;; *) exec " + kubectl + " \"$@\" ;; esac\n"
			if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(stub), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "PATH=" + os.Getenv("PATH")} {
				gib++
				size := fmt.Sprintf("%dGi", gib)
				out, err := a.claims("none", size, fmt.Sprint(gib<<30), "STATEFULSET=loki", path)
				if interrupts := strings.Contains(path, dir); interrupts != (err != nil) {
					t.Errorf("%s: %v\n%s", at, err, out)
				} else if makes := a.makes(); !interrupts && makes != size+" Helm loki" {
					t.Errorf("after %q the StatefulSet makes %q, want %s: %s", at, makes, size, out)
				}
			}
			if left := a.kubectl("get", "configmaps", "-o", "name"); strings.Contains(left, "claims-loki") {
				t.Errorf("after %q: %s", at, left)
			}
		}
	}
}

// Each failure of kubectl ends the script with what it was about. A size that cannot be read deletes nothing.
func TestClaimsThatCannotGrowAreNamed(t *testing.T) {
	run := func(state, held, claim, fails string) (out, calls string, err error) {
		dir := t.TempDir()
		fake := `#!/usr/bin/env bash
echo "$*" >>` + dir + `/calls
case "$*" in
*'` + fails + `'*) echo 'error: forbidden' >&2; exit 1 ;;
*'-f -'*) cat >/dev/null ;;
*'get statefulset'*) echo '` + state + `' ;;
*'get configmap'*) echo '` + held + `' ;;
*'get persistent'*) echo 'storage-loki-0 ` + claim + `' ;;
esac
`
		if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
		out, err = (&api{t: t}).claims("loki", "50Gi", "53687091200", "STATEFULSET=loki", "PATH="+dir+":"+os.Getenv("PATH"))
		raw, _ := os.ReadFile(filepath.Join(dir, "calls"))
		return out, string(raw), err
	}
	for says, c := range map[string]struct{ state, held, claim, fails string }{
		"cannot read the StatefulSet default/loki":                                    {"10Gi", "", "10Gi", "get statefulset"},
		"the StatefulSet default/loki makes claims of 10GiB, which is not a quantity": {"10GiB", "", "10Gi", "none"},
		"cannot read the ConfigMap default/claims-loki":                               {"10Gi", "", "10Gi", "get configmap"},
		"cannot save the StatefulSet default/loki in the ConfigMap default/claims-lo": {"10Gi", "", "10Gi", "create configmap"},
		"cannot remove the ConfigMap default/claims-loki":                             {"10Gi", "old", "10Gi", "delete configmap"},
		"cannot remove the ConfigMap default/claims-loki, which is not needed":        {"50Gi", "old", "10Gi", "delete configmap"},
		"cannot remove the StatefulSet default/loki, which makes claims of 10Gi":      {"10Gi", "", "10Gi", "delete statefulset"},
		"the ConfigMap default/claims-loki holds it. Correct the reason":              {"10Gi", "", "10Gi", "create -f"},
		"cannot list the claims in default":                                           {"10Gi", "", "10Gi", "get persistent"},
		"the claim default/storage-loki-0 has the size x, which is not a quantity":    {"50Gi", "", "x", "none"},
		"cannot make default/storage-loki-0 larger than 10Gi":                         {"10Gi", "", "10Gi", "patch persistent"},
	} {
		out, calls, err := run(c.state, c.held, c.claim, c.fails)
		if err == nil || !strings.Contains(out, says) {
			t.Errorf("%s: %v\n%s", says, err, out)
		}
		if c.state == "10GiB" && strings.Contains(calls, "delete") {
			t.Errorf("%s: %s", says, calls)
		}
	}
	// An interrupted run has saved the StatefulSet and has begun to delete it. Somebody else has deleted the one that is
	// not saved.
	for held, again := range map[string]bool{"configmap/claims-loki": true, "": false} {
		out, calls, err := run("10Gi 2026-01-01T00:00:00Z", held, "50Gi", "none")
		if err != nil || strings.Contains(calls, "create -f") != again || strings.Contains(calls, "create configmap") {
			t.Errorf("with %q: %v\n%s%s", held, err, out, calls)
		}
	}
	if out, err := (&api{t: t}).claims("loki", "", "1"); err == nil || !strings.Contains(out, "SIZE is not set") {
		t.Errorf("without a size: %v\n%s", err, out)
	}
}

// The steps come before the release that has the new size, and only with a size of the user.
func TestLargerVolumesGrowBeforeTheirRelease(t *testing.T) {
	for _, step := range []string{"claims-prometheus", "claims-alertmanager", "claims-grafana", "claims-loki"} {
		if install(t, nil, everything).has(step) {
			t.Errorf("%s runs without a size of the user", step)
		}
	}
	r := install(t, nil, func(c *config.Config) {
		everything(c)
		c.Addons.Monitoring.Values = map[string]any{"prometheus": map[string]any{"prometheusSpec": map[string]any{
			"storageSpec": map[string]any{"volumeClaimTemplate": map[string]any{"spec": map[string]any{
				"resources": map[string]any{"requests": map[string]any{"storage": "100Gi"}}}}}}}}
		c.Addons.Logging.Values = map[string]any{"loki": map[string]any{"singleBinary": map[string]any{
			"persistence": map[string]any{"size": "50Gi"}}}}
	})
	for step, c := range map[string]struct{ release, says string }{
		"claims-prometheus": {"kube-prometheus-stack", "BYTES='107374182400'"},
		"claims-loki":       {"loki", "STATEFULSET='loki'"},
	} {
		if text := r.find(t, step).inputs["create"].String(); !strings.Contains(text, c.says) {
			t.Errorf("%s runs %s", step, text)
		}
		if !r.outlives(step, c.release) {
			t.Errorf("%s does not wait for %s", c.release, step)
		}
	}
}
