package rollouttest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const core, apps = "/api/v1/namespaces/apps", "/apis/argoproj.io/v1alpha1/namespaces/apps"

type metadata struct {
	Name, UID         string
	Labels            map[string]string
	Annotations       map[string]string
	DeletionTimestamp string
}

type pod struct {
	Metadata metadata
	Spec     struct {
		NodeName      string
		RestartPolicy string
		Containers    []struct {
			Name, Image string
			Command     []string
		}
	}
	Status struct{ Phase, PodIP string }
}

type slice struct {
	Metadata  metadata
	Endpoints []struct {
		Addresses  []string
		Conditions struct{ Ready bool }
	}
}

// kubelet runs the pods of the node for a moment. A pod of the API is a process of the test. A Job's pod is a real
// process with the command of its container.
func (c *cluster) kubelet() {
	var pods struct{ Items []pod }
	if !c.get(core+"/pods", &pods) {
		return
	}
	for _, p := range pods.Items {
		switch {
		case p.Metadata.DeletionTimestamp != "":
			c.network.end(p.Status.PodIP)
			_ = c.call(http.MethodDelete, core+"/pods/"+p.Metadata.Name, map[string]any{"gracePeriodSeconds": 0}, nil)
		case p.Spec.NodeName == "" || p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed":
		case p.Spec.RestartPolicy == "Never":
			c.job(p)
		default:
			c.service(p)
		}
	}
	var slices struct{ Items []slice }
	if c.get("/apis/discovery.k8s.io/v1/namespaces/apps/endpointslices", &slices) {
		c.network.route(slices.Items)
	}
	var ingress struct{ Metadata metadata }
	if c.get("/apis/networking.k8s.io/v1/namespaces/apps/ingresses/api", &ingress) {
		c.balancer.shift(ingress.Metadata.Annotations["alb.ingress.kubernetes.io/actions.api"])
	}
}

// service starts a pod of the API, and reports whether it is ready.
func (c *cluster) service(p pod) {
	image := p.Spec.Containers[0].Image
	_, digest, _ := strings.Cut(image, "@")
	ip, process := c.network.start(p.Metadata.UID, p.Status.PodIP, digest)
	ready := process.answers().ready
	if p.Status.Phase == "Running" && ready == process.reported {
		return
	}
	isReady := "False"
	if ready {
		isReady = "True"
	}
	now := time.Now().UTC().Format(time.RFC3339)
	conditions := []map[string]any{}
	for kind, value := range map[string]string{"Initialized": "True", "ContainersReady": isReady, "Ready": isReady} {
		conditions = append(conditions, map[string]any{"type": kind, "status": value, "lastTransitionTime": now})
	}
	container := map[string]any{"name": p.Spec.Containers[0].Name, "image": image, "imageID": image, "ready": ready,
		"started": true, "restartCount": 0, "state": map[string]any{"running": map[string]any{"startedAt": now}}}
	err := c.report(p, map[string]any{"phase": "Running", "podIP": ip, "podIPs": []any{map[string]any{"ip": ip}},
		"startTime": now, "conditions": conditions, "containerStatuses": []any{container}})
	if err == nil {
		process.reported = ready
	}
}

// report writes the status of a pod.
func (c *cluster) report(p pod, status map[string]any) error {
	return c.call(http.MethodPatch, core+"/pods/"+p.Metadata.Name+"/status", map[string]any{"status": status}, nil)
}

// jobs are the pods of Jobs that have been started.
var jobs sync.Map

// job runs the command of a Job's pod, and reports how it ended.
func (c *cluster) job(p pod) {
	if _, begun := jobs.LoadOrStore(p.Metadata.UID, true); begun {
		return
	}
	_, digest, _ := strings.Cut(p.Spec.Containers[0].Image, "@")
	c.network.smoke(digest)
	command := p.Spec.Containers[0].Command
	cmd := exec.Command("python3", command[1:]...)
	// The proxy resolves the names of Services.
	cmd.Dir, cmd.Env = "../src", append(os.Environ(), "http_proxy="+c.network.url, "PYTHONDONTWRITEBYTECODE=1")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	report := func(phase string) {
		_ = c.report(p, map[string]any{"phase": phase, "startTime": time.Now().UTC().Format(time.RFC3339)})
	}
	report("Running")
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		if err := cmd.Run(); err != nil {
			c.network.note(fmt.Sprintf("job %s: %v: %s", p.Metadata.Name, err, said.String()))
			report("Failed")
			return
		}
		report("Succeeded")
	}()
}
