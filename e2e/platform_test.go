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
	// The database's backups need AWS: temporary keys of its role.
	s.addon(t, "postgresql", map[string]any{
		"enabled": true, "storageGiB": 2, "backup": map[string]any{"enabled": false},
	})
	d := deliver(t, s)
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
		{"Argo CD takes the password of the stack", argoCDLogin},
		{"Argo CD deploys the application", applicationDeployed},
		{"verify finds what runs", platformVerified},
		{"up again and a refresh change nothing", platformUnchanged},
		{"a commit is rolled out", d.rolledOut},
		{"a change by hand is undone", d.undone},
		{"Git may not create a ClusterRole", d.refused},
		{"what Git deletes is pruned", d.pruned},
		{"a client of Redis writes and reads", redisClient},
		{"a client of PostgreSQL writes and reads", postgreSQLClient},
		{"a client of RabbitMQ publishes and receives", rabbitMQClient},
		{"a message survives its server", rabbitMQPodKilled},
		{"a message survives the drain of its node", rabbitMQNodeDrained},
		{"the passwords of the settings are those that work", passwords},
		{"cert-manager issues certificates", certificatesIssued},
		{"Prometheus reads every target", everyMonitorHasTargets},
		{"no alert fires on a healthy stack", onlyTheWatchdogFires},
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
	for _, name := range []string{
		"rabbitmq", "redis", "postgresql", "argo cd", "argo rollouts", "monitoring", "metrics-server", "volume",
	} {
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
	address := c.outside(t, "app.kubernetes.io/name", "rabbitmq", 5672)
	return fmt.Sprintf("amqp://%s:%s@%s/", c.secret(t, "rabbitmq-credentials", "username"), password, address)
}

// outside opens a port of the nodes to the data services' pods with a label, and returns its address. Services are made
// once for each port.
func (c *cluster) outside(t *testing.T, label, value string, port int) string {
	t.Helper()
	name := fmt.Sprintf("outside-%d", port)
	c.apply(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "%s", "namespace": "data"}, "spec": {
 "type": "NodePort", "selector": {"%s": "%s"}, "ports": [{"port": %d}]}}`, name, label, value, port))
	node := c.must(t, "get", "node", "worker-1", "--output",
		`jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`)
	open := c.must(t, "--namespace", "data", "get", "service", name, "--output", "jsonpath={.spec.ports[0].nodePort}")
	return node + ":" + open
}

// secret reads a value of a Secret in the namespace of the data services.
func (c *cluster) secret(t *testing.T, name, key string) string {
	t.Helper()
	return c.secretOf(t, "data", name, key)
}

// secretOf reads a value of a Secret.
func (c *cluster) secretOf(t *testing.T, namespace, name, key string) string {
	t.Helper()
	encoded := c.must(t, "--namespace", namespace, "get", "secret", name, "--output",
		"jsonpath={.data."+strings.ReplaceAll(key, ".", `\.`)+"}")
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
	mustRefuse(t, c, "rabbitmq", "wrong")
}

func rabbitMQLogin(t *testing.T, c *cluster, password string) error {
	connection, err := amqp.Dial(rabbitMQAddress(t, c, password))
	if err != nil {
		return err
	}
	return connection.Close()
}

func rabbitMQRefused(err error) bool {
	refused := (*amqp.Error)(nil)
	return errors.As(err, &refused) && refused.Code == amqp.AccessRefused
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

// service is a data service with a password.
type service struct {
	name, secret, key string
	// login returns an error that refused describes when the password is wrong.
	login   func(*testing.T, *cluster, string) error
	refused func(error) bool
}

func services() []service {
	return []service{
		{"rabbitmq", "rabbitmq-credentials", "password", rabbitMQLogin, rabbitMQRefused},
		{"redis", "valkey-users", "default", redisLogin, redisRefused},
		{"postgresql", "postgresql-app", "password", postgreSQLLogin, postgreSQLRefused},
	}
}

// passwords sets all passwords in the settings at once. A run on hosts replaces the encrypted values by texts of its
// own.
func passwords(t *testing.T, s *stack, c *cluster) {
	before := map[string]string{}
	for _, x := range services() {
		before[x.name] = c.secret(t, x.secret, x.key)
		s.set(t, x.name+"Password", map[string]any{"secure": "v1:encrypted"})
	}
	s.must(t, "up")
	for _, x := range services() {
		after := c.secret(t, x.secret, x.key)
		if after == before[x.name] || after != s.output(t, x.name+"Password") {
			t.Errorf("the password of %s in the settings is not the one in the cluster", x.name)
		}
		eventually(t, time.Minute, "a login at "+x.name, func() error { return x.login(t, c, after) })
		mustRefuse(t, c, x.name, before[x.name])
	}
	restartApplication(t, c)
	s.must(t, "verify", "--wait", "3m")
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("up after the change did %v", ops)
	}
}

// mustRefuse expects a service to answer and to refuse a password.
func mustRefuse(t *testing.T, c *cluster, name, password string) {
	t.Helper()
	for _, x := range services() {
		if x.name != name {
			continue
		}
		if err := x.login(t, c, password); err == nil {
			t.Errorf("%s accepts another password than that of the settings", name)
		} else if !x.refused(err) {
			t.Errorf("%s: login with another password: %v, want that it is refused", name, err)
		}
	}
}
