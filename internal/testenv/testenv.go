// Package testenv finds the programs that tests run. `make test` builds them and sets their paths. If a program is
// missing, a test is skipped; with CI=true it fails, because a skipped check proves nothing.
package testenv

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// NeedPulumi returns the path of the Pulumi CLI: $PULUMI or the one on PATH.
func NeedPulumi(t testing.TB) string {
	t.Helper()
	if cli := os.Getenv("PULUMI"); cli != "" {
		return cli
	}
	cli, err := exec.LookPath("pulumi")
	if err != nil {
		missing(t, "the Pulumi CLI is not on PATH; make test finds or builds one")
	}
	return cli
}

// NeedKubernetes returns the path of a program of Kubernetes or etcd, such as kube-apiserver. It searches the
// directory in KUBEBUILDER_ASSETS, then the results of tools/mirror/build.
func NeedKubernetes(t testing.TB, program string) string {
	t.Helper()
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		found, _ := filepath.Glob(filepath.Join(mirror(), "test-programs", "*"))
		if len(found) > 0 {
			dir = slices.Max(found)
		}
	}
	path := filepath.Join(dir, program)
	if _, err := os.Stat(path); err != nil {
		missing(t, program+" is missing; make test builds it, or set KUBEBUILDER_ASSETS to a directory that holds it")
	}
	return path
}

// NeedCharts returns the directory of a Helm repository with every chart of the platform. Charts cannot be built, so
// the test is skipped without them, also with CI=true.
func NeedCharts(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(mirror(), "charts")
	if _, err := os.Stat(filepath.Join(dir, "index.yaml")); err != nil {
		t.Skip("there are no charts; tools/mirror/charts gets them where the public repositories can be reached")
	}
	return dir
}

// NeedProgram returns the path of a program of the operating system. debian is the package that contains it.
func NeedProgram(t testing.TB, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program+" is not on PATH; on Debian and Ubuntu it is in the package "+debian)
	}
	return path
}

// mirror is the directory that tools/mirror/build fills.
func mirror() string { return cmp.Or(os.Getenv("MIRROR_DIR"), "/var/cache/kubeadm-aws-mirror") }

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
