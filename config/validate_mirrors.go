package config

import "strings"

func (v *validator) mirrors() {
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
		if fault := urlFault(mirror.value, "https", "http"); fault != "" {
			v.fault(mirror.path, mirror.value, fault, mirror.example)
		}
	}
	for _, host := range sortedKeys(m.Registries) {
		at, url := child("mirrors.registries", host), m.Registries[host]
		const example = "registry.k8s.io: https://mirror.example.com/k8s"
		if !registryHost.MatchString(host) || !strings.ContainsAny(host, ".:") {
			v.fault(at, url, "must be the host of a registry, as images begin with it, without a scheme or path", example)
		}
		if fault := urlFault(url, "https", "http"); fault != "" {
			v.fault(at, url, fault, example)
		}
	}
	for _, repository := range sortedKeys(m.Charts) {
		at, url := child("mirrors.charts", repository), m.Charts[repository]
		const example = "https://charts.jetstack.io: https://mirror.example.com/charts/jetstack"
		if fault := urlFault(repository, "https", "http", "oci"); fault != "" {
			v.fault(at, url, "the repository before the colon "+fault, example)
		}
		if fault := urlFault(url, "https", "http", "oci"); fault != "" {
			v.fault(at, url, fault, example)
		}
	}
}
