package verify

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
)

// addonChecks returns a check of each add-on in the catalogue, each followed by the checks of its function.
func addonChecks() []check {
	var all []check
	for _, a := range catalog.Addons {
		own := ownChecks[a.Name]
		if own == nil {
			own = func(ctx context.Context, r *run) finding { return r.addon(ctx, a) }
		}
		all = append(append(all, check{a.Name, own}), followers[a.Name]...)
	}
	return all
}

// ownChecks replace the general check of an add-on.
var ownChecks = map[string]func(context.Context, *run) finding{"calico": calico, "cloud controller": cloudController,
	"interruption handler": interruptionHandler}

// interruptionHandler checks the handler of spot interruptions, which a stack without spot workers does not have.
func interruptionHandler(ctx context.Context, r *run) finding {
	if !slices.ContainsFunc(r.Config.Nodes, func(n config.Node) bool { return n.Spot }) {
		return skipped("no worker is a spot instance")
	}
	return r.release(ctx, "aws-node-termination-handler")
}

// details are the checks of an add-on in addition to the workloads and conditions of its row.
var details = map[string]func(context.Context, *run) finding{
	"metrics-server": nodesMeasured,
	"cert-manager":   issuers,
	"rabbitmq":       rabbitMQ,
	"redis":          redis,
	"postgresql":     postgreSQL,
	"argo cd":        applications,
}

// followers are separate checks that need an add-on. They run after the check of the add-on.
var followers = map[string][]check{
	"ebs csi":                  {{"volume", volumeWrites}},
	"load balancer controller": {{"ingress", ingressAnswers}},
}

// addon checks the workloads and conditions of an add-on's row, then its details.
func (r *run) addon(ctx context.Context, a catalog.Addon) finding {
	if why := r.absent(a.Key); why != "" {
		return skipped("%s", why)
	}
	var parts []func() finding
	for _, release := range a.Workloads {
		parts = append(parts, func() finding { return r.release(ctx, release) })
	}
	for _, c := range a.Conditions {
		parts = append(parts, func() finding { return r.conditions(ctx, c.Path, c.Look, c.Types...) })
	}
	if more := details[a.Name]; more != nil {
		parts = append(parts, func() finding { return more(ctx, r) })
	}
	return all(parts)
}

// all returns the first finding that is not ok, or one with the messages of all.
func all(parts []func() finding) finding {
	var messages []string
	for _, part := range parts {
		f := part()
		if f.status != OK {
			return f
		}
		messages = append(messages, f.message)
	}
	return ok("%s", strings.Join(messages, "; "))
}

// absent returns why the add-on of a key is not installed and not checked. It is empty if the add-on is to be
// checked.
func (r *run) absent(key string) string {
	switch {
	case !r.Config.Addons.ByKey()[key].On():
		return "it is off in the settings"
	case r.Hosts && !r.installed(key):
		return "its charts are not installed on hosts of this machine"
	}
	return ""
}

// installed reports whether all charts of an add-on run for real on hosts.
func (r *run) installed(key string) bool {
	recorded := func(c catalog.Chart) bool { return !slices.Contains(r.Real, c.Release) }
	i := slices.IndexFunc(catalog.Addons, func(a catalog.Addon) bool { return a.Key == key })
	return i >= 0 && !slices.ContainsFunc(catalog.Addons[i].Charts, recorded)
}

// release checks that all workloads of a Helm release exist and are available.
func (r *run) release(ctx context.Context, name string) finding {
	selector := "?labelSelector=" + url.QueryEscape("app.kubernetes.io/instance="+name)
	return r.workloads(ctx, name, selector, "kubectl get deploy,sts,ds -A -l app.kubernetes.io/instance="+name)
}

// workloads checks all Deployments, StatefulSets and DaemonSets that a query finds. There must be at least one.
func (r *run) workloads(ctx context.Context, what, query, look string) finding {
	var faults, fine []string
	for _, kind := range []string{"deployments", "statefulsets", "daemonsets"} {
		var all list[workload]
		if err := r.api.get(ctx, "/apis/apps/v1/"+kind+query, &all); err != nil {
			return broken(look, err)
		}
		for _, w := range all.Items {
			if fault := workloadFault(kind, w); fault != "" {
				faults = append(faults, fmt.Sprintf("%s/%s: %s", w.Metadata.Namespace, w.Metadata.Name, fault))
				continue
			}
			fine = append(fine, w.Metadata.Name)
		}
	}
	slices.Sort(faults)
	switch {
	case len(faults) > 0:
		return failed(look, "%s", join(faults))
	case len(fine) == 0:
		return failed("helm list -A; a refresh, then an up installs it again", "nothing of %s is installed", what)
	}
	slices.Sort(fine)
	return ok("%s", strings.Join(fine, ", "))
}

// workloadFault returns why a workload is not available, or "".
func workloadFault(kind string, w workload) string {
	want, got := w.Status.DesiredNumberScheduled, w.Status.NumberReady
	if kind != "daemonsets" {
		want, got = 1, w.Status.ReadyReplicas
		if w.Spec.Replicas != nil {
			want = *w.Spec.Replicas
		}
	}
	if got < want {
		return fmt.Sprintf("%d of %d ready", got, want)
	}
	return ""
}

// conditions checks that every object of a kind has a condition with status True. There must be at least one object.
func (r *run) conditions(ctx context.Context, path, look string, types ...string) finding {
	var all list[conditioned]
	if err := r.api.get(ctx, path, &all); err != nil {
		return broken(look, err)
	}
	if len(all.Items) == 0 {
		return failed(look, "none exists")
	}
	faults, fine := map[string][]string{}, []string{}
	for _, o := range all.Items {
		fault := ""
		for _, t := range types {
			if c, fulfilled := is(o.Status.Conditions, t, "True"); !fulfilled {
				fault = fmt.Sprintf("%s: %s is %s %s", o.Metadata.Name, t, c.Status, c.Message)
				break
			}
		}
		if fault != "" {
			faults[o.of(path)] = append(faults[o.of(path)], strings.TrimSpace(fault))
			continue
		}
		fine = append(fine, o.Metadata.Name)
	}
	if len(faults) > 0 {
		return failedIn(look, faults)
	}
	return ok("%s", strings.Join(fine, ", "))
}

func apiServices(ctx context.Context, r *run) finding {
	const look = "kubectl get apiservices; kubectl describe apiservice NAME (a dead one blocks the removal of every namespace)"
	return r.conditionsCounted(ctx, "/apis/apiregistration.k8s.io/v1/apiservices", look, "Available")
}

// conditionsCounted is conditions for kinds with many objects: it counts the objects that are fine.
func (r *run) conditionsCounted(ctx context.Context, path, look string, types ...string) finding {
	f := r.conditions(ctx, path, look, types...)
	if f.status == OK {
		n := strings.Count(f.message, ", ") + 1
		f.message = fmt.Sprintf("%d %s", n, strings.ToLower(types[0]))
	}
	return f
}

func calico(ctx context.Context, r *run) finding {
	if r.Config.Cluster.CNI != "calico" {
		return skipped("the settings bring another network (cni: %s)", r.Config.Cluster.CNI)
	}
	if r.Hosts {
		return skipped("a bridge and routes replace it on hosts of this machine")
	}
	return r.conditions(ctx, "/apis/operator.tigera.io/v1/tigerastatuses", "kubectl get tigerastatus; kubectl -n tigera-operator logs deploy/tigera-operator", "Available")
}

func cloudController(ctx context.Context, r *run) finding {
	if r.Hosts {
		return skipped("on hosts of this machine the driver removes its taint")
	}
	return r.workloads(ctx, "the cloud controller manager", "?fieldSelector="+url.QueryEscape("metadata.name=aws-cloud-controller-manager"),
		"kubectl -n kube-system logs ds/aws-cloud-controller-manager")
}

func nodesMeasured(ctx context.Context, r *run) finding {
	var all list[struct{}]
	if err := r.api.get(ctx, "/apis/metrics.k8s.io/v1beta1/nodes", &all); err != nil {
		return broken("kubectl -n kube-system logs deploy/metrics-server", err)
	}
	if len(all.Items) < len(r.Config.Nodes) {
		return failed("kubectl top nodes", "it measures %d of %d nodes", len(all.Items), len(r.Config.Nodes))
	}
	return ok("it measures %d nodes", len(all.Items))
}

func issuers(ctx context.Context, r *run) finding {
	if r.Config.DNS.Domain == "" {
		return ok("no issuer, because there is no domain")
	}
	return r.conditions(ctx, "/apis/cert-manager.io/v1/clusterissuers", "kubectl describe clusterissuer", "Ready")
}
