package infra

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecr"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Registry holds the ECR repositories that an earlier version created for the stack.
type Registry struct {
	pulumi.ResourceState

	// URLs are by repository name.
	URLs pulumi.StringMap
}

// keptUntagged is how many untagged images a repository kept by default. The number of a repository that exists does
// not change.
const keptUntagged = 10

// newRegistry keeps the repositories that exist, and creates none: images belong to the registry of the account, which
// outlives clusters (package bootstrap/account). The state notes that they stay in AWS when the stack or this function
// is removed. So a later version can drop this function, and no image is lost on stacks that this version has updated.
func newRegistry(s *deployer, _ none) (*Registry, error) {
	r := &Registry{URLs: pulumi.StringMap{}}
	if len(s.exists.Repositories) == 0 {
		return r, nil
	}
	opts, err := s.component("Registry", "registry", r)
	if err != nil {
		return nil, err
	}
	opts = with(opts, pulumi.RetainOnDelete(true))
	mutability := "IMMUTABLE"
	if s.cfg.Environment == config.Dev {
		mutability = "MUTABLE"
	}
	for _, name := range s.exists.Repositories {
		repository, err := ecr.NewRepository(s.ctx, name, &ecr.RepositoryArgs{
			Name:               pulumi.String(s.cfg.Cluster.Name + "/" + name),
			ImageTagMutability: pulumi.String(mutability),
			ImageScanningConfiguration: ecr.RepositoryImageScanningConfigurationArgs{
				ScanOnPush: pulumi.Bool(true),
			},
			EncryptionConfigurations: ecr.RepositoryEncryptionConfigurationArray{
				ecr.RepositoryEncryptionConfigurationArgs{EncryptionType: pulumi.String("AES256")},
			},
			// AWS then refuses to delete one that holds images, whatever calls it.
			ForceDelete: pulumi.Bool(false),
			Tags:        s.tags(name),
			// A protected resource could not be dropped, and RetainOnDelete protects more.
		}, with(opts, pulumi.Protect(false))...)
		if err != nil {
			return nil, fmt.Errorf("repository %s: %w", name, err)
		}
		_, err = ecr.NewLifecyclePolicy(s.ctx, name, &ecr.LifecyclePolicyArgs{
			Repository: repository.Name,
			Policy:     pulumi.String(keepUntagged(keptUntagged)),
		}, with(opts, pulumi.IgnoreChanges([]string{"policy"}))...)
		if err != nil {
			return nil, fmt.Errorf("lifecycle of repository %s: %w", name, err)
		}
		r.URLs[name] = repository.RepositoryUrl
	}
	warning := fmt.Sprintf("The ECR repositories of this stack (%s) stay in AWS when it is destroyed, with their images, and "+
		"a later version forgets them. Images belong to the registry of the account: docs/bootstrap.md says how it takes them over",
		strings.Join(s.exists.Repositories, ", "))
	if err := s.ctx.Log.Warn(warning, &pulumi.LogArgs{Resource: r}); err != nil {
		return nil, err
	}
	return r, s.ctx.RegisterResourceOutputs(r, pulumi.Map{"urls": r.URLs})
}

// keepUntagged is the ECR lifecycle document that keeps the n newest untagged images.
func keepUntagged(n int) string {
	type selection struct {
		TagStatus   string `json:"tagStatus"`
		CountType   string `json:"countType"`
		CountNumber int    `json:"countNumber"`
	}
	type rule struct {
		RulePriority int               `json:"rulePriority"`
		Description  string            `json:"description"`
		Selection    selection         `json:"selection"`
		Action       map[string]string `json:"action"`
	}
	text, err := json.Marshal(map[string][]rule{"rules": {{
		RulePriority: 1,
		Description:  fmt.Sprintf("keep the %d newest untagged images", n),
		Selection:    selection{TagStatus: "untagged", CountType: "imageCountMoreThan", CountNumber: n},
		Action:       map[string]string{"type": "expire"},
	}}})
	if err != nil {
		panic(fmt.Sprintf("lifecycle document: %v", err)) // strings and numbers only, cannot fail
	}
	return string(text)
}
