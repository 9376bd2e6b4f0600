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
	days := s.cfg.Backup.RetentionDays
	if st.Backups, err = s.bucket("backups", days, *s.cfg.Backup.KeepBucket, opts); err != nil {
		return nil, err
	}
	outputs := pulumi.Map{"backups": st.Backups.Bucket}
	if s.cfg.Addons.Logging.On() {
		// Loki deletes old data itself.
		if st.Logs, err = s.bucket("logs", 0, false, opts); err != nil {
			return nil, err
		}
		outputs["logs"] = st.Logs.Bucket
	}
	return st, s.ctx.RegisterResourceOutputs(st, outputs)
}

// bucket creates a private, encrypted, versioned bucket that accepts only TLS. Superseded snapshots in it expire
// after expireDays, or never if that is 0. A kept bucket remains with its objects when the stack is destroyed; any
// other is emptied. The random suffix of the name lets a recreated stack start although the old bucket was kept.
func (s *deployer) bucket(purpose string, expireDays int, keep bool, opts []pulumi.ResourceOption) (*s3.BucketV2,
	error) {
	name := s.named(purpose)
	settings := opts // deleted with the stack, even if the bucket is kept
	if keep {
		opts = with(opts, pulumi.RetainOnDelete(true))
	}
	b, err := s3.NewBucketV2(s.ctx, name, &s3.BucketV2Args{
		ForceDestroy: pulumi.Bool(!keep),
		Tags:         s.tags(purpose),
	}, with(opts, s.protect())...)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	_, err = s3.NewBucketOwnershipControls(s.ctx, purpose, &s3.BucketOwnershipControlsArgs{
		Bucket: b.ID(),
		Rule:   s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("ownership of bucket %s: %w", name, err)
	}
	private, err := s3.NewBucketPublicAccessBlock(s.ctx, purpose, &s3.BucketPublicAccessBlockArgs{
		Bucket:                b.ID(),
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("public access of bucket %s: %w", name, err)
	}
	// S3 refuses two concurrent changes of a bucket's access settings.
	_, err = s3.NewBucketPolicy(s.ctx, purpose, &s3.BucketPolicyArgs{
		Bucket: b.ID(),
		Policy: b.Arn.ApplyT(func(arn string) string { return policy.TLSOnly(arn).JSON() }).(pulumi.StringOutput),
	}, with(opts, pulumi.DependsOn([]pulumi.Resource{private}))...)
	if err != nil {
		return nil, fmt.Errorf("policy of bucket %s: %w", name, err)
	}
	if err := s.encrypted(purpose, b, opts); err != nil {
		return nil, fmt.Errorf("encryption of bucket %s: %w", name, err)
	}
	versioning, err := s3.NewBucketVersioningV2(s.ctx, purpose, &s3.BucketVersioningV2Args{
		Bucket: b.ID(),
		VersioningConfiguration: s3.BucketVersioningV2VersioningConfigurationArgs{
			Status: pulumi.String("Enabled"),
		},
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("versioning of bucket %s: %w", name, err)
	}
	if err := s.lifecycle(purpose, b, versioning, expireDays, settings); err != nil {
		return nil, fmt.Errorf("lifecycle of bucket %s: %w", name, err)
	}
	return b, nil
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
