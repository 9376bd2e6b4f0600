package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keptPlugins are admission plugins that the platform or the security of the cluster requires.
var keptPlugins = map[string]string{
	"CertificateApproval":           "checks who approves certificates",
	"CertificateSigning":            "checks who signs certificates",
	"CertificateSubjectRestriction": "keeps system:masters out of certificates",
	"DefaultStorageClass":           "gives volumes the class gp3",
	"MutatingAdmissionPolicy":       "gives pods the AWS role of their service account",
	"MutatingAdmissionWebhook":      "is how the add-ons change objects",
	"NamespaceLifecycle":            "is how namespaces are removed",
	"NodeRestriction":               "keeps a node from editing other nodes",
	"PersistentVolumeClaimResize":   "lets volumes grow",
	"PodSecurity":                   "holds pods to the security level of their namespace",
	"Priority":                      "starts the cluster's own pods first",
	"ServiceAccount":                "gives pods their tokens",
	"StorageObjectInUseProtection":  "keeps volumes that are in use",
	"TaintNodesByCondition":         "keeps pods off new nodes",
	"ValidatingAdmissionPolicy":     "holds objects to policies",
	"ValidatingAdmissionWebhook":    "is how the add-ons check objects",
}

// unusablePlugins would stop the API server or refuse all work.
var unusablePlugins = map[string]string{
	"AlwaysDeny":         "refuses everything",
	"EventRateLimit":     "needs a file that is not on the host",
	"ImagePolicyWebhook": "needs a file that is not on the host",
}

const (
	enabledPlugins, disabledPlugins = "enable-admission-plugins", "disable-admission-plugins"
	nodeRestriction                 = "NodeRestriction"
)

// apiServerValidator validates flags of the API server that depend on each other.
type apiServerValidator struct {
	part
	flags map[string]string
	table kubernetesTable
}

// validate validates flags that depend on each other: admission plugins and OpenID Connect.
func (v apiServerValidator) validate() {
	const at = "kubernetes.apiServer."
	enabled, disabled := csvItems(v.flags[enabledPlugins]), csvItems(v.flags[disabledPlugins])
	for _, list := range []struct {
		flag  string
		names []string
	}{{enabledPlugins, enabled}, {disabledPlugins, disabled}} {
		for _, name := range list.names {
			reason, example := "", ""
			switch {
			case v.table != nil && v.table["admission"][name] == "":
				reason, example = fmt.Sprintf("names %q, which is not an admission plugin", name), "remove it"
				if near := nearest(name, sortedKeys(v.table["admission"])); near != "" {
					example = fmt.Sprintf("did you mean %s?", near)
				}
			case list.flag == enabledPlugins && unusablePlugins[name] != "":
				reason, example = fmt.Sprintf("must not name %s: it %s", name, unusablePlugins[name]), "AlwaysPullImages"
			case list.flag == disabledPlugins && keptPlugins[name] != "":
				reason, example = fmt.Sprintf("must not name %s: it %s", name, keptPlugins[name]), "remove it"
			case list.flag == disabledPlugins && slices.Contains(enabled, name):
				reason, example = fmt.Sprintf("names %s, which is in %s too", name, enabledPlugins), "remove it from one of the two"
			}
			if reason != "" {
				v.fault(at+list.flag, v.flags[list.flag], reason, example)
				break
			}
		}
	}
	v.openID()
	v.crossOrigin()
	v.truncation()
	v.auditLog()
	const reads, writes = "max-requests-inflight", "max-mutating-requests-inflight"
	if v.flags[reads] == "0" && v.flags[writes] == "0" && v.flags["enable-priority-and-fairness"] != "false" {
		v.fault(at+reads, v.flags[reads],
			"must not be 0 together with "+writes+": their sum is what priority and fairness divides", "600")
	}
}

// truncation checks that a batch of the audit log holds its largest event.
func (v apiServerValidator) truncation() {
	const batch, event = "audit-log-truncate-max-batch-size", "audit-log-truncate-max-event-size"
	sizes := map[string]int{batch: 10 << 20, event: 100 << 10}
	written := ""
	for _, name := range []string{batch, event} {
		if n, err := strconv.Atoi(v.flags[name]); err == nil {
			sizes[name], written = n, name
		}
	}
	if written != "" && sizes[batch] < sizes[event] {
		v.fault("kubernetes.apiServer."+written, v.flags[written], fmt.Sprintf("must leave %s, %d, not below %s, %d", batch,
			sizes[batch], event, sizes[event]), `"10485760" and "102400"`)
	}
}

// csvItems returns the items of a flag, or no items if it is absent.
func csvItems(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func (v apiServerValidator) openID() {
	const at, issuer, client = "kubernetes.apiServer.", "oidc-issuer-url", "oidc-client-id"
	if v.flags[issuer] != "" && v.flags[client] == "" {
		v.fault(at+issuer, v.flags[issuer], "needs "+client+" with it", client+": kubernetes")
	}
	if u, err := url.Parse(v.flags[issuer]); isSet(v.flags, issuer) &&
		(err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		v.fault(at+issuer, v.flags[issuer], "must be a URL that begins with https://", "https://login.example.com")
	}
	for _, name := range sortedKeys(v.flags) {
		if strings.HasPrefix(name, "oidc-") && name != issuer && v.flags[issuer] == "" {
			v.fault(child(strings.TrimSuffix(at, "."), name), v.flags[name], "needs "+issuer+" with it",
				issuer+": https://login.example.com")
		}
	}
}

func isSet(flags map[string]string, name string) bool { _, ok := flags[name]; return ok }

// crossOrigin refuses patterns that the API server does not accept as regular expressions.
func (v apiServerValidator) crossOrigin() {
	const name = "cors-allowed-origins"
	for _, pattern := range csvItems(v.flags[name]) {
		if fault := originFault(pattern); fault != "" {
			v.fault("kubernetes.apiServer."+name, v.flags[name], fault, `"^https://app\\.example\\.com$"`)
			return
		}
	}
}

// originFault returns why kube-apiserver refuses a pattern for the origin of a request, or "".
func originFault(pattern string) string {
	if _, err := regexp.Compile(pattern); err != nil {
		return "is not a regular expression"
	}
	if !strings.Contains(pattern, "^") && !strings.Contains(pattern, "//") || !strings.Contains(pattern, "$") &&
		!strings.Contains(pattern, ":") {
		return "must be bound to the beginning and the end of a host: ^https://...$"
	}
	return ""
}

// leaderElection checks that several control planes have one leader, and that it renews its lease before the lease
// ends.
func (v flagsValidator) leaderElection() {
	if count := len(ControlPlanes(v.c.Nodes)); count > 1 && electsNoLeader(v.flags) {
		v.fault("kubernetes."+v.kind+".leader-elect", v.flags["leader-elect"],
			fmt.Sprintf("must be true with %d control planes: otherwise all of them would act at once", count), "true, or no value")
	}
	for _, kind := range []string{"leader-elect", "coordinated-leadership"} {
		v.election(kind)
	}
}

// electsNoLeader reports whether flags switch off the election of a leader.
func electsNoLeader(flags map[string]string) bool {
	on, err := strconv.ParseBool(flags["leader-elect"])
	return err == nil && !on
}

// election checks the three periods of one kind of election.
func (v flagsValidator) election(kind string) {
	leaseFlag, renewFlag, retryFlag := kind+"-lease-duration", kind+"-renew-deadline", kind+"-retry-period"
	d := map[string]time.Duration{leaseFlag: 15 * time.Second, renewFlag: 10 * time.Second, retryFlag: 2 * time.Second}
	written := ""
	for _, name := range sortedKeys(d) {
		if n, err := time.ParseDuration(v.flags[name]); err == nil {
			d[name], written = n, name
		}
	}
	lease, renew, retry := d[leaseFlag], d[renewFlag], d[retryFlag]
	// Kubernetes delays a retry by up to 20 percent, so that instances do not retry together.
	if written != "" && (lease <= renew || renew <= retry+retry/5) {
		v.fault("kubernetes."+v.kind+"."+written, v.flags[written],
			fmt.Sprintf("must leave the lease (%s) longer than the renewal (%s), and that longer than 1.2 retries (%s)", lease,
				renew, retry), "15s, 10s and 2s")
	}
}

// kubeProxy refuses fields that contradict each other or the network.
func (v kubernetesValidator) kubeProxy(fields map[string]any) {
	const at = "kubernetes.kubeProxy."
	if mode := fields["mode"]; (mode == "ipvs" || mode == "nftables") && v.c.Cluster.CNI == "calico" {
		v.fault(at+"mode", mode,
			"must be iptables, as Calico's data plane is: with two kinds of rules packets get lost",
			"iptables, or cluster.cni: none with a CNI of your own")
	}
	if text, ok := fields["healthzBindAddress"].(string); ok && text != "" {
		host, port, err := net.SplitHostPort(text)
		if _, notAddress := netip.ParseAddr(host); err != nil || notAddress != nil || !validPort(port) {
			v.fault(at+"healthzBindAddress", text, "must be an address with a port", "0.0.0.0:10256")
		}
	}
	local, _ := fields["detectLocal"].(map[string]any)
	for mode, field := range map[string]string{"BridgeInterface": "bridgeInterface",
		"InterfaceNamePrefix": "interfaceNamePrefix"} {
		if name, _ := local[field].(string); fields["detectLocalMode"] == mode && name == "" {
			v.fault(at+"detectLocalMode", mode, "needs detectLocal."+field, "ClusterCIDR")
		}
	}
	for _, section := range []string{"iptables", "ipvs", "nftables"} {
		values, _ := fields[section].(map[string]any)
		shortest, longest := periodOf(values["minSyncPeriod"], time.Second), periodOf(values["syncPeriod"], 30*time.Second)
		if shortest > longest {
			v.fault(at+section, values,
				fmt.Sprintf("must leave minSyncPeriod, %s, within syncPeriod, %s", shortest, longest),
				`minSyncPeriod: "1s" and syncPeriod: "30s"`)
		}
	}
}

// reachNodes reports whether addresses for the ports of Services include those of all workers, which are the targets of
// load balancers.
func (v fieldsValidator) reachNodes(addresses []string) bool {
	if addresses[0] == "primary" || !v.c.Addons.LoadBalancer.On() {
		return true
	}
	var ranges []netip.Prefix
	for _, text := range addresses {
		p, _ := ipv4Range(text)
		ranges = append(ranges, p)
	}
	subnets := v.c.SubnetCIDRs()
	return !slices.ContainsFunc(v.c.Nodes, func(n Node) bool {
		if n.Role != Worker || n.Zone < 0 || n.Zone >= len(subnets) {
			return false
		}
		subnet, err := netip.ParsePrefix(subnets[n.Zone])
		return err == nil && !covered(subnet, ranges)
	})
}

// covered reports whether ranges contain together all addresses of an IPv4 range.
func covered(p netip.Prefix, ranges []netip.Prefix) bool {
	overlaps := false
	for _, r := range ranges {
		if r.Bits() <= p.Bits() && r.Contains(p.Addr()) {
			return true
		}
		overlaps = overlaps || r.Overlaps(p)
	}
	if !overlaps {
		return false
	}
	half := p.Addr().As4() // A range that overlaps p and does not contain it is smaller, so p has two halves.
	half[p.Bits()/8] |= 1 << (7 - p.Bits()%8)
	return covered(netip.PrefixFrom(p.Addr(), p.Bits()+1), ranges) &&
		covered(netip.PrefixFrom(netip.AddrFrom4(half), p.Bits()+1), ranges)
}

// periodOf parses a duration, or returns the default.
func periodOf(v any, absent time.Duration) time.Duration {
	if text, ok := v.(string); ok {
		if d, err := time.ParseDuration(text); err == nil {
			return d
		}
	}
	return absent
}

// join adds kubeadm's own entries to the user's flags, because kubeadm drops its list when the user gives one.
func (k *Kubernetes) join() {
	if list := k.APIServer[enabledPlugins]; list != "" && !slices.Contains(csvItems(list), nodeRestriction) {
		k.APIServer[enabledPlugins] = nodeRestriction + "," + list
	}
}
