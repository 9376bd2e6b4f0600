//go:build e2e

package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// TestPlatform brings up a dev stack with the add-ons whose images the mirror has, uses them as a client, and destroys
// it. Pulumi's own provider and its Helm install the charts. `make e2e-platform` runs it.
func TestPlatform(t *testing.T) {
	if os.Getenv("ADDONS") != "real" {
		t.Skip("make e2e-platform runs this")
	}
	s := newStack(t, "e2e-platform")
	up := s.must(t, "up")
	reportUp(t, up)
	for _, e := range up.events {
		if e.Kind == "settings" {
			t.Logf("FIGURE platform: %s", e.Message)
		}
	}
	c := s.cluster(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *stack, *cluster)
	}{
		{"verify finds what runs", platformVerified},
		{"up again and a refresh change nothing", platformUnchanged},
		{"a client of RabbitMQ publishes and receives", rabbitMQClient},
		{"a message survives its server", rabbitMQPodKilled},
		{"a message survives the drain of its node", rabbitMQNodeDrained},
		{"the password of the settings is the one that works", rabbitMQPassword},
		{"destroy leaves nothing", destroyed},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, s, c) }) && os.Getenv("E2E_GO_ON") == "" {
			t.FailNow()
		}
	}
}

// platformVerified expects a check of every add-on that runs for real, and none that failed.
func platformVerified(t *testing.T, s *stack, _ *cluster) {
	r := s.must(t, "verify", "--wait", "2m")
	checked := map[string]string{}
	for _, e := range r.events {
		if e.Kind == "check" {
			checked[e.Check] = e.Status
			t.Logf("verify: %-26s %-8s %s", e.Check, e.Status, e.Message)
		}
	}
	for _, name := range []string{"rabbitmq", "metrics-server", "volume"} {
		if checked[name] != "ok" {
			t.Errorf("%s is %q", name, checked[name])
		}
	}
	t.Logf("FIGURE verify: %.1f s", r.took.Seconds())
}

func platformUnchanged(t *testing.T, s *stack, _ *cluster) {
	for _, command := range []string{"up", "refresh", "up"} {
		r := s.must(t, command)
		if ops := r.done(); len(ops) > 0 {
			t.Errorf("%s did %v\n%s", command, ops, r.messages())
		}
		t.Logf("FIGURE %s without changes: %.1f s", command, r.took.Seconds())
	}
}

// rabbitMQ connects to the server as a program outside of the cluster would, through a port of the nodes.
func rabbitMQ(t *testing.T, c *cluster) *amqp.Channel {
	t.Helper()
	address := rabbitMQAddress(t, c, c.secret(t, "rabbitmq-credentials", "password"))
	var channel *amqp.Channel
	eventually(t, 3*time.Minute, "a connection to RabbitMQ", func() error {
		connection, err := amqp.Dial(address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = connection.Close() })
		channel, err = connection.Channel()
		return err
	})
	return channel
}

func rabbitMQAddress(t *testing.T, c *cluster, password string) string {
	t.Helper()
	c.on(t, "master", `kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f - <<'Y'
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "from-outside", "namespace": "data"}, "spec": {
 "type": "NodePort", "selector": {"app.kubernetes.io/name": "rabbitmq"}, "ports": [{"port": 5672}]}}
Y`)
	node := c.must(t, "get", "node", "worker-1", "--output",
		`jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`)
	port := c.must(t, "--namespace", "data", "get", "service", "from-outside", "--output",
		"jsonpath={.spec.ports[0].nodePort}")
	return fmt.Sprintf("amqp://%s:%s@%s:%s/", c.secret(t, "rabbitmq-credentials", "username"), password, node, port)
}

// secret reads a value of a Secret in the namespace of the data services.
func (c *cluster) secret(t *testing.T, name, key string) string {
	t.Helper()
	encoded := c.must(t, "--namespace", "data", "get", "secret", name, "--output", "jsonpath={.data."+key+"}")
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const orders = "orders"

// publish sends a message to a durable queue and returns when the server has it on its disk.
func publish(t *testing.T, channel *amqp.Channel, text string) {
	t.Helper()
	if err := channel.Confirm(false); err != nil {
		t.Fatal(err)
	}
	if _, err := channel.QueueDeclare(orders, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	confirmation, err := channel.PublishWithDeferredConfirm("", orders, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if confirmed, err := confirmation.WaitContext(t.Context()); err != nil || !confirmed {
		t.Fatalf("%q is not confirmed: %v", text, err)
	}
}

// received is the next message of the queue.
func received(t *testing.T, channel *amqp.Channel) string {
	t.Helper()
	message, found, err := channel.Get(orders, true)
	if err != nil || !found {
		t.Fatalf("no message: %v", err)
	}
	return string(message.Body)
}

func rabbitMQClient(t *testing.T, _ *stack, c *cluster) {
	channel := rabbitMQ(t, c)
	publish(t, channel, "hello")
	if got := received(t, channel); got != "hello" {
		t.Errorf("received %q", got)
	}
	refusedLogin(t, rabbitMQAddress(t, c, "wrong"))
}

// refusedLogin expects RabbitMQ to answer and to refuse the password of an address.
func refusedLogin(t *testing.T, address string) {
	t.Helper()
	connection, err := amqp.Dial(address)
	if err == nil {
		_ = connection.Close()
		t.Error("RabbitMQ accepts another password than that of the settings")
		return
	}
	if refused := (*amqp.Error)(nil); !errors.As(err, &refused) || refused.Code != amqp.AccessRefused {
		t.Errorf("login with another password: %v, want access refused", err)
	}
}

const rabbitMQPod = "rabbitmq-server-0"

// rabbitMQUID is the uid of the server's pod, which is another one after it was killed.
func rabbitMQUID(t *testing.T, c *cluster) string {
	t.Helper()
	return c.must(t, "--namespace", "data", "get", "pod", rabbitMQPod, "--output", "jsonpath={.metadata.uid}")
}

// anotherPodReady waits for a ready pod of the server that is not the one before.
func anotherPodReady(t *testing.T, c *cluster, before string) time.Duration {
	t.Helper()
	return eventually(t, 5*time.Minute, "another pod of RabbitMQ is ready", func() error {
		out, err := c.kubectl("--namespace", "data", "get", "pod", rabbitMQPod, "--output",
			`jsonpath={.metadata.uid} {.status.conditions[?(@.type=="Ready")].status}`)
		if err != nil {
			return err
		}
		if uid, ready, _ := strings.Cut(out, " "); uid == before || ready != "True" {
			return fmt.Errorf("the pod is %q, before it was %q", out, before)
		}
		return nil
	})
}

func rabbitMQPodKilled(t *testing.T, _ *stack, c *cluster) {
	publish(t, rabbitMQ(t, c), "survives")
	before := rabbitMQUID(t, c)
	c.must(t, "--namespace", "data", "delete", "pod", rabbitMQPod, "--grace-period", "0", "--force", "--wait=false")
	t.Logf("FIGURE RabbitMQ: ready %.1f s after its pod was killed", anotherPodReady(t, c, before).Seconds())
	if got := received(t, rabbitMQ(t, c)); got != "survives" {
		t.Errorf("received %q", got)
	}
}

func rabbitMQNodeDrained(t *testing.T, _ *stack, c *cluster) {
	publish(t, rabbitMQ(t, c), "drained")
	before := rabbitMQUID(t, c)
	begun := time.Now()
	c.must(t, "drain", "storage", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout", "180s")
	t.Logf("FIGURE RabbitMQ: its node is drained in %.1f s", time.Since(begun).Seconds())
	c.must(t, "uncordon", "storage")
	anotherPodReady(t, c, before)
	if got := received(t, rabbitMQ(t, c)); got != "drained" {
		t.Errorf("received %q", got)
	}
}

// rabbitMQPassword sets the password in the settings. A run on hosts replaces the encrypted value by its own text.
func rabbitMQPassword(t *testing.T, s *stack, c *cluster) {
	before := c.secret(t, "rabbitmq-credentials", "password")
	s.set(t, "rabbitmqPassword", map[string]any{"secure": "v1:encrypted"})
	s.must(t, "up")
	after := c.secret(t, "rabbitmq-credentials", "password")
	if after == before || after != s.output(t, "rabbitmqPassword") {
		t.Error("the password of the settings is not the one in the cluster")
	}
	rabbitMQ(t, c)
	refusedLogin(t, rabbitMQAddress(t, c, before))
	s.must(t, "verify")
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("up after the change did %v", ops)
	}
}
