//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path"
	"sort"
	"strings"
	"testing"
	"time"
)

// cluster looks at a cluster with the kubeconfig that the stack put out.
type cluster struct {
	stack      *stack
	kubeconfig string
}

func (s *stack) cluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{stack: s, kubeconfig: s.output(t, "kubeconfig")}
}

// kubectl runs kubectl on a host of the stack, with the administrator's kubeconfig of the outputs.
func (c *cluster) kubectl(args ...string) (string, error) {
	all, err := exec.Command("docker", "ps", "--format", "{{.Names}}", "--filter",
		"label=kubeadm-aws.stack="+c.stack.name).Output()
	if err != nil {
		return "", err
	}
	names := strings.Fields(string(all))
	sort.Strings(names)
	if len(names) == 0 {
		return "", fmt.Errorf("stack %s has no hosts", c.stack.name)
	}
	return in(names[0], c.kubeconfig, append([]string{"kubectl", "--kubeconfig", "/dev/stdin", "--request-timeout", "20s"},
		args...)...)
}

func (c *cluster) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.kubectl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// in runs a command in a container.
func in(container, stdin string, command ...string) (string, error) {
	cmd := exec.Command("docker", append([]string{"exec", "--interactive", container}, command...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s in %s: %w: %s", strings.Join(command, " "), container, err,
			strings.TrimSpace(errs.String()+out.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// node is the part of a Node that the tests read.
type node struct {
	Metadata struct {
		Name        string            `json:"name"`
		UID         string            `json:"uid"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		ProviderID    string `json:"providerID"`
		Unschedulable bool   `json:"unschedulable"`
		Taints        []struct{ Key, Value, Effect string }
	} `json:"spec"`
	Status struct {
		Conditions []struct{ Type, Status string }
		NodeInfo   struct {
			KubeletVersion string `json:"kubeletVersion"`
		} `json:"nodeInfo"`
	} `json:"status"`
}

func (n node) ready() bool {
	for _, c := range n.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

// taints are the node's taints as "key=value:effect", sorted.
func (n node) taints() []string {
	var all []string
	for _, t := range n.Spec.Taints {
		all = append(all, t.Key+"="+t.Value+":"+t.Effect)
	}
	sort.Strings(all)
	return all
}

// nodes are the nodes by name.
func (c *cluster) nodes(t *testing.T) map[string]node {
	t.Helper()
	all, err := c.tryNodes()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// tryNodes returns no nodes and an error while the API does not answer.
func (c *cluster) tryNodes() (map[string]node, error) {
	out, err := c.kubectl("get", "nodes", "--output", "json")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []node }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	all := map[string]node{}
	for _, n := range list.Items {
		all[n.Metadata.Name] = n
	}
	return all, nil
}

// container is the host of a node, by the instance in the node's provider id.
func (c *cluster) container(t *testing.T, name string) string {
	t.Helper()
	n, ok := c.nodes(t)[name]
	if !ok {
		t.Fatalf("there is no node %s", name)
	}
	out, err := exec.Command("docker", "ps", "--all", "--format", "{{.Names}}", "--filter",
		"label=kubeadm-aws.instance="+path.Base(n.Spec.ProviderID)).Output()
	if err != nil || strings.TrimSpace(string(out)) == "" {
		t.Fatalf("node %s (%s) has no container: %v", name, n.Spec.ProviderID, err)
	}
	return strings.TrimSpace(string(out))
}

// on runs a script as root on the host of a node.
func (c *cluster) on(t *testing.T, name, script string) string {
	t.Helper()
	out, err := in(c.container(t, name), script, "bash", "-euo", "pipefail", "-s")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tryApply applies objects as the administrator.
func (c *cluster) tryApply(t *testing.T, objects string) error {
	t.Helper()
	_, err := in(c.container(t, "master"), objects, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "apply", "-f", "-")
	return err
}

func (c *cluster) apply(t *testing.T, objects string) {
	t.Helper()
	if err := c.tryApply(t, objects); err != nil {
		t.Fatal(err)
	}
}

// stopLoop returns the script that ends the loop of a systemd unit in the folder /root/<unit>. It fails if the unit
// ended by itself, or is still active after five minutes.
func stopLoop(unit string) string {
	return "cd /root/" + unit + "; touch stop\n" +
		"for i in $(seq 300); do systemctl -q is-active " + unit + " || break; sleep 1; done\n" +
		"[ -e stopped ] || { echo 'the unit " + unit + " did not end its loop'; systemctl status --no-pager " + unit +
		"; exit 1; } >&2\n"
}

// started returns the start times of a host's services. A change means that a service was restarted.
func (c *cluster) started(t *testing.T, name string) string {
	t.Helper()
	return c.container(t, name) + "\n" + c.on(t, name,
		"systemctl show --property ActiveEnterTimestampMonotonic,MainPID kubelet containerd")
}

// eventually waits for a condition that other programs bring about.
func eventually(t *testing.T, within time.Duration, what string, condition func() error) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return time.Since(begun)
		}
		if time.Since(begun) > within {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		<-tick.C
	}
}
