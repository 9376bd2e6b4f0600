package hosts

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// userData is the part of a cloud-config that a host here obeys.
type userData struct {
	Hostname string `yaml:"hostname"`
	SSHKeys  struct {
		Ed25519Private string `yaml:"ed25519_private"`
	} `yaml:"ssh_keys"`
}

// parseUserData reads an instance's user data as EC2 takes it: a cloud-config, plain or in base64, gzipped or not.
// Empty user data is fine: such a host makes its own keys.
func parseUserData(text string) (userData, error) {
	var u userData
	if strings.TrimSpace(text) == "" {
		return u, nil
	}
	data := []byte(text)
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
		data = raw
	}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return u, fmt.Errorf("user data: %w", err)
		}
		if data, err = io.ReadAll(io.LimitReader(r, 1<<20)); err != nil {
			return u, fmt.Errorf("user data: %w", err)
		}
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("#cloud-config")) {
		return u, fmt.Errorf("user data: cloud-init takes a cloud-config only when it starts with #cloud-config")
	}
	if err := yaml.Unmarshal(data, &u); err != nil {
		return u, fmt.Errorf("user data: %w", err)
	}
	return u, nil
}

// hostKey is the private host key in base64, empty when the user data has none.
func (u userData) hostKey() string {
	if u.SSHKeys.Ed25519Private == "" {
		return ""
	}
	// sshd refuses a key file without an end of line.
	return base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(u.SSHKeys.Ed25519Private) + "\n"))
}
