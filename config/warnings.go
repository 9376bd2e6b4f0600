package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// documentationRanges are ranges that no computer has. The shipped stacks use one until you set your own.
var documentationRanges = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
}

// safeBackup is how many GiB a base backup writes within 40 minutes, at 20 MiB a second.
const safeBackup = 50

// exampleDomains are reserved: they contain no public zone and no mail address.
var exampleDomains = []string{"example.com", "example.net", "example.org"}

// RefusedOnAWS returns the settings that work in the sandbox but not on AWS: the placeholders of the shipped stacks.
func (c *Config) RefusedOnAWS() Errors {
	var faults Errors
	add := func(path string, value any, reason, example string) {
		faults = append(faults, newFault(Namespace+":"+path, value, reason, example))
	}
	if !slices.ContainsFunc(c.Access.AdminCIDRs, isPublic) {
		add("access.adminCidrs", c.Access.AdminCIDRs,
			"are addresses for documentation, which no computer has: on AWS this program could not reach its own nodes",
			adminCommand(0))
	}
	placeholder := func(name string) bool {
		return slices.ContainsFunc(exampleDomains, func(d string) bool { return below(name, d) })
	}
	if placeholder(c.DNS.Domain) {
		add("dns.domain", c.DNS.Domain, "is in a domain for documentation: no certificate can be issued for it",
			"a domain of yours, or no dns section at all")
	}
	acme := c.Addons.CertificateACME
	if _, host, _ := strings.Cut(acme.Email, "@"); c.DNS.Domain != "" && c.Addons.CertManager.On() && placeholder(host) &&
		strings.Contains(acme.Server, "letsencrypt.org") {
		add("addons.acme.email", acme.Email,
			"is in a domain for documentation, whose addresses Let's Encrypt refuses", "an address of yours")
	}
	return faults
}

// isPublic reports whether a range contains addresses other than those for documentation.
func isPublic(text string) bool {
	p, _ := ipv4Range(text)
	return !slices.ContainsFunc(documentationRanges,
		func(d netip.Prefix) bool { return d.Bits() <= p.Bits() && d.Overlaps(p) })
}

// privateRanges are ranges from which no request reaches a public address, other than through a translation to another
// address: private networks, carriers, the machine itself, the link.
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
}

// isReachable reports whether a range contains addresses that requests over the internet can come from.
func isReachable(text string) bool {
	p, _ := ipv4Range(text)
	return isPublic(text) && !slices.ContainsFunc(privateRanges,
		func(d netip.Prefix) bool { return d.Bits() <= p.Bits() && d.Overlaps(p) })
}

// Warnings returns a sentence for each setting that is allowed but probably a mistake.
func (c *Config) Warnings() []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	for _, f := range c.RefusedOnAWS() {
		warn("This works in the sandbox but not on AWS: %s", f.Error())
	}
	for i, text := range c.Access.AdminCIDRs {
		if p, _ := ipv4Range(text); p.Bits() < worldBits {
			warn("access.adminCidrs[%d] = %s lets the whole internet try SSH and the Kubernetes API. Narrow it: %s",
				i, text, adminCommand(i))
		}
	}
	if ranges := c.Access.AdminCIDRs; slices.ContainsFunc(ranges, isPublic) && !slices.ContainsFunc(ranges, isReachable) {
		warn("access.adminCidrs = %s has private addresses only, and the program reaches its nodes at public ones. Add the "+
			"address that your requests come from: %s; or let one in for a time: go run ./cmd/kubeadm-aws access open --stack "+
			"%s --cloud aws", quote(ranges), adminCommand(len(ranges)), c.Stack)
	}
	for _, registry := range sortedKeys(c.Mirrors.Registries) {
		if strings.Contains(c.Mirrors.Registries[registry].URL, ".dkr.ecr.") {
			warn("%s is in ECR, whose passwords end after twelve hours, and no host renews one. Take a mirror that logs in "+
				"to ECR by itself",
				child("mirrors.registries", registry))
		}
	}
	if c.Cluster.CNI == "none" {
		warn("cluster.cni is none: nodes are not Ready, and add-ons wait, until you have installed a network for pods")
	}
	for _, kind := range c.Kubernetes.withoutElection() {
		warn("kubernetes.%s.leader-elect is off: with it a second control plane is refused. Remove it", kind)
	}
	if zone, in, all := crowdedZone(c); zone != "" {
		warn("%d of %d control planes are in zone %s: without that zone etcd has no majority, and the API does not answer. "+
			"Give them different zones (nodes[].zone)", in, all, zone)
	}
	if p := c.Addons.PostgreSQL; p.BacksUp() && p.StorageGiB > safeBackup {
		warn("addons.postgresql.storageGiB = %d: the keys of a base backup and of a restore are valid for 40 minutes to an "+
			"hour, which is enough for about %d GiB of data. See docs/data.md, section Limits", p.StorageGiB, safeBackup)
	}
	if c.Environment == Prod && c.Addons.Monitoring.On() && c.Notifications.Receiver == "" {
		warn("Alerts are sent nowhere: notifications.receiver is not set. See docs/addons.md, section Alerts")
	}
	if c.Notifications.Receiver != "" && !c.Addons.Monitoring.On() {
		warn("notifications.receiver = %s is not used: addons.monitoring, which sends alerts, is off",
			c.Notifications.Receiver)
	}
	if missing := c.Addons.missingForApps(); len(missing) > 0 {
		warn("addons.argocd.repoUrl: the applications that come with this program in envs/%s do not run with these settings. They "+
			"need %s. See docs/gitops.md, section Switch it on. Applications of your own may need less",
			c.Environment, strings.Join(missing, ", "))
	}
	warnings = append(warnings, c.notes...)
	for _, sentence := range c.Addons.wrongValues() {
		warn("%s: Helm takes it, and the cluster may refuse what comes of it", sentence)
	}
	return warnings
}

// withoutElection returns the programs of the control plane whose instances elect no leader.
func (k Kubernetes) withoutElection() []string {
	var kinds []string
	if electsNoLeader(k.ControllerManager) {
		kinds = append(kinds, "controllerManager")
	}
	if electsNoLeader(k.Scheduler) {
		kinds = append(kinds, "scheduler")
	}
	return kinds
}

// missingForApps returns the settings that the applications in envs/<environment> need and that are not there.
func (a Addons) missingForApps() []string {
	if a.ArgoCD.RepoURL == "" {
		return nil
	}
	var missing []string
	addons := a.ByKey()
	for _, key := range []string{"argocd", "argoRollouts", "monitoring", "postgresql", "rabbitmq", "redis"} {
		if !addons[key].On() {
			missing = append(missing, "addons."+key+".enabled: true")
		}
	}
	if a.ArgoCD.Registry == "" {
		missing = append(missing, "addons.argocd.registry")
	}
	return missing
}

// crowdedZone returns the zone whose loss ends the majority of several control planes, or "".
func crowdedZone(c *Config) (zone string, in, all int) {
	planes, count := ControlPlanes(c.Nodes), map[int]int{}
	for _, n := range planes {
		count[n.Zone]++
		if len(planes) > 1 && count[n.Zone] > (len(planes)-1)/2 {
			zone, in = c.AvailabilityZone(n.Zone), count[n.Zone]
		}
	}
	return zone, in, len(planes)
}
