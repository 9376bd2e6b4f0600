package infra

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// neverSet is the provider's error for an account without a setting of its own, which blocks nothing.
const neverSet = "couldn't find resource"

// askPublicBucket refuses a public bucket for the discovery documents in an account that blocks public policies. The
// answer includes the settings of the account's organization.
func (p *preflight) askPublicBucket() {
	if !p.cfg.Identity.Enabled || p.cfg.Identity.Issuer != "" || p.exists.IssuerBucket {
		return
	}
	block, err := s3.LookupAccountPublicAccessBlock(p.ctx, &s3.LookupAccountPublicAccessBlockArgs{},
		pulumi.Provider(p.provider))
	if err != nil && strings.Contains(err.Error(), neverSet) {
		return
	}
	if !p.answered("whether the account blocks public buckets", err) || !block.BlockPublicPolicy &&
		!block.RestrictPublicBuckets {
		return
	}
	p.refuse("identity.enabled", "true",
		"makes two documents of a bucket public, from which AWS reads the cluster's public key, and the account "+
			p.accountID+" or its organization blocks public bucket policies (S3 Block Public Access)",
		"identity.issuer: the URL of a CloudFront distribution in front of the bucket, which then stays private "+
			"(docs/aws.md, \"Workload identity\"); or lift BlockPublicPolicy and RestrictPublicBuckets in the account's "+
			"settings of S3")
}

// checkPolicies refuses policies of other accounts: a role takes those of its own account, and those of AWS.
func (p *preflight) checkPolicies() {
	for i, a := range p.cfg.Identity.ServiceAccounts {
		parts := strings.Split(a.PolicyARN(), ":")
		if len(parts) < 6 || parts[4] == "aws" || parts[4] == p.accountID {
			continue
		}
		p.refuse(fmt.Sprintf("identity.serviceAccounts[%d].policy", i), fmt.Sprintf("%q", a.PolicyARN()),
			"is a policy of the account "+parts[4]+", and the roles of this stack are in "+p.accountID,
			"a policy of this account or of AWS, or a mapping with Statement")
	}
}
