//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kubeadm-aws/config"
)

// newer is the release that the program installs by default.
var newer = config.DefaultRelease().Version

// TestUpgrade upgrades a running cluster in place. An application answers and the API is asked all the while. The
// driver is killed while the control plane is upgraded, and again while a worker is.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := newStack(t, "e2e-upgrade")
	s.set(t, "cluster", map[string]any{"name": s.name, "kubernetesVersion": older})
	s.set(t, "nodes", []any{
		map[string]any{"name": "master", "role": "control-plane"},
		map[string]any{"name": "worker-1"}, map[string]any{"name": "worker-2"}, map[string]any{"name": "worker-3"},
	})
	s.must(t, "up")
	c := s.cluster(t)
	c.must(t, "cordon", "worker-3")
	deployApplication(t, c, "")
	before := c.kubeconfig
	asked := ask(t, c)
	s.set(t, "cluster", map[string]any{"name": s.name, "kubernetesVersion": newer})
	for _, cut := range []struct{ node, when string }{
		{"master", "pgrep -f '^kubeadm upgrade apply'"},
		// kubeadm itself takes less than a second there.
		{"worker-1", "test -e /var/lib/kubeadm-aws/upgrade.started"},
	} {
		r := s.killedWhen(t, cut.node, cut.when)
		if want := fmt.Sprintf("Kubernetes %s -> %s, in place", older, newer); !strings.Contains(r.messages(), want) {
			t.Errorf("no %q in\n%s", want, r.messages())
		}
	}
	r := s.must(t, "up")
	t.Logf("FIGURE up that ends an upgrade killed twice: %.1f s", r.took.Seconds())
	lost, silence, answered := asked(t)
	t.Logf("FIGURE upgrade: application %d of %d requests lost; API silent for at most %.1f s, %d requests answered",
		lost.application, lost.asked, silence.Seconds(), answered)
	if lost.application > 0 {
		t.Errorf("the application lost %d of %d requests: %s", lost.application, lost.asked, lost.when)
	}
	if answered == 0 {
		t.Error("the API was never asked")
	}
	upgraded(t, c, "node/worker-3")
	if c.kubeconfig = s.output(t, "kubeconfig"); c.kubeconfig != before {
		t.Error("the kubeconfig has changed")
	}
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after that did %v", ops)
	}
}

// killedWhen runs an up and kills the driver as soon as the condition is true on a host.
func (s *stack) killedWhen(t *testing.T, node, when string) result {
	t.Helper()
	var once sync.Once
	var watching sync.WaitGroup
	done, happened := make(chan struct{}), false
	r := s.run(t, "up", func(_ event, p *os.Process) {
		once.Do(func() {
			watching.Go(func() {
				happened = cutWhen(t, s, node, when, done, func() {
					if err := p.Kill(); err != nil {
						t.Error(err)
					}
				})
			})
		})
	})
	close(done)
	watching.Wait()
	if !happened || r.code != -1 {
		t.Fatalf("killed on %s at %s: %v; up ends with %d:\n%s", node, when, happened, r.code, r.messages())
	}
	eventually(t, 10*time.Second, "what the driver had started ends with it", func() error {
		out, err := exec.Command("pgrep", "--full", "--list-full", "docker events.*="+s.name+" ").Output()
		if err != nil || len(out) == 0 { // pgrep fails when it finds nothing
			return nil
		}
		return fmt.Errorf("there are still:\n%s", out)
	})
	return r
}

// upgraded finds the cluster at the new release and every node in the service that it had. cordoned had been before.
func upgraded(t *testing.T, c *cluster, cordoned string) {
	t.Helper()
	eventually(t, 2*time.Minute, "all nodes Ready", func() error { return allReady(t, c, 4) })
	for name, n := range c.nodes(t) {
		if got := n.Status.NodeInfo.KubeletVersion; got != "v"+newer {
			t.Errorf("%s runs %s", name, got)
		}
		if left := n.Metadata.Annotations["kubeadm-aws/upgrade"]; left != "" {
			t.Errorf("%s is left %q", name, left)
		}
	}
	out := c.must(t, "get", "nodes", "--field-selector", "spec.unschedulable=true", "--output", "name")
	if out != cordoned {
		t.Errorf("cordoned are %q; before it was %q", out, cordoned)
	}
	release := config.DefaultRelease()
	images := c.must(t, "--namespace", "kube-system", "get", "pods", "--output",
		"jsonpath={.items[*].spec.containers[*].image}")
	for _, want := range append(release.Images(true)[1:], "registry.k8s.io/kube-proxy:v"+newer) {
		if !strings.Contains(images, want) {
			t.Errorf("no %s among %s", want, images)
		}
	}
	if strings.Contains(images, "v"+older) {
		t.Errorf("something of %s runs still: %s", older, images)
	}
	c.must(t, "--namespace", "kube-system", "rollout", "status", "deployment/coredns", "--timeout", "15s")
}

// application answers over HTTP for as long as CoreDNS runs, and for some seconds after it was asked to end.
const application = `
apiVersion: v1
kind: ConfigMap
metadata: {name: answers}
data:
  Corefile: |
    .:5353 {
      health :8080 {
        lameduck 5s
      }
      ready :8181
      whoami
    }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: answers}
spec: {minAvailable: 1, selector: {matchLabels: {app: answers}}}
---
apiVersion: v1
kind: Service
metadata: {name: answers}
spec: {selector: {app: answers}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: answers}
spec:
  replicas: 2
  selector: {matchLabels: {app: answers}}
  template:
    metadata: {labels: {app: answers}}
    spec:TOLERATIONS
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 100
            podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: answers}}}
      containers:
      - name: answers
        image: IMAGE
        args: [-conf, /etc/coredns/Corefile]
        readinessProbe: {httpGet: {port: 8181, path: /ready}, periodSeconds: 1}
        volumeMounts: [{name: corefile, mountPath: /etc/coredns}]
      volumes: [{name: corefile, configMap: {name: answers}}]
`

// deployApplication starts the application, or gives it other tolerations.
func deployApplication(t *testing.T, c *cluster, tolerations string) {
	t.Helper()
	first := config.Releases[0]
	objects := strings.NewReplacer("IMAGE", "registry.k8s.io/coredns/coredns:"+first.CoreDNS, "TOLERATIONS", tolerations).
		Replace(application)
	c.apply(t, objects)
	c.must(t, "rollout", "status", "deployment/answers", "--timeout", "180s")
}

// losses are the requests to the application.
type losses struct {
	asked, application int
	when               string
}

// ask asks the application and the API ten times a second, on the master: its pods are not drained. The returned
// function ends that and counts.
func ask(t *testing.T, c *cluster) func(*testing.T) (lost losses, silence time.Duration, answered int) {
	t.Helper()
	ip := c.must(t, "get", "service", "answers", "--output", "jsonpath={.spec.clusterIP}")
	var kubeconfig struct {
		Clusters []struct {
			Cluster struct {
				Server string `yaml:"server"`
				CA     string `yaml:"certificate-authority-data"`
			} `yaml:"cluster"`
		} `yaml:"clusters"`
		Users []struct {
			User struct {
				Certificate string `yaml:"client-certificate-data"`
				Key         string `yaml:"client-key-data"`
			} `yaml:"user"`
		} `yaml:"users"`
	}
	if err := yaml.Unmarshal([]byte(c.kubeconfig), &kubeconfig); err != nil {
		t.Fatal(err)
	}
	api, user := kubeconfig.Clusters[0].Cluster, kubeconfig.Users[0].User
	script := "mkdir -p /root/ask\ncd /root/ask\nrm -f stop\n"
	for name, data := range map[string]string{"ca": api.CA, "certificate": user.Certificate, "key": user.Key} {
		if _, err := base64.StdEncoding.DecodeString(data); err != nil {
			t.Fatal(err)
		}
		script += fmt.Sprintf("base64 -d >%s <<<'%s'\n", name, data)
	}
	script += `# The node may learn of the Service a little later than the Deployment is ready.
for i in $(seq 300); do ! curl -s -o /dev/null -m 1 http://` + ip + `/health || break; sleep 0.1; done
cat >loop <<'LOOP'
cd /root/ask
while [ ! -e stop ]; do
  if curl -s -o /dev/null -m 5 http://` + ip + `/health; then echo ok; else echo "lost $(date +%T) by $?"; fi >>application
  sleep 0.1
done &
while [ ! -e stop ]; do
  if [ "$(curl -s -m 2 --cacert ca --cert certificate --key key ` + api.Server + `/api/v1/namespaces/default -o /dev/null -w '%{http_code}')" = 200 ]; then date +%s.%N >>api; fi
  sleep 0.1
done &
wait
touch stopped
LOOP
systemd-run -q --collect --unit ask bash /root/ask/loop
`
	c.on(t, "master", script)
	return func(t *testing.T) (lost losses, silence time.Duration, answered int) {
		t.Helper()
		out := c.on(t, "master", stopLoop("ask")+"cat application; cat api")
		last := 0.0
		for line := range strings.SplitSeq(out, "\n") {
			switch at, err := strconv.ParseFloat(line, 64); {
			case line == "ok":
				lost.asked++
			case strings.HasPrefix(line, "lost"):
				lost.asked++
				lost.application++
				lost.when += strings.TrimPrefix(line, "lost")
			case err != nil:
				t.Fatalf("the loop wrote %q", line)
			default:
				if gap := time.Duration((at - last) * float64(time.Second)); last > 0 && gap > silence {
					silence = gap
				}
				last = at
				answered++
			}
		}
		return lost, silence, answered
	}
}
