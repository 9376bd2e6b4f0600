package cluster

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"kubeadm-aws/config"
)

// containerdConfig returns the whole of /etc/containerd/config.toml. Docker's package ships one that disables the
// CRI, and an edited default would differ between releases.
func containerdConfig(r config.Release, extra string) string {
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
`, r.SandboxImage())
	if extra = strings.TrimSpace(extra); extra != "" {
		b.WriteString("\n" + extra + "\n")
	}
	return b.String()
}

// certsDir is the directory with containerd's settings of registries, in a folder per registry.
const certsDir = "/etc/containerd/certs.d"

// hostsFile is the content of a hosts.toml: the servers that containerd asks for the images of one registry, before the
// registry itself. The registry needs no line. containerd already knows that docker.io is at registry-1.docker.io and
// that localhost uses HTTP.
type hostsFile struct {
	Host map[string]hostsEntry `toml:"host"`
}

type hostsEntry struct {
	Capabilities []string `toml:"capabilities"`
	// OverridePath prevents containerd from adding /v2 to the URL.
	OverridePath bool              `toml:"override_path"`
	CA           string            `toml:"ca,omitempty"`
	Header       map[string]string `toml:"header,omitempty"`
}

// registryFiles returns the files of all mirrors, by their path in certsDir. They contain passwords.
func registryFiles(mirrors map[string]config.RegistryMirror) (map[string]string, error) {
	files := map[string]string{}
	for registry, m := range mirrors {
		entry := hostsEntry{Capabilities: []string{"pull", "resolve"}, OverridePath: true}
		if m.CA != "" {
			entry.CA = path.Join(certsDir, registry, "ca.crt")
			files[registry+"/ca.crt"] = m.CA
		}
		if m.Username != "" {
			login := base64.StdEncoding.EncodeToString([]byte(m.Username + ":" + string(m.Password)))
			// containerd sends the header to the mirror and to the token server that the mirror names.
			entry.Header = map[string]string{"Authorization": "Basic " + login}
		}
		var b bytes.Buffer
		if err := toml.NewEncoder(&b).Encode(hostsFile{map[string]hostsEntry{apiRoot(m.URL): entry}}); err != nil {
			return nil, fmt.Errorf("mirrors.registries %s: %w", registry, err)
		}
		files[registry+"/hosts.toml"] = b.String()
	}
	return files, nil
}

// apiRoot returns the URL of a mirror's registry API. If the URL's path has a segment v2, as for Harbor's projects,
// it is the URL itself. Otherwise it is the URL with /v2, as the standard says.
func apiRoot(url string) string {
	url = strings.TrimSuffix(url, "/")
	_, path, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://"), "/")
	if slices.Contains(strings.Split(path, "/"), "v2") {
		return url
	}
	return url + "/v2"
}

// registryMirrors returns "<registry> <url>" lines for prepare.sh.
func registryMirrors(mirrors map[string]config.RegistryMirror) string {
	var b strings.Builder
	for _, host := range slices.Sorted(maps.Keys(mirrors)) {
		fmt.Fprintf(&b, "%s %s\n", host, mirrors[host].URL)
	}
	return b.String()
}
