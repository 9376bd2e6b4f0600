//go:build e2e

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
)

// TestRotation moves a cluster to another key of service accounts, stage by stage. A pod's token and one that was
// issued before the first stage ask the API ten times a second. After that a key leaks.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := newStack(t, "e2e-rotate")
	s.set(t, "nodes", []any{map[string]any{"name": "master", "role": "control-plane"}, map[string]any{"name": "worker-1"}})
	s.must(t, "up")
	c := s.cluster(t)
	pod := tokenPod(t, c)
	secret := tokenSecret(t, c)
	before := c.must(t, "create", "token", "default", "--duration", "4h")
	asked := askWithTokens(t, c, pod, before)

	rotate := func(n, hours int) result {
		t.Helper()
		s.set(t, "identity", map[string]any{"rotate": n, "rotateHours": hours})
		r := s.must(t, "up")
		t.Logf("FIGURE rotation: to key %d after %d hours, up %.1f s", n, hours, r.took.Seconds())
		return r
	}
	says := func(r result, text string) {
		t.Helper()
		if !strings.Contains(r.messages(), text) {
			t.Errorf("no %q in\n%s", text, r.messages())
		}
	}
	says(rotate(1, 25), "Stage 1 of 3")
	mustAccept(t, c, map[string]string{"from before": before, "of the first stage": c.must(t, "create", "token", "default")})
	early := rotate(1, 25)
	says(early, "It waits: an update after ")
	if ops := early.done(); len(ops) > 0 {
		t.Errorf("an up that comes too early did %v", ops)
	}
	s.later(t)
	says(rotate(1, 25), "Stage 2 of 3")
	signed := c.must(t, "create", "token", "default")
	mustAccept(t, c, map[string]string{"from before": before, "of the second stage": signed})

	// A kubelet that restarts renews the tokens of its pods, as a day does.
	renew(t, c, pod, before)
	s.later(t)
	refused := s.run(t, "up", nil)
	if refused.code == 0 {
		t.Error("the third stage drops the key of a token in a Secret")
	}
	says(refused, "and nothing has been changed: default/"+secret)
	mustAccept(t, c, map[string]string{"from before": before})
	c.must(t, "patch", "secret", secret, "-p", `{"data":{"token":null}}`)
	eventually(t, time.Minute, "the Secret has a token again", func() error {
		text, err := c.kubectl("get", "secret", secret, "-o", "jsonpath={.data.token}")
		if err == nil && text == "" {
			err = errors.New("it has none")
		}
		return err
	})
	asked(t)
	asked = askWithTokens(t, c, pod, signed)
	says(rotate(1, 25), "Stage 3 of 3")
	mustAccept(t, c, map[string]string{"of the second stage": signed})
	refusesToken(t, c, before)
	asked(t)
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after that did %v", ops)
	}
	t.Run("a key that leaked", func(t *testing.T) {
		says(rotate(2, 0), "this update drops key 1")
		refusesToken(t, c, signed)
		renew(t, c, pod, signed)
		mustAccept(t, c, map[string]string{"of the pod": podToken(t, c, pod)})
	})
	s.must(t, "destroy")
	nothingLeft(t, s)
}

// tokenPod starts a pod with a token of its own on the worker, and returns its uid.
func tokenPod(t *testing.T, c *cluster) string {
	t.Helper()
	c.apply(t, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asks", "namespace": "default"}, "spec": {
 "nodeName": "worker-1", "terminationGracePeriodSeconds": 0,
 "containers": [{"name": "asks", "image": "`+config.DefaultRelease().SandboxImage()+`",
  "volumeMounts": [{"name": "token", "mountPath": "/token"}]}],
 "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 86400}}]}}]}}`)
	c.must(t, "wait", "pod/asks", "--for=condition=Ready", "--timeout=120s")
	return c.must(t, "get", "pod", "asks", "-o", "jsonpath={.metadata.uid}")
}

// tokenSecret makes a Secret whose token has no end.
func tokenSecret(t *testing.T, c *cluster) string {
	t.Helper()
	c.apply(t, `{"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": {"name": "ci",
 "namespace": "default", "annotations": {"kubernetes.io/service-account.name": "default"}}}`)
	return "ci"
}

func tokenFile(pod string) string {
	return "/var/lib/kubelet/pods/" + pod + "/volumes/kubernetes.io~projected/token/token"
}

func podToken(t *testing.T, c *cluster, pod string) string {
	t.Helper()
	return c.on(t, "worker-1", "cat "+tokenFile(pod))
}

// status asks the API for what every account may read, and returns the status of the answer.
func status(t *testing.T, c *cluster, token string) string {
	t.Helper()
	out, err := in(c.container(t, "worker-1"), `header = "Authorization: Bearer `+token+`"`, "curl", "-s", "-m", "10", "-K", "-",
		"--cacert", "/etc/kubernetes/pki/ca.crt", "-o", "/dev/null", "-w", "%{http_code}",
		"https://api."+c.stack.name+".internal:6443/apis")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustAccept(t *testing.T, c *cluster, tokens map[string]string) {
	t.Helper()
	for name, token := range tokens {
		if got := status(t, c, token); got != "200" {
			t.Errorf("the token %s gets %s", name, got)
		}
	}
}

func refusesToken(t *testing.T, c *cluster, token string) {
	t.Helper()
	// An API server remembers a token that it accepted for ten seconds.
	eventually(t, time.Minute, "a token of the key that was dropped is refused", func() error {
		if got := status(t, c, token); got != "401" {
			return errors.New(got)
		}
		return nil
	})
}

// renew restarts the kubelet of the worker, and waits until the pod has a token of another key than that of a token.
// The pod goes on.
func renew(t *testing.T, c *cluster, pod, former string) {
	t.Helper()
	key := func(token string) string { return strings.Split(token, ".")[0] }
	c.on(t, "worker-1", "systemctl restart kubelet")
	took := eventually(t, 4*time.Minute, "the pod has a token of the new key", func() error {
		if key(podToken(t, c, pod)) == key(former) {
			return errors.New("it has one of the former key")
		}
		return nil
	})
	t.Logf("FIGURE rotation: the pod has a new token %.0f s after its kubelet restarted", took.Seconds())
	if got := c.must(t, "get", "pod", "asks", "-o",
		"jsonpath={.metadata.uid} {.status.containerStatuses[0].restartCount}"); got != pod+" 0" {
		t.Errorf("the pod %s is now %s", pod, got)
	}
}

var stageTime = regexp.MustCompile(`(signing with [0-9]+ since )([0-9TZ:-]+)`)

// later lets the last stage be a day and two hours older, in the state.
func (s *stack) later(t *testing.T) {
	t.Helper()
	file := filepath.Join(s.simulation(), "state", ".pulumi", "stacks", "kubeadm-aws", s.name+".json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := stageTime.FindSubmatch(text)
	if found == nil {
		t.Fatal("the state has no time of a stage")
	}
	since, err := time.Parse(time.RFC3339, string(found[2]))
	if err != nil {
		t.Fatal(err)
	}
	text = stageTime.ReplaceAll(text, []byte("${1}"+since.Add(-26*time.Hour).Format(time.RFC3339)))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// askWithTokens asks the API from the worker with the token of a pod and with another one, ten times a second, until
// the returned function counts the answers. None may be 401. The only API server does not answer while it restarts, and
// may answer 403 just after that, because it knows no permissions yet.
func askWithTokens(t *testing.T, c *cluster, pod, token string) func(*testing.T) {
	t.Helper()
	worker := c.container(t, "worker-1")
	script := `rm -rf /root/tokens; mkdir -p /root/tokens; cd /root/tokens
(umask 077; cat >other <<<'` + token + `')
cat >loop <<'LOOP'
cd /root/tokens
while [ ! -e stop ]; do
  for file in other ` + tokenFile(pod) + `; do
    printf 'header = "Authorization: Bearer %s"\n' "$(cat "$file")" | curl -s -m 5 -K - --cacert /etc/kubernetes/pki/ca.crt \
      -o /dev/null -w "%{http_code}\n" https://api.` + c.stack.name + `.internal:6443/apis >>codes
  done
  sleep 0.1
done
touch stopped
LOOP
systemd-run -q --collect --unit tokens bash /root/tokens/loop
`
	if _, err := in(worker, script, "bash", "-euo", "pipefail", "-s"); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) {
		t.Helper()
		out, err := in(worker, stopLoop("tokens")+"cat codes", "bash", "-s")
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		for code := range strings.FieldsSeq(out) {
			counts[code]++
		}
		t.Logf("FIGURE rotation: answers by status, 000 is a restart of the API server: %v", counts)
		if counts["200"] == 0 || counts["401"] > 0 {
			t.Errorf("a token was refused %d times, and accepted %d times", counts["401"], counts["200"])
		}
	}
}
