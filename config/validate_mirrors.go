package config

import (
	"fmt"
	"slices"
	"strings"
)

// chartRepositories are the repositories of addons/versions.go, which a test compares.
var chartRepositories = []string{
	"https://argoproj.github.io/argo-helm",
	"https://aws.github.io/eks-charts",
	"https://charts.jetstack.io",
	"https://cloudnative-pg.github.io/charts",
	"https://docs.tigera.io/calico/charts",
	"https://fluent.github.io/helm-charts",
	"https://grafana-community.github.io/helm-charts",
	"https://kubernetes-sigs.github.io/aws-ebs-csi-driver",
	"https://kubernetes-sigs.github.io/metrics-server",
	"https://kubernetes.github.io/cloud-provider-aws",
	"https://prometheus-community.github.io/helm-charts",
	"https://valkey.io/valkey-helm",
	"oci://registry-1.docker.io/cloudpirates",
}

// dockerHubHosts answer for Docker Hub and stand in the name of no image.
var dockerHubHosts = []string{"hub.docker.com", "index.docker.io", "registry-1.docker.io", "www.docker.com"}

// registryName reports whether text is the host of a registry, with an optional port, as it stands in an image's name.
func registryName(text string) bool {
	host, port, hasPort := strings.Cut(text, ":")
	return registryHost.MatchString(text) && strings.ContainsAny(text, ".:") && subdomain(host) && (!hasPort || validPort(port))
}

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
		if slices.Contains(dockerHubHosts, host) {
			v.fault(at, url, "is an address of Docker Hub, and the names of its images begin with docker.io", "docker.io: "+url)
		} else if !registryName(host) {
			v.fault(at, url, "must be the host of a registry, as images begin with it, without a scheme or path", example)
		}
		if fault := urlFault(url, "https", "http"); fault != "" {
			v.fault(at, url, fault, example)
		}
	}
	for _, repository := range sortedKeys(m.Charts) {
		at, url := child("mirrors.charts", repository), m.Charts[repository]
		const example = "https://charts.jetstack.io: https://mirror.example.com/charts/jetstack"
		if !slices.Contains(chartRepositories, repository) {
			instead := "one of " + strings.Join(chartRepositories, ", ")
			if near := nearest(repository, chartRepositories); near != "" {
				instead = fmt.Sprintf("did you mean %s?", near)
			}
			v.fault(at, url, "the repository before the colon is not one that the program installs a chart from", instead)
		}
		if fault := urlFault(url, "https", "http", "oci"); fault != "" {
			v.fault(at, url, fault, example)
		}
	}
}
