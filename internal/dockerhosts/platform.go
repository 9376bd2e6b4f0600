package dockerhosts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox/engine"
)

// platform runs the add-ons of a stack. By default the model of Kubernetes' provider records charts and
// starts no pods. With real add-ons Pulumi's own provider and its Helm install the charts whose images the mirror
// has; the model records the rest.
type platform struct {
	// Releases run for real; none in a stack that only records. The list is that of the first run until the stack is
	// gone, so that neither another ADDONS nor a later build of the mirror replaces anything.
	Releases []string `json:"releases,omitempty"`
	// Registries are the hosts of their images, which the mirror serves too.
	Registries []string `json:"registries,omitempty"`
}

func (p platform) real() bool { return len(p.Releases) > 0 }

// installer decides which add-ons of a stack are installed for real, and by which program.
type installer struct{ *stack }

// choose uses the platform that the stack was begun with, or chooses one for a new stack.
func (i installer) choose() error {
	before := i.store.read()
	begun := before.MirrorPort != 0
	if begun && i.options.Real && !before.Platform.real() {
		return fmt.Errorf("stack %s was begun with recorded add-ons: destroy it before ADDONS=real", i.options.Stack)
	}
	if begun || !i.options.Real {
		return nil
	}
	if i.options.Public {
		return errors.New("ADDONS=real needs the mirror, and MIRROR is off")
	}
	var p platform
	for name, words := range map[string]*[]string{"releases": &p.Releases, "registries": &p.Registries} {
		text, err := os.ReadFile(filepath.Join(builtDir(), "platform", name))
		if err != nil {
			return fmt.Errorf("the mirror has no images of add-ons: %w", err)
		}
		*words = strings.Fields(string(text))
	}
	return i.store.change(func(s *state) error {
		s.Platform = p
		return nil
	})
}

// Real returns the releases that run for real.
func (i installer) Real() []string { return i.store.read().Platform.Releases }

// Models reports whether the model answers for a resource of the cluster: a release that does not run for real, a
// custom resource of one, and what its webhook would have to accept.
func (p platform) Models(urn resource.URN) bool {
	kind := string(urn.Type().Name())
	if slices.Contains([]string{"Release", "Deployment", "DaemonSet"}, kind) {
		return !slices.Contains(p.Releases, urn.Name())
	}
	recorded := false
	for _, c := range catalog.Charts() {
		if !slices.Contains(c.Kinds, kind) && !slices.Contains(c.Guards, kind) {
			continue
		}
		if slices.Contains(p.Releases, c.Release) {
			return false
		}
		recorded = true
	}
	return recorded
}

// Provider returns Pulumi's own provider of Kubernetes, or nil for a stack whose add-ons are only recorded.
func (i installer) Provider() (*engine.Program, error) {
	p := i.store.read().Platform
	if !p.real() {
		return nil, nil
	}
	path := filepath.Join(builtDir(), "test-programs", config.DefaultRelease().Version, "pulumi-resource-kubernetes")
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("the mirror has no provider of Kubernetes: %w", err)
	}
	return &engine.Program{
		Models: p.Models,
		Command: func(address string) *exec.Cmd {
			c := exec.Command(path, address)
			// Helm keeps indexes and charts below the home directory.
			c.Dir, c.Env = i.options.Dir, []string{"HOME=" + i.options.Dir, "PATH=" + os.Getenv("PATH")}
			endWithParent(c)
			return c
		},
	}, nil
}

// overrides are where charts and images of real add-ons come from. Images that charts name by digest are built here,
// so they are named by tag.
func (i installer) overrides(mirror string) map[string]any {
	// The first is that of the cluster's own images.
	charts, registries := map[string]any{}, map[string]any{"registry.k8s.io": mirror}
	for _, from := range catalog.Repositories() {
		charts[from] = mirror + "/charts"
	}
	for _, host := range i.store.read().Platform.Registries {
		registries[host] = mirror
	}
	return map[string]any{
		"mirrors.charts":     charts,
		"mirrors.registries": registries,
		"addons.rabbitmq.values.clusterOperator.image.tag": "2.22.4",
	}
}
