package verify

import (
	"context"
	_ "embed"
	"fmt"
	"net/url"
	"strings"
	"time"

	"kubeadm-aws/cluster/kubeapi"
)

// The clients run in the image of the server that they talk to, which has what they need and is on the node already.
var (
	//go:embed clients/rabbitmq.sh
	rabbitMQClient string
	//go:embed clients/redis.sh
	redisClient string
	//go:embed clients/postgresql.sh
	postgreSQLClient string
)

// dataNamespace is the namespace of the data services.
const dataNamespace = "data"

// client is a pod that uses a data service once.
type client struct {
	name, shell, script string
	// server selects the pods whose image is used; container is the container in them that has it.
	server, container string
	// plain and secret are environment variables; a secret is "<Secret>/<key>".
	plain, secret map[string]string
}

func rabbitMQ(ctx context.Context, r *run) finding {
	return client{
		name: "rabbitmq", shell: "bash", script: rabbitMQClient,
		server: "app.kubernetes.io/name=rabbitmq", container: "rabbitmq",
		plain:  map[string]string{"HOST": "rabbitmq.data.svc"},
		secret: map[string]string{"USERNAME": "rabbitmq-credentials/username", "PASSWORD": "rabbitmq-credentials/password"},
	}.use(ctx, r)
}

func redis(ctx context.Context, r *run) finding {
	return client{
		name: "redis", shell: "sh", script: redisClient,
		server: "app.kubernetes.io/instance=valkey", container: "valkey",
		plain:  map[string]string{"HOST": "valkey.data.svc"},
		secret: map[string]string{"REDISCLI_AUTH": "valkey-users/default"},
	}.use(ctx, r)
}

func postgreSQL(ctx context.Context, r *run) finding {
	return client{
		name: "postgresql", shell: "sh", script: postgreSQLClient,
		server: "cnpg.io/cluster=postgresql", container: "postgres",
		plain:  map[string]string{"PGHOST": "postgresql-rw.data.svc", "PGDATABASE": "app"},
		secret: map[string]string{"PGUSER": "postgresql-app/username", "PGPASSWORD": "postgresql-app/password"},
	}.use(ctx, r)
}

// use runs the client in a pod on the server's node, which has the image, and returns its finding.
func (c client) use(ctx context.Context, r *run) finding {
	pods := "/api/v1/namespaces/" + dataNamespace + "/pods"
	look := "kubectl -n data get pods -l " + c.server + "; kubectl -n data logs -l " + c.server + " --all-containers"
	image, nodeName, err := c.onServer(ctx, r)
	if err != nil {
		return broken(look, err)
	}
	if image == "" {
		return failed(look, "no pod %s runs", c.server)
	}
	r.tries++
	// Each try has its own name, because the pod of the previous try may still be terminating.
	name := fmt.Sprintf("%s%s-%s-%d", scratchPrefix, c.name, r.id, r.tries)
	spec := onNode(nodeName)
	spec["restartPolicy"], spec["activeDeadlineSeconds"] = "Never", 60
	defer r.later(ctx, func(ctx context.Context) { _ = r.api.remove(ctx, pods+"/"+name) })()
	err = r.api.create(ctx, pods, probe(name, object{
		"name": "client", "image": image, "command": []string{c.shell, "-c", c.script}, "env": c.environment(),
		"resources":       object{"requests": object{"cpu": "5m", "memory": "16Mi"}},
		"securityContext": admitted(),
	}, spec))
	if err != nil {
		return broken(look, err)
	}
	return c.result(ctx, r, pods+"/"+name, look)
}

// onServer returns the image of a running pod of the server, and its node.
func (c client) onServer(ctx context.Context, r *run) (image, nodeName string, err error) {
	var servers list[pod]
	path := "/api/v1/namespaces/" + dataNamespace + "/pods?labelSelector=" + url.QueryEscape(c.server)
	if err := r.api.get(ctx, path, &servers); err != nil {
		return "", "", err
	}
	for _, p := range servers.Items {
		for _, container := range p.Spec.Containers {
			if container.Name == c.container && p.Status.Phase == "Running" && p.Metadata.DeletionTimestamp == nil {
				return container.Image, p.Spec.NodeName, nil
			}
		}
	}
	return "", "", nil
}

// result waits for the end of the client's pod at path and converts it to a finding.
func (c client) result(ctx context.Context, r *run, path, look string) finding {
	deadline := r.Now().Add(patience)
	for {
		var p pod
		if err := r.api.get(ctx, path, &p); err != nil {
			return broken(look, err)
		}
		switch p.Status.Phase {
		case "Succeeded", "Failed":
			said, err := r.api.Raw(ctx, kubeapi.Get, path+"/log?container=client&tailLines=5", nil)
			if err != nil {
				said = []byte(err.Error())
			}
			text := strings.ReplaceAll(strings.TrimSpace(string(said)), "\n", " ")
			if p.Status.Phase == "Failed" {
				return failed(look, "a client fails: %s %s", text, p.Status.Reason)
			}
			return ok("%s", text)
		}
		if !r.Now().Before(deadline) {
			return failed(look, "a client does not start: %s", podFault(p))
		}
		if err := r.pause(ctx, time.Second); err != nil {
			return broken(look, err)
		}
	}
}

// environment lists the variables; the order does not matter to a pod that is made once.
func (c client) environment() []object {
	var env []object
	for name, value := range c.plain {
		env = append(env, object{"name": name, "value": value})
	}
	for name, from := range c.secret {
		secret, key, _ := strings.Cut(from, "/")
		env = append(env, object{"name": name, "valueFrom": object{"secretKeyRef": object{"name": secret, "key": key}}})
	}
	return env
}
