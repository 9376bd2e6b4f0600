package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Patterns of names, as the systems that receive them define them: AWS, DNS and Kubernetes.
var (
	tagValue     = regexp.MustCompile(`^[\p{L}\p{N}_.:/=+\-@]([\p{L}\p{N} _.:/=+\-@]{0,126}[\p{L}\p{N}_.:/=+\-@])?$`)
	clusterName  = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	fullVersion  = regexp.MustCompile(`^(0|[1-9][0-9]?)\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})$`)
	instanceType = regexp.MustCompile(
		`^[a-z][a-z0-9]*(-[a-z0-9]+)?\.(nano|micro|small|medium|large|[1-9]?[0-9]*xlarge|metal(-[0-9]+xl)?)$`)
	imageID     = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
	nameSegment = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	flagName    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	// namespacedSysctl matches the sysctls, and patterns of them, that belong to a namespace of the kernel.
	namespacedSysctl = regexp.MustCompile(`^(kernel[./](sem|shm(all|max|mni|_rmid_forced)?|msg(max|mnb|mni)?)\*?|` +
		`(net|fs[./]mqueue)[./]([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9*])$`)
	preflight     = regexp.MustCompile(`(?i)^(Port-[0-9]+|(DirAvailable|FileAvailable|FileExisting|FileContent|Service)-[a-z0-9._-]+)$`)
	registryHost  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)
	objectKey     = regexp.MustCompile(`^[A-Za-z0-9_.-][A-Za-z0-9_./:+=@-]*$`)
	urlCharacters = regexp.MustCompile(`^[A-Za-z0-9._~:/%+,=@-]+$`)
	userName      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	repoUser      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+@-]*$`)
	fingerprint   = regexp.MustCompile(`^[0-9A-Fa-f]{40}$`)
	sha256Sum     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	urlSafe       = regexp.MustCompile(`^[A-Za-z0-9._~-]*$`)
	gitSSH        = regexp.MustCompile(`^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[A-Za-z0-9_./~-]+$`)
	registryPath  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-][a-z0-9]+)*)*$`)
	groupKind     = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Z][A-Za-z0-9]{0,62}$`)
	gitRevision   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./+-]*$`)
	mailAddress   = regexp.MustCompile(`^[A-Za-z0-9._%+-]+@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$`)
)

// domainFault returns what is wrong with a DNS name of at least two labels, or "".
func domainFault(name string) string {
	labels := strings.Split(name, ".")
	switch {
	case name != strings.ToLower(name):
		return "must be in lowercase letters"
	case strings.HasSuffix(name, "."):
		return "must not end in a dot"
	case strings.Contains(name, "://"):
		return "must be a name, not a URL"
	case isAddress(name):
		return "must be a name, not an address"
	case len(labels) < 2:
		return "must have a dot, as example.com has"
	case len(name) > 253:
		return "must have at most 253 characters"
	case below(name, "localhost") || below(name, "invalid"):
		// RFC 6761. curl, for one, takes every name below localhost for the machine itself.
		return "must not end in .localhost or .invalid: programs answer these names without asking DNS"
	}
	for _, label := range labels {
		if !dnsLabel.MatchString(label) {
			return fmt.Sprintf("%q in it is not a DNS label, which is 1 to 63 lowercase letters, digits and dashes, with no "+
				"dash at the ends", label)
		}
	}
	return ""
}

// isAddress reports whether a name is an IP address, or would be parsed as one because its last label has only
// digits.
func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	last := name[strings.LastIndex(name, ".")+1:]
	return err == nil || last != "" && strings.Trim(last, "0123456789") == ""
}

// below reports whether name is domain or a name in it.
func below(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// qualifiedNameFault returns what is wrong with the key of a label or taint, or "".
func qualifiedNameFault(key string) string {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		name = key
	} else if prefix == "" || len(prefix) > 253 || !subdomain(prefix) {
		return "the part before the slash must be a DNS name in lowercase letters"
	}
	if !nameSegment.MatchString(name) {
		return "must be 1 to 63 letters, digits, dashes, underscores or dots that begin and end with a letter or digit, " +
			"with an optional DNS name and a slash before"
	}
	return ""
}

func subdomain(name string) bool {
	for _, label := range strings.Split(name, ".") {
		if !dnsLabel.MatchString(label) {
			return false
		}
	}
	return true
}

// urlFault returns what is wrong with a URL that paths are appended to, or "". URLs are written to shell, TOML and
// YAML files, so only characters without a special meaning in all of them are allowed.
func urlFault(text string, schemes ...string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || strings.ContainsAny(text, " \t\r\n"):
		return "is not a URL"
	case !slices.Contains(schemes, u.Scheme):
		return "must begin with " + strings.Join(schemes, ":// or ") + "://"
	case u.User != nil:
		return "must not hold a user or password: settings are not secret"
	case u.Hostname() == "" || !subdomain(strings.ToLower(u.Hostname())):
		return "has no valid host name"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return "must end with its path: no ? and no #"
	case strings.HasSuffix(u.Path, "/"):
		return "must not end with a slash, because a path is added to it"
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !validPort(u.Port()):
		return "has no valid port"
	case !urlCharacters.MatchString(text):
		return "must be made of letters, digits and any of ._~:/%+,=@- only; write others as % and two hexadecimal digits"
	}
	return ""
}

// serverURLFault returns what is wrong with the URL of a server that nodes or pods ask, or "". A proxy on the node
// itself is not there when they do. Registries are different: containerd asks the registry itself until the proxy
// answers.
func serverURLFault(text string, schemes ...string) string {
	if u, err := url.Parse(text); err == nil && isLoopback(u.Hostname()) {
		return "is the machine itself for every node and pod that asks it"
	}
	return urlFault(text, schemes...)
}

// isLoopback reports whether a host is the machine that asks for it.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return below(strings.ToLower(host), "localhost") || err == nil && (address.IsLoopback() || address.IsUnspecified())
}

// gitURLFault returns what is wrong with the address of a Git repository, or "".
func gitURLFault(text string) string {
	rest, ok := strings.CutPrefix(text, "ssh://")
	if !ok {
		if gitSSH.MatchString(text) {
			return ""
		}
		if fault := serverURLFault(text, "https", "ssh"); fault != "" {
			return fault
		}
		if u, err := url.Parse(text); err == nil && u.Path == "" {
			return "has no path"
		}
		return ""
	}
	user, host, found := strings.Cut(rest, "@")
	switch {
	case !found || !userName.MatchString(user):
		if strings.Contains(user, ":") {
			return "must not hold a password: Argo CD takes keys from a Secret"
		}
		return "must name the user before the host, which is git at most services"
	case !strings.Contains(host, "/"):
		return "has no path"
	}
	return serverURLFault("ssh://"+host, "ssh")
}

// validPort reports whether text is the number of a TCP port.
func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}
