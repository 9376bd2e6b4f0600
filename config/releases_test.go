package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestReleaseOfRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, v := range []string{"", "1.36", "1.34.9", "1.99.0", "v1.36.3", "1.36.3-rc.1"} {
		if r, err := ReleaseOf(v); err == nil {
			t.Errorf("%q was accepted as %v", v, r)
		}
	}
	if r, err := ReleaseOf("1.35.9"); err != nil || r.Version != "1.35.9" || r.Pause != Releases[0].Pause {
		t.Errorf("1.35.9 is %v, %v", r, err)
	}
}

func TestReleasesAreComplete(t *testing.T) {
	for i, r := range Releases {
		fields := reflect.ValueOf(r)
		for j := range fields.NumField() {
			if fields.Field(j).IsZero() {
				t.Errorf("%s has no %s", r.Version, fields.Type().Field(j).Name)
			}
		}
		if !fullVersion.MatchString(r.Version) || i > 0 && Releases[i-1].Minor() >= r.Minor() {
			t.Errorf("%s is no release newer than the one before it", r.Version)
		}
	}
}

// TestFilesFollowTheReleases compares the files that hold a version of Releases, or of the pins, with them.
func TestFilesFollowTheReleases(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile("../" + path)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	holds := func(path, want string) {
		if !strings.Contains(read(path), want) {
			t.Errorf("%s is out of step with config/releases.go: it has no %q", path, want)
		}
	}
	follow := func(pattern string, name func(Release) string) {
		var want, found []string
		for _, r := range Releases {
			want = append(want, name(r))
		}
		files, err := filepath.Glob("../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			found = append(found, strings.TrimPrefix(file, "../"))
		}
		if slices.Sort(want); !slices.Equal(found, want) {
			t.Errorf("%s is out of step with config/releases.go: there are %v instead of %v", pattern, found, want)
		}
	}
	module := func(r Release) string { return "tools/mirror/modules/k8s-" + r.Version } // by tools/mirror/new-release
	follow("tools/mirror/modules/k8s-*", module)
	for _, r := range Releases {
		path := module(r) + "/go.mod"
		if !regexp.MustCompile(`k8s\.io/kubernetes v` + regexp.QuoteMeta(r.Version) + `\s`).MatchString(read(path)) {
			t.Errorf("%s is out of step with config/releases.go: it does not require Kubernetes %s", path, r.Version)
		}
		holds(path, "replace k8s.io/apiserver => k8s.io/apiserver v0"+strings.TrimPrefix(r.Version, "1")+"\n")
	}
	// By go test -update in config/schematest.
	follow("config/kubernetes-*.txt", func(r Release) string { return "config/kubernetes-" + r.Minor() + ".txt" })
	// By go test -update in cluster.
	follow("cluster/testdata/images-control-plane-*.txt", func(r Release) string {
		return "cluster/testdata/images-control-plane-" + r.Minor() + ".txt"
	})
	follow("cluster/testdata/kubeadm/init-1.*.yaml", func(r Release) string {
		return "cluster/testdata/kubeadm/init-" + r.Minor() + ".yaml"
	})

	holds("docs/configuration.md", fmt.Sprintf("A full release of %s, up to patch %d.", strings.Join(minors(), " or "), maxPatch))
	holds("docs/configuration.md", "the real types and flags of Kubernetes "+listMinors())
	holds("tools/mirror/README.md", "/v"+DefaultRelease().Minor()+"/deb/")
	holds("tools/mirror/README.md", fmt.Sprintf("/etcd/v%[1]s/etcd-v%[1]s-linux-amd64.tar.gz", EtcdToolsVersion))
	holds("tools/mirror/modules/etcd/go.mod", "go.etcd.io/etcd/server/v3 v"+EtcdToolsVersion)
	for _, path := range []string{"tools/mirror/modules/containerd/go.mod", "cluster/containerdtest/go.mod"} {
		found := regexp.MustCompile(`github\.com/containerd/containerd/v2 v(\S+)`).FindStringSubmatch(read(path))
		if found == nil {
			t.Errorf("%s requires no containerd", path)
		} else if ok, err := filepath.Match(ContainerdVersion, found[1]); !ok || err != nil {
			t.Errorf("%s is out of step with config/releases.go: it has containerd %s, and hosts get %s", path, found[1], ContainerdVersion)
		}
	}
}
