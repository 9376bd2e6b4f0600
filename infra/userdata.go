package infra

import (
	"encoding/json"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// userData returns the cloud-config of a node. It installs the SSH host key that every connection pins, and does
// nothing slow. All other preparation runs over SSH, where it can be observed, repeated and changed.
// JSON is YAML, and its quoting is safe for a multi-line key.
func userData(node, privateKey, publicKey string) (string, error) {
	text, err := json.MarshalIndent(cloudConfig{
		Hostname:         node,
		PreserveHostname: false,
		SSHDeleteKeys:    true,
		// With a given key cloud-init generates no others, so the host has only the pinned key.
		SSHKeys: map[string]string{"ed25519_private": privateKey,
			"ed25519_public": strings.TrimSpace(publicKey)},
		SSHPasswordAuth:         false,
		DisableRoot:             true,
		PackageUpdate:           false,
		PackageUpgrade:          false,
		PackageRebootIfRequired: false,
	}, "", "  ")
	if err != nil {
		return "", err
	}
	return "#cloud-config\n" + string(text) + "\n", nil
}

type cloudConfig struct {
	Hostname                string            `json:"hostname"`
	PreserveHostname        bool              `json:"preserve_hostname"`
	SSHDeleteKeys           bool              `json:"ssh_deletekeys"`
	SSHKeys                 map[string]string `json:"ssh_keys"`
	SSHPasswordAuth         bool              `json:"ssh_pwauth"`
	DisableRoot             bool              `json:"disable_root"`
	PackageUpdate           bool              `json:"package_update"`
	PackageUpgrade          bool              `json:"package_upgrade"`
	PackageRebootIfRequired bool              `json:"package_reboot_if_required"`
}

// trimmed removes the newline at the end of a public key in authorized_keys format.
func trimmed(key pulumi.StringOutput) pulumi.StringOutput {
	return key.ApplyT(strings.TrimSpace).(pulumi.StringOutput)
}
