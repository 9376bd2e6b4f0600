package infra

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
	"kubeadm-aws/infra/policy"
)

// IssuerBucket is the purpose of the bucket with the discovery documents, and the end of its resource's name.
const IssuerBucket = "identity"

// Issuer lets AWS trust the tokens of the cluster's service accounts: a bucket for the two discovery documents and the
// IAM identity provider that reads them. Package cluster has the key and publishes the documents.
type Issuer struct {
	pulumi.ResourceState

	// URL is the issuer in the tokens, such as https://dev-identity-0a1b2c3.s3.eu-central-1.amazonaws.com.
	URL      pulumi.StringOutput
	Bucket   *s3.BucketV2
	Provider *iam.OpenIdConnectProvider
	// Roles are the ARNs of the roles of service accounts, by namespace/name.
	Roles pulumi.StringMap

	// Policies are the policies of the controllers. Without its policy, a controller cannot clean up.
	Policies []pulumi.Resource

	// dependsOn are the resources without which no pod gets AWS credentials.
	dependsOn []pulumi.Resource
	deployer  *deployer
	opts      []pulumi.ResourceOption
}

// newIssuer returns nil if the stack has no workload identity.
func newIssuer(s *deployer, args identityArgs) (*Issuer, error) {
	if !s.cfg.Identity.Enabled {
		return nil, nil
	}
	is := &Issuer{deployer: s, Roles: pulumi.StringMap{}}
	var err error
	if is.opts, err = s.component("Issuer", "issuer", is); err != nil {
		return nil, err
	}
	bucket := bucketArgs{purpose: IssuerBucket, public: true, policy: discoveryForAll}
	if s.cfg.Identity.Issuer != "" {
		bucket.public, bucket.policy = false, s.discoveryForCloudFront
	}
	var documents *s3.BucketPolicy
	if is.Bucket, documents, err = s.bucket(bucket, is.opts); err != nil {
		return nil, err
	}
	is.URL = is.Bucket.Bucket.ApplyT(func(bucket string) string {
		if s.cfg.Identity.Issuer != "" {
			return s.cfg.Identity.Issuer
		}
		return fmt.Sprintf("https://%s.s3.%s.%s", bucket, s.cfg.Region, s.cfg.DNSSuffix())
	}).(pulumi.StringOutput)
	is.Provider, err = iam.NewOpenIdConnectProvider(s.ctx, s.named("issuer"), &iam.OpenIdConnectProviderArgs{
		Url:           is.URL,
		ClientIdLists: pulumi.StringArray{pulumi.String(config.TokenAudience)},
		// Without a thumbprint IAM connects to the issuer to get one, and nothing answers there yet. AWS trusts the
		// certificate by its authorities, and does not use the thumbprint.
		ThumbprintLists: pulumi.StringArray{pulumi.String(strings.Repeat("f", 40))},
		Tags:            s.tags("issuer"),
	}, is.opts...)
	if err != nil {
		return nil, fmt.Errorf("identity provider: %w", err)
	}
	is.dependsOn = []pulumi.Resource{documents, is.Provider}
	if err := is.serviceAccounts(); err != nil {
		return nil, err
	}
	if err := is.controllers(nodePolicies{s}.controllers(args.storage, args.network)); err != nil {
		return nil, err
	}
	return is, s.ctx.RegisterResourceOutputs(is, pulumi.Map{"url": is.URL})
}

// Publish stores a document at a path below the URL. STS reads it again after a minute at the latest where a cache
// stands before the bucket.
func (is *Issuer) Publish(path string, document pulumi.StringInput) (pulumi.Resource, error) {
	name := path[strings.LastIndex(path, "/")+1:]
	object, err := s3.NewBucketObjectv2(is.deployer.ctx, name, &s3.BucketObjectv2Args{
		Bucket:       is.Bucket.ID(),
		Key:          pulumi.String(path),
		Content:      document,
		ContentType:  pulumi.String("application/json"),
		CacheControl: pulumi.String("max-age=60"),
	}, with(is.opts, pulumi.DependsOn(is.dependsOn))...)
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", path, err)
	}
	return object, nil
}

// discoveryForAll lets everybody read the two documents and nothing else.
func discoveryForAll(bucket string) policy.Document {
	return discovery(bucket, policy.Statement{Sid: "Discovery", Principal: "*"})
}

// discoveryForCloudFront lets the account's CloudFront distributions read the two documents. Such a policy is not
// public.
func (s *deployer) discoveryForCloudFront(bucket string) policy.Document {
	return discovery(bucket, policy.Statement{Sid: "Discovery",
		Principal: map[string]string{"Service": "cloudfront." + s.cfg.PrincipalSuffix()},
		Condition: map[string]policy.Operands{"ArnLike": {
			"aws:SourceArn": {s.arn("cloudfront", "", s.accountID, "distribution/*")}}}})
}

func discovery(bucket string, readers policy.Statement) policy.Document {
	readers.Effect, readers.Action = "Allow", []string{"s3:GetObject"}
	for _, path := range []string{config.DiscoveryPath, config.KeySetPath} {
		readers.Resource = append(readers.Resource, bucket+"/"+path)
	}
	document := policy.TLSOnly(bucket)
	document.Statement = append(document.Statement, readers)
	return document
}
