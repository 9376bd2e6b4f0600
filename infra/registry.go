package infra

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecr"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Registry holds the ECR repositories of the user's images.
type Registry struct {
	pulumi.ResourceState

	// URLs are by repository name.
	URLs pulumi.StringMap
}

func newRegistry(s *deployer, _ none) (*Registry, error) {
	r := &Registry{URLs: pulumi.StringMap{}}
	opts, err := s.component("Registry", "registry", r)
	if err != nil {
		return nil, err
	}
	// Outside dev a tag refers to one image forever, so that a rollback gets the tested image.
	mutability := "IMMUTABLE"
	if s.cfg.Environment == config.Dev {
		mutability = "MUTABLE"
	}
	for _, name := range s.cfg.Registry.Repositories {
		repository, err := ecr.NewRepository(s.ctx, name, &ecr.RepositoryArgs{
			Name:               pulumi.String(s.cfg.Cluster.Name + "/" + name),
			ImageTagMutability: pulumi.String(mutability),
			ImageScanningConfiguration: ecr.RepositoryImageScanningConfigurationArgs{
				ScanOnPush: pulumi.Bool(true),
			},
			EncryptionConfigurations: ecr.RepositoryEncryptionConfigurationArray{
				ecr.RepositoryEncryptionConfigurationArgs{EncryptionType: pulumi.String("AES256")},
			},
			ForceDelete: pulumi.Bool(!*s.cfg.Protection.Protect),
			Tags:        s.tags(name),
		}, with(opts, s.protect())...)
		if err != nil {
			return nil, fmt.Errorf("repository %s: %w", name, err)
		}
		_, err = ecr.NewLifecyclePolicy(s.ctx, name, &ecr.LifecyclePolicyArgs{
			Repository: repository.Name,
			Policy:     pulumi.String(keepUntagged(s.cfg.Registry.KeepImages)),
		}, opts...)
		if err != nil {
			return nil, fmt.Errorf("lifecycle of repository %s: %w", name, err)
		}
		r.URLs[name] = repository.RepositoryUrl
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
