//go:build e2e

package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// askInside asks the API by its name inside and the application from a worker, ten times a second, each time with a
// new connection. A request to the API that fails is repeated. The returned function ends that, and fails the test if a
// request was lost. what is happening meanwhile.
func askInside(t *testing.T, c *cluster, worker, what string) func(*testing.T) {
	t.Helper()
	asked := countInside(t, c, worker)
	return func(t *testing.T) {
		t.Helper()
		a := asked(t, what)
		if a.failed > 0 || a.requests == 0 {
			t.Errorf("%d of %d requests to the API failed after one retry or took more than 5 s", a.failed, a.requests)
		}
		a.applicationAnswered(t)
	}
}

// asked counts the requests to the API and to the application.
type asked struct{ requests, repeated, failed, slowest, answers, lost int }

func (a asked) applicationAnswered(t *testing.T) {
	t.Helper()
	if a.lost > 0 || a.answers == 0 {
		t.Errorf("the application lost %d of %d requests", a.lost, a.answers)
	}
}

// countInside is askInside for a time when requests may be lost.
func countInside(t *testing.T, c *cluster, worker string) func(t *testing.T, what string) asked {
	t.Helper()
	application := c.must(t, "get", "service", "answers", "--output", "jsonpath={.spec.clusterIP}")
	inside := kubeconfigServer.ReplaceAllString(c.kubeconfig, "server: https://api."+c.stack.name+".internal:6443")
	if _, err := in(worker, inside, "bash", "-c", "umask 077; cat >/root/admin.conf"); err != nil {
		t.Fatal(err)
	}
	script := `mkdir -p /root/ask; cd /root/ask; rm -f *
# The node may learn of the Service a little later than the Deployment is ready.
for i in $(seq 300); do ! curl -s -o /dev/null -m 1 http://` + application + `/health || break; sleep 0.1; done
cat >loop <<'LOOP'
cd /root/ask
key=/var/lib/kubelet/pki/kubelet-client-current.pem
while [ ! -e stop ]; do
  if curl -s -o /dev/null -m 5 http://` + application + `/health; then echo ok; else echo "lost $(date +%T) by $?"; fi >>application
  sleep 0.1
done &
while [ ! -e stop ]; do
  begun=$(date +%s%N) tries=1
  until [ "$(curl -s -m 3 --cacert /etc/kubernetes/pki/ca.crt --cert $key --key $key https://api.` + c.stack.name +
		`.internal:6443/api/v1/nodes/worker-1 -o /dev/null -w '%{http_code}')" = 200 ]; do tries=$((tries + 1)); sleep 0.1; done
  echo "$tries $(( ($(date +%s%N) - begun) / 1000000 )) $(date +%T)" >>api
  sleep 0.1
done &
wait
touch stopped
LOOP
systemd-run -q --collect --unit ask bash /root/ask/loop
`
	if _, err := in(worker, script, "bash", "-euo", "pipefail", "-s"); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T, what string) asked {
		t.Helper()
		out, err := in(worker, stopLoop("ask")+"cat application api", "bash", "-s")
		if err != nil {
			t.Fatal(err)
		}
		return countAsked(t, out, what)
	}
}

func countAsked(t *testing.T, out, what string) (a asked) {
	t.Helper()
	for line := range strings.SplitSeq(out, "\n") {
		words := strings.Fields(line)
		switch {
		case line == "ok":
			a.answers++
		case words[0] == "lost":
			a.answers, a.lost = a.answers+1, a.lost+1
			t.Logf("the application: %s", line)
		default:
			tries, err := strconv.Atoi(words[0])
			took, err2 := strconv.Atoi(words[1])
			if err != nil || err2 != nil {
				t.Fatalf("the loop wrote %q", line)
			}
			a.requests++
			a.slowest = max(a.slowest, took)
			if tries > 1 {
				a.repeated++
				t.Logf("the API: %s", line)
			}
			if tries > 2 || took > 5000 {
				a.failed++
			}
		}
	}
	t.Logf("FIGURE three control planes, %s: API %d requests from a worker, %d repeated, %d not answered by the second within "+
		"5 s, slowest %.1f s; application %d of %d requests lost", what, a.requests, a.repeated, a.failed,
		float64(a.slowest)/1000, a.lost, a.answers)
	return a
}
