package addons

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/chartvalues"
)

func roleARN(a config.ServiceAccount) string { return "arn:aws:iam::1:role/" + a.Name }

// rolesOf returns the roles of the controllers and of the settings as the infrastructure hands them on.
func rolesOf(cfg *config.Config) pulumi.StringMap {
	if !cfg.Identity.Enabled {
		return nil
	}
	roles := pulumi.StringMap{}
	for _, a := range append([]config.ServiceAccount{config.EBSDriverAccount, config.LoadBalancerAccount,
		config.LokiAccount}, cfg.Identity.ServiceAccounts...) {
		roles[a.Namespace+"/"+a.Name] = pulumi.String(roleARN(a))
	}
	return roles
}

// A controller with a role of its own gets it by a token, through settings that its chart has. It leaves the network
// of its host, where every process can take the role of the node.
func TestControllersUseTheirOwnRole(t *testing.T) {
	r := install(t, nil, func(c *config.Config) {
		everything(c)
		c.Identity.Enabled = true
	})
	for name, want := range map[string]struct {
		account                               config.ServiceAccount
		accountAt, envAt, volumesAt, mountsAt string
		priorityAt, hostNetworkAt             string
	}{
		"aws-ebs-csi-driver": {account: config.EBSDriverAccount, accountAt: "controller/serviceAccount/name",
			envAt: "controller/env", volumesAt: "controller/volumes", mountsAt: "controller/volumeMounts",
			priorityAt: "controller/priorityClassName"},
		"aws-load-balancer-controller": {account: config.LoadBalancerAccount, accountAt: "serviceAccount/name",
			envAt: "env", volumesAt: "extraVolumes", mountsAt: "extraVolumeMounts", hostNetworkAt: "hostNetwork"},
		"loki": {account: config.LokiAccount, accountAt: "serviceAccount/name", envAt: "singleBinary/extraEnv",
			volumesAt: "singleBinary/extraVolumes", mountsAt: "singleBinary/extraVolumeMounts",
			priorityAt: "singleBinary/priorityClassName"},
	} {
		release := r.find(t, name)
		values := valuesOf(release)
		keys, err := chartvalues.Of(catalog.Release(name))
		if err != nil {
			t.Fatal(err)
		}
		at := func(path string) string {
			if !keys[path] && !keys[path+"/**"] {
				t.Errorf("%s has no value %s", name, path)
			}
			return fmt.Sprint(valueAt(values, path))
		}
		if got := at(want.accountAt); got != want.account.Name {
			t.Errorf("%s runs as %s, and the role trusts %s", name, got, want.account.Name)
		}
		if namespace := release.inputs["namespace"].StringValue(); namespace != want.account.Namespace {
			t.Errorf("%s runs in %s, and the role trusts %s", name, namespace, want.account.Namespace)
		}
		for path, parts := range map[string][]string{
			want.envAt:     {roleARN(want.account), "/var/run/secrets/aws/token"},
			want.volumesAt: {"aws-token", "audience:sts.amazonaws.com", "path:token"},
			want.mountsAt:  {"aws-token", "mountPath:/var/run/secrets/aws"},
		} {
			for _, part := range parts {
				if got := at(path); !strings.Contains(got, part) {
					t.Errorf("%s: %s does not hold %s: %s", name, path, part, got)
				}
			}
		}
		if want.hostNetworkAt != "" && at(want.hostNetworkAt) != "false" ||
			want.priorityAt != "" && at(want.priorityAt) != "system-cluster-critical" {
			t.Errorf("%s stays on the network of its host", name)
		}
	}
}

// valueAt returns the value at a path such as controller/env.
func valueAt(values map[string]any, path string) any {
	var value any = values
	for step := range strings.SplitSeq(path, "/") {
		below, _ := value.(map[string]any)
		value = below[step]
	}
	return value
}
