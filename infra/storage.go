package infra

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/infra/policy"
)

// Storage holds the buckets: etcd snapshots and, with logging on, Loki's chunks.
type Storage struct {
	pulumi.ResourceState

	Backups *s3.BucketV2
	Logs    *s3.BucketV2 // nil when logging is off
}

// logBucket returns the name of the bucket of logs, or nil if logging is off.
func (st *Storage) logBucket() pulumi.StringPtrInput {
	if st.Logs == nil {
		return nil
	}
	return st.Logs.Bucket.ToStringPtrOutput()
}

func newStorage(s *deployer, _ none) (*Storage, error) {
	st := &Storage{}
	opts, err := s.component("Storage", "storage", st)
	if err != nil {
		return nil, err
	}
	st.Backups, _, err = s.bucket(bucketArgs{
		purpose: "backups", expireDays: s.cfg.Backup.RetentionDays, keep: *s.cfg.Backup.KeepBucket,
	}, opts)
	if err != nil {
		return nil, err
	}
	outputs := pulumi.Map{"backups": st.Backups.Bucket}
	if s.cfg.Addons.Logging.On() {
		// Loki deletes old data itself.
		if st.Logs, _, err = s.bucket(bucketArgs{purpose: "logs"}, opts); err != nil {
			return nil, err
		}
		outputs["logs"] = st.Logs.Bucket
	}
	return st, s.ctx.RegisterResourceOutputs(st, outputs)
}

// bucketArgs describe a bucket. It is private unless public is set.
type bucketArgs struct {
	purpose string
	// expireDays is when superseded snapshots expire; 0 is never.
	expireDays int
	// keep leaves the bucket and its objects behind when the stack is destroyed. Otherwise it is emptied.
	keep bool
	// public lets the bucket have a policy that allows everybody to read.
	public bool
	// policy returns the bucket's policy for its ARN; nil is policy.TLSOnly.
	policy func(arn string) policy.Document
}

// bucket creates an encrypted, versioned bucket that accepts only TLS, and its policy. The random suffix of the name
// lets a recreated stack start although the old bucket was kept.
func (s *deployer) bucket(args bucketArgs, opts []pulumi.ResourceOption) (*s3.BucketV2, *s3.BucketPolicy, error) {
	name, purpose := s.named(args.purpose), args.purpose
	settings := opts // deleted with the stack, even if the bucket is kept
	if args.keep {
		opts = with(opts, pulumi.RetainOnDelete(true))
	}
	b, err := s3.NewBucketV2(s.ctx, name, &s3.BucketV2Args{
		ForceDestroy: pulumi.Bool(!args.keep),
		Tags:         s.tags(purpose),
	}, with(opts, s.protect())...)
	if err != nil {
		return nil, nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	access, err := s.access(args, b, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("access to bucket %s: %w", name, err)
	}
	if err := s.encrypted(purpose, b, opts); err != nil {
		return nil, nil, fmt.Errorf("encryption of bucket %s: %w", name, err)
	}
	versioning, err := s3.NewBucketVersioningV2(s.ctx, purpose, &s3.BucketVersioningV2Args{
		Bucket: b.ID(),
		VersioningConfiguration: s3.BucketVersioningV2VersioningConfigurationArgs{
			Status: pulumi.String("Enabled"),
		},
	}, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("versioning of bucket %s: %w", name, err)
	}
	if err := s.lifecycle(purpose, b, versioning, args.expireDays, settings); err != nil {
		return nil, nil, fmt.Errorf("lifecycle of bucket %s: %w", name, err)
	}
	return b, access, nil
}

// access decides who may read and write a bucket, and returns its policy.
func (s *deployer) access(args bucketArgs, b *s3.BucketV2, opts []pulumi.ResourceOption) (*s3.BucketPolicy,
	error) {
	_, err := s3.NewBucketOwnershipControls(s.ctx, args.purpose, &s3.BucketOwnershipControlsArgs{
		Bucket: b.ID(),
		Rule:   s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	}, opts...)
	if err != nil {
		return nil, err
	}
	block, err := s3.NewBucketPublicAccessBlock(s.ctx, args.purpose, &s3.BucketPublicAccessBlockArgs{
		Bucket:                b.ID(),
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(!args.public),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(!args.public),
	}, opts...)
	if err != nil {
		return nil, err
	}
	document := args.policy
	if document == nil {
		document = policy.TLSOnly
	}
	// S3 refuses two concurrent changes of a bucket's access settings.
	return s3.NewBucketPolicy(s.ctx, args.purpose, &s3.BucketPolicyArgs{
		Bucket: b.ID(),
		Policy: b.Arn.ApplyT(func(arn string) string { return document(arn).JSON() }).(pulumi.StringOutput),
	}, with(opts, pulumi.DependsOn([]pulumi.Resource{block}))...)
}

func (s *deployer) encrypted(purpose string, b *s3.BucketV2, opts []pulumi.ResourceOption) error {
	byDefault := s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{
		SseAlgorithm: pulumi.String("AES256"),
	}
	_, err := s3.NewBucketServerSideEncryptionConfigurationV2(s.ctx, purpose,
		&s3.BucketServerSideEncryptionConfigurationV2Args{
			Bucket: b.ID(),
			Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{
				s3.BucketServerSideEncryptionConfigurationV2RuleArgs{ApplyServerSideEncryptionByDefault: byDefault},
			},
		}, opts...)
	return err
}

// lifecycleTimeout replaces the provider's three minutes, because the service sometimes needs longer to return a new
// configuration.
const lifecycleTimeout = "10m"

// lifecycle removes old versions, unfinished uploads and, after expireDays, snapshots that a newer one has replaced:
// the snapshot script tags them superseded=true. The newest snapshot has no tag and never expires. With an expireDays
// of 0 only old versions and unfinished uploads expire. The rules are deleted with the stack, even if the bucket is
// kept.
// The fields are in the order in which AWS returns them, so that a refresh finds no difference.
func (s *deployer) lifecycle(
	purpose string, b *s3.BucketV2, versioning pulumi.Resource, expireDays int, opts []pulumi.ResourceOption,
) error {
	rules := s3.BucketLifecycleConfigurationV2RuleArray{s3.BucketLifecycleConfigurationV2RuleArgs{
		Id:     pulumi.String("old-versions"),
		Status: pulumi.String("Enabled"),
		Filter: s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("")},
		Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{
			ExpiredObjectDeleteMarker: pulumi.Bool(true),
		},
		// An object that was overwritten or deleted by mistake can be restored for at least a day.
		NoncurrentVersionExpiration: s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
			NoncurrentDays: pulumi.Int(max(expireDays, 1)),
		},
		AbortIncompleteMultipartUpload: s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
			DaysAfterInitiation: pulumi.Int(1),
		},
	}}
	if expireDays > 0 {
		rules = append(rules, s3.BucketLifecycleConfigurationV2RuleArgs{
			Id:     pulumi.String("superseded-snapshots"),
			Status: pulumi.String("Enabled"),
			Filter: s3.BucketLifecycleConfigurationV2RuleFilterArgs{
				Tag: s3.BucketLifecycleConfigurationV2RuleFilterTagArgs{
					Key: pulumi.String("superseded"), Value: pulumi.String("true"),
				},
			},
			Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(expireDays)},
		})
	}
	_, err := s3.NewBucketLifecycleConfigurationV2(s.ctx, purpose, &s3.BucketLifecycleConfigurationV2Args{
		Bucket: b.ID(),
		Rules:  rules,
	}, with(opts,
		pulumi.DependsOn([]pulumi.Resource{versioning}),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: lifecycleTimeout, Update: lifecycleTimeout}))...)
	return err
}
