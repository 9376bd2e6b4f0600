package config

import (
	"fmt"
	"regexp"
	"strings"
)

// issuerURL is a URL that both IAM and the API server accept as an issuer: https, without a port, a query, a fragment
// or a final slash.
var issuerURL = regexp.MustCompile(`^https://([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(/[A-Za-z0-9._~-]+)*$`)

// DiscoveryPath and KeySetPath are the paths below the issuer's URL of the two documents that AWS reads. The API server
// has them at the same paths.
const (
	DiscoveryPath = ".well-known/openid-configuration"
	KeySetPath    = "openid/v1/jwks"
)

// Limits of the rotation. A key is a file on every control plane, with its number in the name. renewalHours is the time
// in which a kubelet renews every token.
const (
	maxRotate      = 9999
	renewalHours   = 24
	maxRotateHours = 8760
)

// maxIssuer is IAM's limit for the URL of an identity provider.
const maxIssuer = 255

// sortingRelease is the only supported release whose kubeadm sorts the values of a repeated flag. The first issuer
// signs, so the order has to stay as it is written.
const sortingRelease = "1.35.0"

// ClusterIssuer returns the issuer that kubeadm writes into the tokens of service accounts.
func (c *Config) ClusterIssuer() string {
	return "https://kubernetes.default.svc." + c.Cluster.DNSDomain
}

// identityValidator validates the issuer of tokens and the service accounts that get a role in AWS.
type identityValidator struct{ part }

func (v identityValidator) validate() {
	id := v.c.Identity
	if id.Enabled && v.c.Cluster.KubernetesVersion == sortingRelease {
		v.fault("identity.enabled", true, fmt.Sprintf("needs another cluster.kubernetesVersion than %s, whose kubeadm sorts "+
			"the issuers, so that the wrong one may sign", sortingRelease), "false, or a later patch release")
	}
	v.issuer(id)
	v.between("identity.rotate", id.Rotate, bounds{0, maxRotate, "the number of the key of service accounts", 1})
	v.between("identity.rotateHours", id.RotateHours, bounds{0, maxRotateHours,
		"kubelets renew every token within 24 hours; 0 drops the former key at once", 25})
	if h := id.RotateHours; h > 0 && h <= renewalHours {
		v.fault("identity.rotateHours", h, fmt.Sprintf("is too short: kubelets renew every token within %d hours, and the API "+
			"would refuse those that are older", renewalHours), "25 or more, or 0 for a key that has leaked")
	}
	v.serviceAccounts(id)
}

func (v identityValidator) issuer(id Identity) {
	const path, example = "identity.issuer", "https://oidc.example.com"
	switch url := id.Issuer; {
	case url == "":
	case !issuerURL.MatchString(url) || strings.Contains(url, "/.."):
		v.fault(path, url, "is not an issuer that IAM accepts: it must be https with a host name in lowercase letters, "+
			"without a port, a query, a fragment or a final slash", example)
	case len(url) > maxIssuer:
		v.fault(path, url, fmt.Sprintf("must have at most %d characters", maxIssuer), example)
	case strings.HasPrefix(url, "https://kubernetes.default.svc."):
		v.fault(path, url, "is a name inside the cluster, and AWS reads the keys from outside", example)
	case !id.Enabled:
		v.fault(path, url, "needs identity.enabled: true", "identity.enabled: true, or no identity.issuer")
	}
}
