package dockerhosts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kubeadm-aws/cluster/kubeapi"
)

// The charts that are replaced by this package's controller, with that of volumes.
const (
	chartCNI   = "tigera-operator"
	chartCloud = "aws-cloud-controller-manager"

	uninitialized = "node.cloudprovider.kubernetes.io/uninitialized"

	controlInterval = 300 * time.Millisecond
	// zoneInterval is how often machines get the records of the private zone again. One that has given up its own line
	// for a name then has that of the zone.
	zoneInterval = 10 * time.Second
)

// controller replaces the CNI and the cloud controller manager, and restores addresses and records of hosts that boot
// again. It watches the nodes while the sandbox runs, so that it also serves nodes that join later.
type controller struct {
	backend *Backend
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	// boots counts the machines that started while the controller runs. A start loses bridges and routes.
	boots atomic.Int64
	// plumbed are the nodes, and the boots, that the hosts have the bridges and routes for.
	plumbed string
}

func startController(b *Backend) *controller {
	ctx, cancel := context.WithCancel(context.Background())
	c := &controller{backend: b, cancel: cancel}
	c.tasks.Go(func() { c.run(ctx) })
	c.tasks.Go(func() { c.watchBoots(ctx) })
	return c
}

func (c *controller) stop() {
	c.cancel()
	c.tasks.Wait()
}

// watchBoots restores the records and the elastic address of each machine that boots again, because docker does not.
func (c *controller) watchBoots(ctx context.Context) {
	events := exec.CommandContext(ctx, "docker", "events", "--filter", "label="+labelStack+"="+c.backend.options.Stack,
		"--filter", "event=start", "--format", `{{index .Actor.Attributes "`+labelID+`"}}`)
	// Otherwise it would hold the lock of a driver that was killed.
	endWithParent(events)
	out, err := events.StdoutPipe()
	if err == nil {
		err = events.Start()
	}
	if err != nil {
		c.backend.options.Log("cannot watch for hosts that boot again: %v", err)
		return
	}
	again := func(id string) {
		if err := c.restore(ctx, id); err != nil && ctx.Err() == nil {
			c.backend.options.Log("a host that boots again: %v", err)
		}
		c.boots.Add(1)
	}
	// Machines may have booted while the sandbox did not run.
	all, err := machines(ctx, c.backend.options.Stack)
	if err != nil && ctx.Err() == nil {
		c.backend.options.Log("hosts that booted again: %v", err)
	}
	for _, m := range all {
		again(m.id)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		again(lines.Text())
	}
	_ = events.Wait() // always an error, because the context kills it
}

func (c *controller) run(ctx context.Context) {
	tick, zoneTick := time.NewTicker(controlInterval), time.NewTicker(zoneInterval)
	defer tick.Stop()
	defer zoneTick.Stop()
	last := ""
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-zoneTick.C:
			err = c.backend.zone.writeRecords(ctx)
		case <-tick.C:
			err = c.reconcile(ctx)
		}
		// An API that does not answer is expected at the start and the end. Other errors are logged once.
		if err == nil || ctx.Err() != nil || isAway(err) {
			continue
		}
		if text := err.Error(); text != last {
			last = text
			c.backend.options.Log("node network and taints of the hosts: %s", text)
		}
	}
}

func (c *controller) reconcile(ctx context.Context) error {
	s := c.backend.store.read()
	_, cni := s.Charts[chartCNI]
	_, cloud := s.Charts[chartCloud]
	_, volumes := s.Charts[chartVolumes]
	if s.Kubeconfig == "" || !cni && !cloud && !volumes {
		return nil
	}
	kube, err := c.backend.kube.of(s.Kubeconfig)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	nodes, err := listNodes(ctx, kube)
	if err != nil {
		return err
	}
	var errs []error
	if cni {
		errs = append(errs, c.plumb(ctx, nodes))
	}
	if cloud {
		for _, n := range nodes {
			errs = append(errs, initialize(ctx, kube, n))
		}
	}
	if volumes {
		errs = append(errs, c.volumes(ctx, kube, nodes))
	}
	return errors.Join(errs...)
}

// node has the fields of a Node that the controller reads.
type node struct {
	Metadata struct {
		Name            string            `json:"name"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		PodCIDR    string           `json:"podCIDR"`
		ProviderID string           `json:"providerID"`
		Taints     []map[string]any `json:"taints"`
	} `json:"spec"`
}

// instance is the last part of the provider id.
func (n node) instance() string { return path.Base(n.Spec.ProviderID) }

func listNodes(ctx context.Context, kube *client) ([]node, error) {
	var list struct {
		Items []node `json:"items"`
	}
	if err := kube.Call(ctx, kubeapi.Get, "/api/v1/nodes", nil, &list); err != nil {
		return nil, err
	}
	return list.Items, nil
}

// initialize removes the taint that the cloud controller manager removes when it has found the instance of a node.
func initialize(ctx context.Context, kube *client, n node) error {
	left := slices.DeleteFunc(slices.Clone(n.Spec.Taints),
		func(t map[string]any) bool { return t["key"] == uninitialized })
	if len(left) == len(n.Spec.Taints) || n.Spec.ProviderID == "" {
		return nil
	}
	patch := map[string]any{
		"metadata": map[string]any{"resourceVersion": n.Metadata.ResourceVersion},
		"spec":     map[string]any{"taints": left},
	}
	err := kube.Call(ctx, kubeapi.Patch, "/api/v1/nodes/"+n.Metadata.Name, patch, nil)
	if kubeapi.IsStatus(err, http.StatusConflict) || kubeapi.IsStatus(err, http.StatusNotFound) {
		return nil // the next round sees the node as it is now
	}
	return err
}

// plumb gives each host of a node a bridge for its pods, and routes to the pods of the others.
func (c *controller) plumb(ctx context.Context, nodes []node) error {
	wanted := fmt.Sprint(c.boots.Load())
	for _, n := range nodes {
		wanted += fmt.Sprintf("\n%s %s %s", n.Metadata.Name, n.Spec.PodCIDR, n.Spec.ProviderID)
	}
	if wanted == c.plumbed {
		return nil
	}
	all, err := machines(ctx, c.backend.options.Stack)
	if err != nil {
		return err
	}
	ranges := map[string]string{} // by container
	routes := map[string]string{} // range to address
	for _, n := range nodes {
		i := slices.IndexFunc(all, func(m machine) bool { return m.id == n.instance() })
		if i < 0 || n.Spec.PodCIDR == "" || !all[i].running {
			continue
		}
		if _, err := netip.ParsePrefix(n.Spec.PodCIDR); err != nil {
			return fmt.Errorf("node %s: %w", n.Metadata.Name, err)
		}
		ranges[all[i].container] = n.Spec.PodCIDR
		routes[n.Spec.PodCIDR] = all[i].address
	}
	var errs errorList
	var wg sync.WaitGroup
	for container, own := range ranges {
		wg.Go(func() {
			_, err := dockerIn(ctx, plumbing(own, routes), "exec", "--interactive", container, "sh", "-e")
			if err != nil && !isGone(err) && !strings.Contains(err.Error(), "is not running") {
				errs.add(fmt.Errorf("network of %s: %w", container, err))
			}
		})
	}
	wg.Wait()
	if err := errs.join(); err != nil {
		return err
	}
	c.plumbed = wanted
	return nil
}

// plumbing is the script for the host whose pods have the range own. It also removes routes of removed nodes.
func plumbing(own string, routes map[string]string) string {
	var cidrs []string
	for cidr := range routes {
		if cidr != own {
			cidrs = append(cidrs, cidr)
		}
	}
	sort.Strings(cidrs)
	var b strings.Builder
	// Every process of the driver does this. A route that stays may not be away for a moment.
	for _, cidr := range cidrs {
		fmt.Fprintf(&b, "ip route replace %s via %s proto 88\n", cidr, routes[cidr])
	}
	fmt.Fprintf(&b, `ip route show proto 88 | while read -r to _; do
  case " %s " in *" $to "*) ;; *) ip route del "$to" proto 88 ;; esac
done
`, strings.Join(cidrs, " "))
	fmt.Fprintf(&b, "mkdir -p /etc/cni/net.d\ncat >/etc/cni/net.d/.new <<'J'\n%s\nJ\nmv /etc/cni/net.d/.new /etc/cni/net.d/10-bridge.conflist\n", conflist(own))
	return b.String()
}

func conflist(cidr string) string {
	return `{"cniVersion": "1.0.0", "name": "pods", "plugins": [
 {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "` + cidr + `"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}`
}

// restore gives a machine that has booted again its elastic address and the records of the private zone.
func (c *controller) restore(ctx context.Context, id string) error {
	m, found, err := c.backend.machine(ctx, id)
	if err != nil || !found || !m.running {
		return err
	}
	s := c.backend.store.read()
	for _, e := range s.Addresses {
		if e.Machine == id {
			if err := putAddress(ctx, m.container, e.Address); err != nil {
				return err
			}
		}
	}
	return writeZone(ctx, m.container, zoneLines(s.Records))
}
