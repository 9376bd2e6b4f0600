package cluster

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// identityFormat is the text of the settings that a running cluster cannot change, in the form that init.sh stores on
// the host.
const identityFormat = "pods %s services %s domain %s endpoint %s"

// ReadIdentity returns the settings that a control plane was initialised with. It parses the command text of the init
// step. ok is false for any other text.
func ReadIdentity(command string) (c config.Config, ok bool) {
	line, _ := stepline.Parse(command)
	env := line.Env
	var endpoint string
	_, err := fmt.Sscanf(env["IDENTITY"], identityFormat, &c.Network.PodCIDR, &c.Network.ServiceCIDR, &c.Cluster.DNSDomain,
		&endpoint)
	c.Cluster.KubernetesVersion = env["KUBERNETES_VERSION"]
	c.Identity.Issuer = readIssuer(env["KUBEADM_CONFIG"])
	c.Identity.Enabled = c.Identity.Issuer != ""
	return c, err == nil && c.Cluster.KubernetesVersion != ""
}

// readIssuer returns the issuer that the API server signs as, or "" for kubeadm's own.
func readIssuer(kubeadmConfig string) string {
	for _, flag := range readAPIServerFlags(kubeadmConfig) {
		if flag.Name == issuerFlag {
			return flag.Value
		}
	}
	return ""
}

// extraArg is a flag in a configuration for kubeadm.
type extraArg struct{ Name, Value string }

// readAPIServerFlags returns the flags of the API server in a configuration for kubeadm, in their order.
func readAPIServerFlags(kubeadmConfig string) []extraArg {
	documents := yaml.NewDecoder(strings.NewReader(kubeadmConfig))
	var flags []extraArg
	for {
		var d struct {
			APIServer struct {
				ExtraArgs []extraArg `yaml:"extraArgs"`
			} `yaml:"apiServer"`
		}
		if documents.Decode(&d) != nil {
			return flags
		}
		flags = append(flags, d.APIServer.ExtraArgs...)
	}
}

// ReadMachine returns the generation and the type of the machine that a node was made of, and its provider id. Each is
// "" if the step does not show it. It parses the command text of the node step.
func ReadMachine(command string) (generation, instanceType, providerID string) {
	line, _ := stepline.Parse(command)
	return line.Env["GENERATION"], line.Env["INSTANCE_TYPE"], line.Env["PROVIDER_ID"]
}

// ReadNode returns the role, labels and taints of a node. It parses the command text of the node step.
func ReadNode(command string) config.Node {
	line, _ := stepline.Parse(command)
	env := line.Env
	n := config.Node{Name: line.Node, Role: env["ROLE"], Labels: map[string]string{}}
	for _, line := range strings.Fields(env["LABELS"]) {
		key, value, _ := strings.Cut(line, "=")
		n.Labels[key] = value
	}
	for _, line := range strings.Fields(env["TAINTS"]) {
		at := strings.LastIndex(line, ":")
		if at < 0 {
			continue
		}
		key, value, _ := strings.Cut(line[:at], "=")
		n.Taints = append(n.Taints, config.Taint{Key: key, Value: value, Effect: line[at+1:]})
	}
	return n
}
