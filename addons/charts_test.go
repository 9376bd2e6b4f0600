package addons

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/internal/testenv"
)

func TestEveryChartHasItsChecksum(t *testing.T) {
	for _, c := range catalog.Charts() {
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(c.SHA256) {
			t.Errorf("%s %s: %q is not a SHA-256", c.Name, c.Version, c.SHA256)
		}
	}
}

// The charts that the other tests install are those of the catalogue.
func TestChartsAreThoseThatWereMeant(t *testing.T) {
	charts := testenv.NeedCharts(t)
	for _, c := range catalog.Charts() {
		archive, err := os.ReadFile(filepath.Join(charts, c.Name+"-"+c.Version+".tgz"))
		if err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(archive)); sum != c.SHA256 {
			t.Errorf("%s %s has the SHA-256 %s, and the catalogue says %s", c.Name, c.Version, sum, c.SHA256)
		}
	}
}

// A repository that serves another archive under a version is found out when the charts are fetched.
func TestAnotherArchiveOfAChartIsRefused(t *testing.T) {
	dir := t.TempDir()
	// This helm gets the same content for every chart.
	helm := "#!/bin/sh\n[ \"$1\" = pull ] || exit 0\nname=${2##*/}\n" +
		"while [ $# -gt 1 ]; do case $1 in --version) version=$2 ;; --destination) to=$2 ;; esac; shift; done\n" +
		"echo other >\"$to/$name-$version.tgz\"\n"
	if err := os.WriteFile(filepath.Join(dir, "helm"), []byte(helm), 0o755); err != nil {
		t.Fatal(err)
	}
	fetch := exec.Command("../tools/mirror/charts")
	fetch.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "MIRROR_DIR="+dir)
	out, err := fetch.CombinedOutput()
	if err == nil {
		t.Errorf("accepted:\n%s", out)
	}
	for _, c := range catalog.Charts() {
		if !strings.Contains(string(out), c.Name+" "+c.Version+" of "+c.Repository+" has the SHA-256") {
			t.Errorf("nothing is said of %s", c.Name)
		}
		if _, err := os.Stat(filepath.Join(dir, "charts", c.Name+"-"+c.Version+".tgz")); err == nil {
			t.Errorf("%s stays where it is served", c.Name)
		}
	}
}
