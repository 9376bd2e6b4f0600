package config

// TokenAudience is the audience of tokens that pods exchange for AWS credentials.
const TokenAudience = "sts.amazonaws.com"

// Controllers of the platform that call AWS. With Identity.Enabled each has an IAM role, which trusts this service
// account only.
var (
	EBSDriverAccount    = ServiceAccount{Namespace: "kube-system", Name: "ebs-csi-controller-sa"}
	LoadBalancerAccount = ServiceAccount{Namespace: "kube-system", Name: "aws-load-balancer-controller"}
	LokiAccount         = ServiceAccount{Namespace: "logging", Name: "loki"}
)

// ofPlatform reports whether the account belongs to a controller of the platform.
func (a ServiceAccount) ofPlatform() bool {
	for _, own := range []ServiceAccount{EBSDriverAccount, LoadBalancerAccount, LokiAccount} {
		if a.Subject() == own.Subject() {
			return true
		}
	}
	return false
}
