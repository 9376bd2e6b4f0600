package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

const lookAtPods = "kubectl -n %s describe pod %s; kubectl -n %s logs %s --all-containers"

func systemPods(ctx context.Context, r *run) finding {
	return r.pods(ctx, "/api/v1/namespaces/kube-system/pods", func(p pod) bool { return true })
}

func otherPods(ctx context.Context, r *run) finding {
	return r.pods(ctx, "/api/v1/pods", func(p pod) bool { return p.Metadata.Namespace != "kube-system" })
}

// pods checks for pods that do not run.
func (r *run) pods(ctx context.Context, path string, belongs func(pod) bool) finding {
	var all list[pod]
	if err := r.api.get(ctx, path, &all); err != nil {
		return broken("kubectl get pods -A", err)
	}
	faults := map[string][]string{}
	look, running := "", 0
	for _, p := range all.Items {
		if !belongs(p) || p.Metadata.DeletionTimestamp != nil || p.Metadata.Labels[scratchLabel] != "" || replaced(p) {
			continue
		}
		if fault := podFault(p); fault != "" {
			ns, name := p.Metadata.Namespace, p.Metadata.Name
			faults[ns] = append(faults[ns], ns+"/"+name+": "+fault)
			if look == "" {
				look = fmt.Sprintf(lookAtPods, ns, name, ns, name)
			}
			continue
		}
		running++
	}
	if len(faults) > 0 {
		return failedIn(look, faults)
	}
	return ok("%d %s", running, plural(running, "pod runs", "pods run"))
}

// replaced reports whether a pod has failed and its controller has created another, which is checked instead.
// Kubernetes keeps such pods, for instance after a node was shut down or ran out of memory.
func replaced(p pod) bool {
	return p.Status.Phase == "Failed" && slices.ContainsFunc(p.Metadata.OwnerReferences, func(o owner) bool {
		return o.Controller && o.Kind != "Node"
	})
}

// podFault returns why a pod is not healthy, or "".
func podFault(p pod) string {
	switch p.Status.Phase {
	case "Succeeded":
		return ""
	case "Failed":
		return strings.TrimSpace("failed " + p.Status.Reason)
	}
	for _, c := range append(slices.Clone(p.Status.InitStatuses), p.Status.ContainerStatuses...) {
		if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return fmt.Sprintf("container %s: %s (%d restarts) %s", c.Name, w.Reason, c.RestartCount, w.Message)
		}
	}
	if c, scheduled := is(p.Status.Conditions, "PodScheduled", "True"); !scheduled && c.Status != "missing" {
		return "not scheduled: " + c.Message
	}
	if c, ready := is(p.Status.Conditions, "Ready", "True"); !ready {
		return strings.TrimSpace("not ready: " + c.Message)
	}
	return ""
}
