package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// containerdConfig is the whole of /etc/containerd/config.toml. Docker's package ships one that switches the CRI off,
// and an edited default would differ from release to release.
func containerdConfig(r release, extra string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `version = 3

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '%s'

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = true
`, r.sandboxImage())
	if extra = strings.TrimSpace(extra); extra != "" {
		b.WriteString("\n" + extra + "\n")
	}
	return b.String()
}

// registryMirrors lists "<registry> <url>" lines for prepare.sh, which makes a hosts.toml of each.
func registryMirrors(mirrors map[string]string) string {
	var b strings.Builder
	for _, host := range slices.Sorted(maps.Keys(mirrors)) {
		fmt.Fprintf(&b, "%s %s\n", host, mirrors[host])
	}
	return b.String()
}
