package verify

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/config"
)

// mostNodes limits how many nodes get a pod of the DNS check: enough to find a network that is partly broken.
const mostNodes = 10

// resolverName is the name of the container of the DNS check, and of its configuration.
const resolverName = "resolver"

// podsResolve starts a pod on each node that forwards DNS over HTTP to the cluster's DNS Service. Through the API, it
// asks each pod for the address of the API's Service. For each node this shows that pods start, the API server
// reaches them, they reach Services, and the DNS answers correctly. The image is CoreDNS's own, which every node can
// get.
func podsResolve(ctx context.Context, r *run) finding {
	const look = "kubectl -n kube-system logs deploy/coredns; kubectl -n kube-system get ds/kube-proxy; kubectl get " +
		"tigerastatus"
	nodes, err := r.nodes(ctx)
	if err != nil {
		return broken(look, err)
	}
	if len(nodes) > mostNodes {
		nodes = nodes[:mostNodes]
	}
	image, err := r.image(ctx, "k8s-app=kube-dns", "coredns")
	if err != nil {
		return broken("kubectl -n kube-system get pods -l k8s-app=kube-dns", err)
	}
	var dns, api service
	if err := r.api.get(ctx, "/api/v1/namespaces/kube-system/services/kube-dns", &dns); err != nil {
		return broken(look, err)
	}
	if err := r.api.get(ctx, "/api/v1/namespaces/default/services/kubernetes", &api); err != nil {
		return broken(look, err)
	}
	// A pod on a node that is not Ready never starts; waiting for it would hide the reason, which the check "nodes" names.
	var down []string
	nodes = slices.DeleteFunc(nodes, func(n node) bool {
		_, ready := is(n.Status.Conditions, "Ready", "True")
		if !ready {
			down = append(down, n.Metadata.Name)
		}
		return !ready
	})
	space, err := r.scratch(ctx, "dns")
	if err != nil {
		return broken(look, err)
	}
	defer space.remove()
	resolvers := resolvers{space}
	if err := resolvers.start(ctx, image, dns.Spec.ClusterIP, nodes); err != nil {
		return broken(look, err)
	}
	name := "kubernetes.default.svc." + r.Config.Cluster.DNSDomain + "."
	var faults []string
	deadline := r.Now().Add(patience) // one for all, because they start at the same time
	for _, n := range nodes {
		if fault := resolvers.resolve(ctx, "on-"+n.Metadata.Name, name, api.Spec.ClusterIP, deadline); fault != "" {
			faults = append(faults, n.Metadata.Name+": "+fault)
		}
	}
	if len(down) > 0 {
		faults = append(faults, "not asked, because the node is not Ready: "+strings.Join(down, ", "))
	}
	if len(faults) > 0 {
		return failed(look, "%s", join(faults))
	}
	return ok("a pod on each of %d nodes resolves %s to %s", len(nodes), name[:len(name)-1], api.Spec.ClusterIP)
}

// dnsSpread checks on which nodes CoreDNS runs, as cluster/dns.go places it. No node has every pod, and with two
// workers or more the control plane has none.
func dnsSpread(ctx context.Context, r *run) finding {
	const look = "kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide; an up sets the placement again, unless " +
		"the Deployment is not kubeadm's"
	var pods list[pod]
	if err := r.api.get(ctx, "/api/v1/namespaces/kube-system/pods", &pods); err != nil {
		return broken(look, err)
	}
	var on []string
	for _, p := range pods.Items {
		_, ready := is(p.Status.Conditions, "Ready", "True")
		if p.Metadata.Labels["k8s-app"] == "kube-dns" && p.Metadata.DeletionTimestamp == nil && ready {
			on = append(on, p.Spec.NodeName)
		}
	}
	slices.Sort(on)
	planes := config.ControlPlanes(r.Config.Nodes)
	workers, control := len(r.Config.Nodes)-len(planes), planes[0].Name
	for _, n := range planes {
		if slices.Contains(on, n.Name) {
			control = n.Name
		}
	}
	switch {
	case len(on) == 0:
		return failed(look, "no pod of CoreDNS is ready")
	case len(r.Config.Nodes) == 1:
		return ok("CoreDNS runs on %s, the only node", control)
	case len(slices.Compact(slices.Clone(on))) == 1:
		return failed(look, "every pod of CoreDNS that is ready runs on %s: without that node no pod resolves a name", on[0])
	case workers > 1 && slices.Contains(on, control):
		return failed(look,
			"CoreDNS runs on the control plane %s: when it is lost, a part of all queries goes there and gets no answer",
			control)
	}
	return ok("CoreDNS runs on %s", join(on))
}

type service struct {
	Spec struct {
		ClusterIP string `json:"clusterIP"`
	} `json:"spec"`
}

// resolvers are the pods of the DNS check, one on each node.
type resolvers struct{ scratch }

func (r resolvers) start(ctx context.Context, image, upstream string, nodes []node) error {
	// Without a tls block CoreDNS serves DNS over plain HTTP, which the API's proxy can use.
	corefile := fmt.Sprintf("https://.:8053 {\n  forward . %s\n}\n", upstream)
	err := r.api.create(ctx, "/api/v1/namespaces/"+r.namespace+"/configmaps", object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": resolverName},
		"data": object{"Corefile": corefile},
	})
	if err != nil {
		return err
	}
	for _, n := range nodes {
		spec := onNode(n.Metadata.Name)
		spec["volumes"] = []object{{"name": "config", "configMap": object{"name": resolverName}}}
		err := r.api.create(ctx, "/api/v1/namespaces/"+r.namespace+"/pods", probe("on-"+n.Metadata.Name, object{
			"name": resolverName, "image": image, "args": []string{"-conf", "/etc/coredns/Corefile"},
			"ports":          []object{{"containerPort": 8053}},
			"readinessProbe": object{"tcpSocket": object{"port": 8053}, "periodSeconds": 1},
			"resources":      object{"requests": object{"cpu": "5m", "memory": "20Mi"}},
			"volumeMounts":   []object{{"name": "config", "mountPath": "/etc/coredns"}},
			// The file of CoreDNS has this capability, so it does not even start without it.
			"securityContext": admitted("NET_BIND_SERVICE"),
		}, spec))
		if err != nil {
			return err
		}
	}
	return nil
}

// resolve asks one of the pods for the address of a name. It returns what is wrong with the answer, or "".
func (r resolvers) resolve(ctx context.Context, podName, name, want string, deadline time.Time) string {
	if fault, err := r.podReady(ctx, podName, deadline); err != nil {
		return err.Error()
	} else if fault != "" {
		return "the pod does not start: " + fault
	}
	question, err := dnsQuestion(name)
	if err != nil {
		return err.Error()
	}
	path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:8053/proxy/dns-query?dns=%s", r.namespace, podName,
		base64.RawURLEncoding.EncodeToString(question))
	answer, err := r.api.Raw(ctx, kubeapi.Get, path, nil)
	if err != nil {
		return err.Error()
	}
	got, err := dnsAddresses(answer)
	switch {
	case err != nil:
		return err.Error()
	case len(got) != 1 || got[0].String() != want:
		return fmt.Sprintf("%s resolves to %v, expected %s", name, got, want)
	}
	return ""
}

func dnsQuestion(name string) ([]byte, error) {
	n, err := dnsmessage.NewName(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	return m.Pack()
}

func dnsAddresses(answer []byte) ([]netip.Addr, error) {
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil {
		return nil, fmt.Errorf("the answer is not DNS: %w", err)
	}
	if m.RCode != dnsmessage.RCodeSuccess {
		return nil, fmt.Errorf("the DNS answers %s", m.RCode)
	}
	var all []netip.Addr
	for _, a := range m.Answers {
		if body, isA := a.Body.(*dnsmessage.AResource); isA {
			all = append(all, netip.AddrFrom4(body.A))
		}
	}
	return all, nil
}
