package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// platformHosts are the names below the domain that the platform uses.
var platformHosts = map[string]string{
	"api":     "is the Kubernetes API",
	"argocd":  "is Argo CD, and the certificate covers it already",
	"grafana": "is Grafana, and the certificate covers it already",
}

var zoneID = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)

// privateDomains are domains that the public DNS never contains.
var privateDomains = []string{"arpa", "example", "internal", "local", "onion", "test"}

// An ACM certificate has at most ten names: maxIngressHosts and the two names of the platform.
const maxIngressHosts = 8

// maxDomain keeps the first name of the certificate, argocd.<domain>, within 64 characters.
const maxDomain = 57

// dnsValidator validates the public domain and the host names in it.
type dnsValidator struct{ part }

func (v dnsValidator) validate() {
	d := v.c.DNS
	if d.Domain == "" {
		const example = "pulumi config set --path kubeadm-aws:dns.domain example.com"
		if d.CreateZone {
			v.fault("dns.createZone", true, "needs dns.domain, the name of the zone", example)
		}
		if d.ZoneID != "" {
			v.fault("dns.zoneId", d.ZoneID, "needs dns.domain, the name of the zone", example)
		}
		if len(d.IngressHosts) > 0 {
			v.fault("dns.ingressHosts", d.IngressHosts,
				"needs dns.domain: without one there is no certificate and no ingress", example)
		}
		return
	}
	switch fault := domainFault(d.Domain); {
	case fault != "":
		v.fault("dns.domain", d.Domain, fault, "example.com")
		return
	case len(d.Domain) > maxDomain:
		v.fault("dns.domain", d.Domain,
			fmt.Sprintf("must have at most %d characters: a certificate's first name is argocd.<domain>, and may have 64",
				maxDomain),
			"example.com")
		return
	case slices.ContainsFunc(privateDomains, func(p string) bool { return below(d.Domain, p) }) ||
		below(d.Domain, v.c.Cluster.DNSDomain):
		v.fault("dns.domain", d.Domain,
			"must be a public domain: ACM asks the public DNS for the proof that it is yours", "example.com")
		return
	}
	switch {
	case d.ZoneID != "" && !zoneID.MatchString(d.ZoneID):
		v.fault("dns.zoneId", d.ZoneID, "must be the id of a Route53 zone: Z, then uppercase letters and digits",
			"Z0123456789ABC, from aws route53 list-hosted-zones-by-name --dns-name "+d.Domain)
	case d.ZoneID != "" && d.CreateZone:
		v.fault("dns.zoneId", d.ZoneID, "names a zone that exists, and dns.createZone makes another one",
			"dns.createZone: false")
	}
	if len(d.IngressHosts) > maxIngressHosts {
		v.fault("dns.ingressHosts", len(d.IngressHosts),
			fmt.Sprintf("must be at most %d names: a certificate of ACM holds ten, and two are the platform's", maxIngressHosts),
			fmt.Sprintf("*.%s for all of them", d.Domain))
	}
	for i, host := range d.IngressHosts {
		v.ingressHost(fmt.Sprintf("dns.ingressHosts[%d]", i), host)
	}
	v.unique("dns.ingressHosts", d.IngressHosts)
}

func (v dnsValidator) ingressHost(path, host string) {
	domain := v.c.DNS.Domain
	example := "app." + domain
	name := strings.TrimPrefix(host, "*.")
	if fault := domainFault(name); fault != "" {
		v.fault(path, host, fault, example)
		return
	}
	if !below(name, domain) {
		v.fault(path, host,
			fmt.Sprintf("is not below dns.domain = %s, so nothing here could prove that it is yours", domain),
			example)
		return
	}
	if host == domain {
		v.fault(path, host, "is the name of the zone itself, and DNS allows no alias there", example)
		return
	}
	if why, taken := platformHosts[strings.TrimSuffix(strings.TrimSuffix(host, domain), ".")]; taken {
		v.fault(path, host, why, example)
	}
}
