package cluster

import (
	"fmt"
	"strings"

	"kubeadm-aws/config"
)

// identityFormat is the text of the settings that a running cluster cannot change, as init.sh keeps it on the host.
const identityFormat = "pods %s services %s domain %s endpoint %s"

// ReadIdentity returns the settings that a control plane was initialised with, read from the command text of its step.
// ok is false for a text that is not of such a step.
func ReadIdentity(command string) (c config.Config, ok bool) {
	env := stepEnv(command)
	var endpoint string
	_, err := fmt.Sscanf(env["IDENTITY"], identityFormat, &c.Network.PodCIDR, &c.Network.ServiceCIDR, &c.Cluster.DNSDomain, &endpoint)
	c.Cluster.KubernetesVersion = env["KUBERNETES_VERSION"]
	return c, err == nil && c.Cluster.KubernetesVersion != ""
}

// ReadNode returns role, labels and taints of a node, read from the command text of the step that sets them.
func ReadNode(command string) config.Node {
	env := stepEnv(command)
	n := config.Node{Name: env["NODE"], Role: env["ROLE"], Labels: map[string]string{}}
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

// stepEnv is the environment in a command text, the reverse of renderCommand.
func stepEnv(command string) map[string]string {
	env := map[string]string{}
	rest, ok := strings.CutPrefix(command, "sudo env ")
	for ok && !strings.HasPrefix(rest, "bash ") {
		var key, value string
		if key, rest, ok = strings.Cut(rest, "="); !ok {
			break
		}
		value, rest, ok = unquote(rest)
		env[key], rest = value, strings.TrimPrefix(rest, " ")
	}
	return env
}

// unquote reads a word that quote wrote.
func unquote(text string) (word, rest string, ok bool) {
	rest, ok = strings.CutPrefix(text, "'")
	for ok {
		var part string
		if part, rest, ok = strings.Cut(rest, "'"); !ok {
			break
		}
		word += part
		if !strings.HasPrefix(rest, `\''`) {
			return word, rest, true
		}
		word, rest = word+"'", rest[len(`\''`):]
	}
	return "", "", false
}
