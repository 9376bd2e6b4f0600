package addons

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

const (
	claimClass = `{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: %s}, provisioner: ebs.csi.aws.com, allowVolumeExpansion: %t}`
	boundClaim = `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: %[1]s, namespace: default, labels: {a: %[2]s}}, spec: {accessModes: [ReadWriteOnce], storageClassName: %[3]s, volumeName: %[1]s, resources: {requests: {storage: 10Gi}}}}`
	claimMaker = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: loki, namespace: default}, spec: {serviceName: loki, selector: {matchLabels: {a: loki}}, template: {metadata: {labels: {a: loki}}, spec: {containers: [{name: c, image: c}]}}, volumeClaimTemplates: [{metadata: {name: storage}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}}]}}`
)

// claims runs the script for the claims with label a=of.
func (a *api) claims(of, size, bytes string, settings ...string) (string, error) {
	cmd := exec.Command("bash", "scripts/claims.sh")
	cmd.Env = append(os.Environ(), append([]string{"KUBECONFIG=" + a.kubeconfig, "NAMESPACE=default", "SELECTOR=a=" + of,
		"SIZE=" + size, "BYTES=" + bytes}, settings...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
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
		size, bytes, says, want, maker string
	}{
		{"10Gi", "10737418240", "unchanged", "10Gi", "statefulset.apps/loki"},
		{"50Gi", "53687091200", "grown", "50Gi", ""},
		{"50Gi", "53687091200", "unchanged", "50Gi", ""},
		{"20Gi", "21474836480", "unchanged", "50Gi", ""}, // made larger by hand
	} {
		out, err := a.claims("loki", c.size, c.bytes, "STATEFULSET=loki")
		if err != nil || !strings.HasSuffix(out, c.says+"\n") {
			t.Errorf("%s: %v\n%s", c.size, err, out)
		}
		if got := a.sizeOf("storage-loki-0"); got != c.want {
			t.Errorf("with %s the claim has %s", c.size, got)
		}
		if maker := strings.TrimSpace(a.kubectl("get", "statefulsets", "-o", "name")); maker != c.maker {
			t.Errorf("with %s the StatefulSet is %q", c.size, maker)
		}
	}
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

// Each failure of kubectl ends the script with what it was about.
func TestClaimsThatCannotGrowAreNamed(t *testing.T) {
	for fails, says := range map[string]string{
		"get statefulset":    "cannot read the StatefulSet default/loki",
		"delete statefulset": "cannot remove the StatefulSet default/loki, which makes claims of 10Gi",
		"get persistent":     "cannot list the claims in default",
		"patch persistent":   "cannot make default/storage-loki-0 larger than 10Gi",
	} {
		dir := t.TempDir()
		fake := `#!/usr/bin/env bash
case "$*" in
*'` + fails + `'*) echo 'error: forbidden' >&2; exit 1 ;;
*'get statefulset'*) echo 10Gi ;;
*'get persistent'*) echo 'storage-loki-0 10Gi' ;;
esac
`
		if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
		a := &api{t: t}
		out, err := a.claims("loki", "50Gi", "53687091200", "STATEFULSET=loki", "PATH="+dir+":"+os.Getenv("PATH"))
		if err == nil || !strings.Contains(out, says) {
			t.Errorf("%s fails: %v\n%s", fails, err, out)
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
