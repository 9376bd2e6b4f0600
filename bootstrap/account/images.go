package account

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecr"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/infra/policy"
)

// Images is the image registry that all environments share.
type Images struct {
	pulumi.ResourceState

	// URLs are by repository name.
	URLs pulumi.StringMap
	ARNs []string
}

// registryHost begins the names of the images.
func (d *deployer) registryHost() string {
	return fmt.Sprintf("%s.dkr.ecr.%s.%s", d.accountID, d.settings.Region, d.aws.DNSSuffix())
}

func (d *deployer) newImages() (*Images, error) {
	r := &Images{URLs: pulumi.StringMap{}}
	opts, err := d.component("Images", "images", r)
	if err != nil {
		return nil, err
	}
	for _, name := range d.settings.Images {
		repository, err := d.repository(name, opts)
		if err != nil {
			return nil, fmt.Errorf("repository %s: %w", name, err)
		}
		r.URLs[name] = repository.RepositoryUrl
		r.ARNs = append(r.ARNs, d.arn("ecr", d.settings.Region, "repository/"+name))
	}
	return r, d.ctx.RegisterResourceOutputs(r, pulumi.Map{"urls": r.URLs})
}

func (d *deployer) repository(name string, opts []pulumi.ResourceOption) (*ecr.Repository, error) {
	// Images are never deleted with their repository, not even when this stack is destroyed: a cluster may run them.
	keep := with(opts, d.protect(), pulumi.RetainOnDelete(true))
	if slices.Contains(d.settings.ImportImages, name) {
		// Pulumi refuses to import what differs from the program, and a cluster's stack gave it other settings. The next
		// update without importImages makes them equal.
		keep = append(keep, pulumi.Import(pulumi.ID(name)), pulumi.IgnoreChanges([]string{
			"encryptionConfigurations", "forceDelete", "imageScanningConfiguration", "imageTagMutability", "tags", "tagsAll",
		}))
	}
	repository, err := ecr.NewRepository(d.ctx, name, &ecr.RepositoryArgs{
		Name: pulumi.String(name),
		// A tag means one image forever, so that what was tested is what runs and a rollback gets it back.
		ImageTagMutability:         pulumi.String("IMMUTABLE"),
		ImageScanningConfiguration: ecr.RepositoryImageScanningConfigurationArgs{ScanOnPush: pulumi.Bool(true)},
		EncryptionConfigurations: ecr.RepositoryEncryptionConfigurationArray{
			ecr.RepositoryEncryptionConfigurationArgs{EncryptionType: pulumi.String("AES256")},
		},
	}, keep...)
	if err != nil {
		return nil, err
	}
	_, err = ecr.NewLifecyclePolicy(d.ctx, name, &ecr.LifecyclePolicyArgs{
		Repository: repository.Name,
		Policy:     pulumi.String(expireUntagged(d.settings.KeepUntaggedDays)),
	}, opts...)
	if err != nil || len(d.settings.PullAccounts) == 0 {
		return repository, err
	}
	_, err = ecr.NewRepositoryPolicy(d.ctx, name, &ecr.RepositoryPolicyArgs{
		Repository: repository.Name,
		Policy:     pulumi.String(d.pullFromOutside().JSON()),
	}, opts...)
	return repository, err
}

// pullFromOutside lets the clusters of other accounts pull.
func (d *deployer) pullFromOutside() policy.Document {
	var roots []string
	for _, id := range d.settings.PullAccounts {
		roots = append(roots, fmt.Sprintf("arn:%s:iam::%s:root", d.aws.Partition(), id))
	}
	return policy.New(policy.Statement{
		Sid: "Pull", Effect: "Allow", Principal: map[string][]string{"AWS": roots},
		Action: []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"},
	})
}

// expireUntagged is the ECR lifecycle document that removes images without a tag after some days. Signatures and the
// parts of an index have no tag either, so the time is long.
func expireUntagged(days int) string {
	text, err := json.Marshal(map[string]any{"rules": []any{map[string]any{
		"rulePriority": 1,
		"description":  fmt.Sprintf("remove untagged images after %d days", days),
		"selection":    map[string]any{"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days},
		"action":       map[string]string{"type": "expire"},
	}}})
	if err != nil {
		panic(fmt.Sprintf("lifecycle document: %v", err)) // strings and numbers only, cannot fail
	}
	return string(text)
}
