package account

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/infra/policy"
)

// State is where the stacks of the clusters keep their state.
type State struct {
	pulumi.ResourceState

	// Name of the bucket is known in a preview.
	Name   string
	Bucket *s3.BucketV2
	Key    *kms.Key
}

func (d *deployer) newState() (*State, error) {
	st := &State{Name: StateBucket(d.accountID, d.settings.Region)}
	opts, err := d.component("State", "state", st)
	if err != nil {
		return nil, err
	}
	st.Key, err = kms.NewKey(d.ctx, "state", &kms.KeyArgs{
		Description:          pulumi.String("secrets in the Pulumi state of kubeadm-aws"),
		EnableKeyRotation:    pulumi.Bool(true),
		DeletionWindowInDays: pulumi.Int(30),
	}, with(opts, d.protect())...)
	if err != nil {
		return nil, err
	}
	_, err = kms.NewAlias(d.ctx, "state", &kms.AliasArgs{Name: pulumi.String(KeyAlias), TargetKeyId: st.Key.KeyId},
		with(opts, d.protect())...)
	if err != nil {
		return nil, err
	}
	st.Bucket, err = s3.NewBucketV2(d.ctx, "state", &s3.BucketV2Args{
		Bucket: pulumi.String(st.Name),
		// With protect: false the bucket goes with all versions of what was in it; the driver first makes sure that no stack
		// is left.
		ForceDestroy: pulumi.Bool(!d.settings.Protect),
	}, with(opts, d.protect())...)
	if err != nil {
		return nil, err
	}
	if err := d.lockDown(st.Bucket, opts); err != nil {
		return nil, err
	}
	return st, d.ctx.RegisterResourceOutputs(st, pulumi.Map{"bucket": st.Bucket.Bucket})
}

// lockDown makes the bucket private, encrypted and versioned, and has it answer only over TLS.
func (d *deployer) lockDown(bucket *s3.BucketV2, opts []pulumi.ResourceOption) error {
	_, err := s3.NewBucketOwnershipControls(d.ctx, "state", &s3.BucketOwnershipControlsArgs{
		Bucket: bucket.ID(),
		Rule:   s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	}, opts...)
	if err != nil {
		return err
	}
	private, err := s3.NewBucketPublicAccessBlock(d.ctx, "state", &s3.BucketPublicAccessBlockArgs{
		Bucket:                bucket.ID(),
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	}, opts...)
	if err != nil {
		return err
	}
	// S3 refuses two changes of a bucket's access at once.
	_, err = s3.NewBucketPolicy(d.ctx, "state", &s3.BucketPolicyArgs{
		Bucket: bucket.ID(),
		Policy: bucket.Arn.ApplyT(func(arn string) string { return policy.TLSOnly(arn).JSON() }).(pulumi.StringOutput),
	}, with(opts, pulumi.DependsOn([]pulumi.Resource{private}))...)
	if err != nil {
		return err
	}
	type rule = s3.BucketServerSideEncryptionConfigurationV2RuleArgs
	type byDefault = s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs
	_, err = s3.NewBucketServerSideEncryptionConfigurationV2(d.ctx, "state",
		&s3.BucketServerSideEncryptionConfigurationV2Args{
			Bucket: bucket.ID(),
			Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{
				rule{ApplyServerSideEncryptionByDefault: byDefault{SseAlgorithm: pulumi.String("AES256")}},
			},
		}, opts...)
	if err != nil {
		return err
	}
	versioning, err := s3.NewBucketVersioningV2(d.ctx, "state", &s3.BucketVersioningV2Args{
		Bucket:                  bucket.ID(),
		VersioningConfiguration: s3.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
	}, opts...)
	if err != nil {
		return err
	}
	return d.lifecycle(bucket, versioning, opts)
}

// keptVersionsDays is how long a state that was overwritten or deleted can be had back.
const keptVersionsDays = 90

// lifecycle removes old versions and unfinished uploads. The current version of a state never expires. The fields are
// in the order in which AWS returns them, so that a refresh finds no difference.
func (d *deployer) lifecycle(bucket *s3.BucketV2, versioning pulumi.Resource, opts []pulumi.ResourceOption) error {
	_, err := s3.NewBucketLifecycleConfigurationV2(d.ctx, "state", &s3.BucketLifecycleConfigurationV2Args{
		Bucket: bucket.ID(),
		Rules: s3.BucketLifecycleConfigurationV2RuleArray{s3.BucketLifecycleConfigurationV2RuleArgs{
			Id:         pulumi.String("old-versions"),
			Status:     pulumi.String("Enabled"),
			Filter:     s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("")},
			Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{ExpiredObjectDeleteMarker: pulumi.Bool(true)},
			NoncurrentVersionExpiration: s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
				NoncurrentDays: pulumi.Int(keptVersionsDays),
			},
			AbortIncompleteMultipartUpload: s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
				DaysAfterInitiation: pulumi.Int(1),
			},
		}},
	}, with(opts, pulumi.DependsOn([]pulumi.Resource{versioning}), pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "10m",
		Update: "10m"}))...)
	return err
}
