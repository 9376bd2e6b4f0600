package infra

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

const anywhere = "0.0.0.0/0"

// Firewall is one security group for each purpose.
type Firewall struct {
	pulumi.ResourceState

	// Nodes is on every instance and the only group of an instance with the cluster's tag.
	Nodes *ec2.SecurityGroup
	// ControlPlane is on the instances that run the Kubernetes API.
	ControlPlane *ec2.SecurityGroup
	// LoadBalancer is on the public side of the shared load balancer, Backend on the side of the nodes.
	LoadBalancer *ec2.SecurityGroup
	Backend      *ec2.SecurityGroup
	// Rules are the rules of all groups. A resource that depends on them depends on the whole firewall.
	Rules []pulumi.Resource
}

// peer is the other end of a connection: an address range or another group.
type peer struct {
	name  string
	cidr  string
	group *ec2.SecurityGroup
}

// port is a range of ports of one protocol. For icmp, from is the type and to is the code.
type port struct {
	name     string
	protocol string
	from, to int
}

func tcp(name string, n int) port { return port{name, "tcp", n, n} }

var (
	ssh       = tcp("ssh", 22)
	api       = tcp("api", 6443)
	http      = tcp("http", 80)
	https     = tcp("https", 443)
	loki      = tcp("loki", 3100)
	nodePorts = port{"node-ports", "tcp", 30000, 32767}
	etcd      = port{"etcd", "tcp", 2379, 2380}
	// webhook is where the Load Balancer Controller answers the API servers.
	webhook = tcp("load-balancer-webhook", 9443)
	// everything is every protocol and port. It is open between nodes if the user installs the CNI, because its
	// encapsulation is unknown (VXLAN, Geneve, WireGuard, IP in IP, BGP, or none).
	everything = port{"all", "-1", 0, 0}

	// betweenNodes are the ports that every node may reach on every other node with Calico.
	betweenNodes = []port{
		{"vxlan", "udp", 4789, 4789},
		tcp("typha", 5473),
		tcp("kubelet", 10250),
		tcp("kube-proxy-metrics", 10249),
		tcp("node-exporter", 9100),
		// Without "fragmentation needed", packets that are too large are dropped without a message.
		{"path-mtu", "icmp", 3, 4},
	}
	// toControlPlane are the ports that every node may reach on the control plane: the API, and metrics for
	// Prometheus.
	toControlPlane = []port{
		api,
		tcp("controller-manager-metrics", 10257),
		tcp("scheduler-metrics", 10259),
		tcp("etcd-metrics", 2381),
	}
)

func newFirewall(s *deployer, network *Network) (*Firewall, error) {
	f := &Firewall{}
	opts, err := s.component("Firewall", "firewall", f)
	if err != nil {
		return nil, err
	}
	for _, g := range []struct {
		into              **ec2.SecurityGroup
		name, description string
		tags              map[string]string
	}{
		{&f.Nodes, "nodes", "Every node of the cluster", map[string]string{s.clusterTag(): "owned"}},
		{&f.ControlPlane, "control-plane", "The Kubernetes API and what runs beside it", nil},
		{&f.LoadBalancer, "load-balancer", "The shared load balancer, open to the world", nil},
		{&f.Backend, "backend", "What load balancers reach the nodes by", nil},
	} {
		// The Load Balancer Controller adds its own rules to the nodes' group. Those rules would block the deletion
		// of the groups that they name.
		*g.into, err = ec2.NewSecurityGroup(s.ctx, s.named(g.name), &ec2.SecurityGroupArgs{
			VpcId:               network.VPC.ID(),
			Description:         pulumi.String(g.description),
			RevokeRulesOnDelete: pulumi.Bool(true),
			Tags:                s.tags(g.name, g.tags),
		}, opts...)
		if err != nil {
			return nil, fmt.Errorf("security group %s: %w", g.name, err)
		}
	}
	rules := &ruleSet{deployer: s, opts: opts}
	f.rules(rules, s.cfg)
	if rules.err != nil {
		return nil, rules.err
	}
	f.Rules = rules.made
	return f, s.ctx.RegisterResourceOutputs(f, pulumi.Map{
		"nodes": f.Nodes.ID(), "controlPlane": f.ControlPlane.ID(), "loadBalancer": f.LoadBalancer.ID(),
		"backend": f.Backend.ID(),
	})
}

// rules is the table of all allowed connections.
func (f *Firewall) rules(r *ruleSet, cfg *config.Config) {
	var (
		nodes        = peer{name: "nodes", group: f.Nodes}
		controlPlane = peer{name: "control-plane", group: f.ControlPlane}
		balancer     = peer{name: "load-balancer", group: f.LoadBalancer}
		backend      = peer{name: "backend", group: f.Backend}
		world        = peer{name: "world", cidr: anywhere}
	)
	for _, cidr := range cfg.Access.AdminCIDRs {
		admin := peer{name: "admin-" + strings.NewReplacer(".", "-", "/", "-").Replace(cidr), cidr: cidr}
		r.allow(admin, nodes, ssh)
		r.allow(admin, controlPlane, api)
	}
	ports := betweenNodes
	if cfg.Cluster.CNI == "none" {
		ports = []port{everything}
	}
	for _, p := range ports {
		r.allow(nodes, nodes, p)
	}
	for _, p := range toControlPlane {
		r.allow(nodes, controlPlane, p)
	}
	if cfg.Addons.Logging.On() {
		r.allow(nodes, controlPlane, loki)
	}
	if len(config.ControlPlanes(cfg.Nodes)) > 1 {
		r.allow(controlPlane, controlPlane, etcd)
		// Without workload identity the controller runs on the host of a control plane, and every API server calls it.
		if cfg.Addons.LoadBalancer.On() && !cfg.Identity.Enabled {
			r.allow(controlPlane, controlPlane, webhook)
		}
	}
	r.allow(world, balancer, http)
	r.allow(world, balancer, https)
	for _, from := range []peer{balancer, backend} {
		r.allow(from, nodes, nodePorts)
		r.allowOut(from, nodes, nodePorts)
	}
	r.allowOut(nodes, world, everything)
}

// ruleSet creates rules as separate resources. Pulumi and the controllers would overwrite each other's rules inside a
// group.
type ruleSet struct {
	deployer *deployer
	opts     []pulumi.ResourceOption
	made     []pulumi.Resource
	err      error
}

func (r *ruleSet) allow(from, to peer, p port) {
	if r.err != nil {
		return
	}
	args := &vpc.SecurityGroupIngressRuleArgs{
		SecurityGroupId: to.group.ID(),
		Description:     pulumi.String(p.name + " from " + from.name),
		IpProtocol:      pulumi.String(p.protocol),
	}
	// AWS refuses ports in a rule for every protocol.
	if p.protocol != everything.protocol {
		args.FromPort, args.ToPort = pulumi.Int(p.from), pulumi.Int(p.to)
	}
	if from.group != nil {
		args.ReferencedSecurityGroupId = from.group.ID()
	} else {
		args.CidrIpv4 = pulumi.String(from.cidr)
	}
	name := fmt.Sprintf("%s-%s-from-%s", to.name, p.name, from.name)
	rule, err := vpc.NewSecurityGroupIngressRule(r.deployer.ctx, name, args, r.opts...)
	if err != nil {
		r.err = fmt.Errorf("ingress rule %s: %w", name, err)
		return
	}
	r.made = append(r.made, rule)
}

func (r *ruleSet) allowOut(from, to peer, p port) {
	if r.err != nil {
		return
	}
	args := &vpc.SecurityGroupEgressRuleArgs{
		SecurityGroupId: from.group.ID(),
		Description:     pulumi.String(p.name + " to " + to.name),
		IpProtocol:      pulumi.String(p.protocol),
	}
	// AWS refuses ports in a rule for every protocol.
	if p.protocol != everything.protocol {
		args.FromPort, args.ToPort = pulumi.Int(p.from), pulumi.Int(p.to)
	}
	if to.group != nil {
		args.ReferencedSecurityGroupId = to.group.ID()
	} else {
		args.CidrIpv4 = pulumi.String(to.cidr)
	}
	name := fmt.Sprintf("%s-%s-to-%s", from.name, p.name, to.name)
	rule, err := vpc.NewSecurityGroupEgressRule(r.deployer.ctx, name, args, r.opts...)
	if err != nil {
		r.err = fmt.Errorf("egress rule %s: %w", name, err)
		return
	}
	r.made = append(r.made, rule)
}
