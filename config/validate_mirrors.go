package config

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/addons/catalog"
	"unicode"
)

// dockerHubHosts serve Docker Hub, but no image's name contains them.
var dockerHubHosts = []string{"hub.docker.com", "index.docker.io", "registry-1.docker.io", "www.docker.com"}

// registryName reports whether text is the host of a registry, with an optional port, as in an image's name.
func registryName(text string) bool {
	host, port, hasPort := strings.Cut(text, ":")
	return registryHost.MatchString(text) && strings.ContainsAny(text, ".:") && subdomain(host) &&
		(!hasPort || validPort(port))
}

// mirrorsValidator validates where nodes and add-ons download from.
type mirrorsValidator struct{ part }

func (v mirrorsValidator) validate() {
	m := v.c.Mirrors
	for _, mirror := range []struct{ path, value, example string }{
		{"mirrors.kubernetesApt", m.KubernetesApt, "https://mirror.example.com/kubernetes"},
		{"mirrors.containerdApt", m.ContainerdApt, "https://mirror.example.com/docker"},
		{"mirrors.etcd", m.Etcd, "https://mirror.example.com/etcd"},
		{"mirrors.s3Endpoint", m.S3Endpoint, "https://s3.example.com"},
	} {
		if mirror.value == "" {
			continue
		}
		if fault := serverURLFault(mirror.value, "https", "http"); fault != "" {
			v.fault(mirror.path, mirror.value, fault, mirror.example)
		}
	}
	v.pins()
	for _, host := range sortedKeys(m.Registries) {
		v.registry(host, m.Registries[host])
	}
	for _, repository := range sortedKeys(m.Charts) {
		at, url := child("mirrors.charts", repository), m.Charts[repository]
		const example = "https://charts.jetstack.io: https://mirror.example.com/charts/jetstack"
		if !slices.Contains(catalog.Repositories(), repository) {
			instead := "one of " + strings.Join(catalog.Repositories(), ", ")
			if near := nearest(repository, catalog.Repositories()); near != "" {
				instead = fmt.Sprintf("did you mean %s?", near)
			}
			v.fault(at, url, "the repository before the colon is not one that the program installs a chart from", instead)
		}
		if fault := urlFault(url, "https", "http", "oci"); fault != "" {
			v.fault(at, url, fault, example)
		}
	}
}

// pins validates the keys and the checksum that replace the program's own.
func (v mirrorsValidator) pins() {
	m := v.c.Mirrors
	for _, pin := range []struct{ path, value, of, mirror string }{
		{"mirrors.kubernetesAptKey", m.KubernetesAptKey, "mirrors.kubernetesApt", m.KubernetesApt},
		{"mirrors.containerdAptKey", m.ContainerdAptKey, "mirrors.containerdApt", m.ContainerdApt},
	} {
		switch {
		case pin.value == "":
		case pin.mirror == "":
			v.fault(pin.path, pin.value, "is the key of "+pin.of+", which is not set", "remove it")
		case !fingerprint.MatchString(pin.value):
			v.fault(pin.path, pin.value, "must be the fingerprint of the key: 40 hexadecimal digits without blanks",
				"what `gpg --show-keys --with-colons FILE` prints in the first line that begins with fpr")
		}
	}
	switch {
	case m.EtcdSHA256 == "":
	case m.Etcd == "":
		v.fault("mirrors.etcdSha256", m.EtcdSHA256,
			"is the checksum of the archive at mirrors.etcd, which is not set", "remove it")
	case !sha256Sum.MatchString(m.EtcdSHA256):
		v.fault("mirrors.etcdSha256", m.EtcdSHA256, "must be 64 hexadecimal digits in lowercase",
			"what `sha256sum FILE` prints")
	}
}

// registry validates the mirror of one registry.
func (v mirrorsValidator) registry(host string, m RegistryMirror) {
	at := child("mirrors.registries", host)
	const example = "registry.k8s.io: https://mirror.example.com/v2/k8s"
	if slices.Contains(dockerHubHosts, host) {
		v.fault(at, m.URL, "is an address of Docker Hub, and the names of its images begin with docker.io",
			"docker.io: "+m.URL)
	} else if !registryName(host) {
		v.fault(at, m.URL, "must be the host of a registry, as images begin with it, without a scheme or path", example)
	}
	field := func(name string) string {
		if v.written[Namespace+":"+at+"."+name] {
			return at + "." + name
		}
		return at // the URL alone, or a key that is missing
	}
	if fault := urlFault(m.URL, "https", "http"); fault != "" {
		v.fault(field("url"), m.URL, fault, example)
	}
	plain := strings.HasPrefix(m.URL, "http://")
	if m.CA != "" {
		switch fault := authoritiesFault(m.CA); {
		case fault != "":
			v.fault(field("ca"), nil, fault,
				"the whole file as it is, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----")
		case plain:
			v.fault(field("ca"), nil, "has no use with a URL of http://, which shows no certificate", "https://")
		}
	}
	switch {
	case (m.Username == "") != (m.Password == ""):
		v.fault(at, nil, "username and password go together", "set both, or remove both")
	case m.Username == "":
	case strings.ContainsFunc(m.Username, func(r rune) bool { return r == ':' || r == ' ' || !unicode.IsPrint(r) }) ||
		strings.ContainsAny(string(m.Password), "\r\n"):
		v.fault(field("username"), nil, "a login is one line, and its user name has no spaces and no colon",
			"robot-nodes")
	case plain:
		v.fault(field("url"), m.URL, "would carry the password over the network in clear text",
			strings.Replace(m.URL, "http://", "https://", 1))
	}
}

// authoritiesFault returns what is wrong with the PEM text of certificates, or "".
func authoritiesFault(text string) string {
	found, rest := 0, []byte(strings.TrimSpace(text))
	for len(rest) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return "must be certificates in PEM, and holds other text"
		}
		if block.Type != "CERTIFICATE" {
			return "must be certificates in PEM, and holds another block: " + block.Type
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "holds a certificate that cannot be read: " + err.Error()
		}
		found++
	}
	if found == 0 {
		return "holds no certificate"
	}
	return ""
}
