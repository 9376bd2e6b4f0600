package infra

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ssm"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Instances are the nodes and the Elastic IPs of the control plane.
type Instances struct {
	pulumi.ResourceState

	// Nodes are in the order of the configuration.
	Nodes []Node
	// Machines are the instances by node name.
	Machines map[string]*ec2.Instance
	// Addresses are the Elastic IPs of control-plane nodes, by node name.
	Addresses map[string]*ec2.Eip
}

// image is an operating system that the nodes can run.
type image struct {
	// parameter is the vendor's public SSM parameter with the id of the newest AMI. %s stands for the architecture.
	parameter string
	// user is the account for which the image installs the key pair.
	user string
}

var images = map[string]image{
	"ubuntu-24.04": {"/aws/service/canonical/ubuntu/server/24.04/stable/current/%s/hvm/ebs-gp3/ami-id", "ubuntu"},
	"debian-12":    {"/aws/service/debian/release/12/latest/%s", "admin"},
}

// NewestImage returns the SSM parameter with the id of the newest x86 image of a value of image.os, and the account
// that logs in to its machines.
func NewestImage(os string) (parameter, user string) {
	return fmt.Sprintf(images[os].parameter, config.AMD64), images[os].user
}

// controlPlanes returns the control planes by name, because the order of the list in the configuration has no meaning.
func (in *Instances) controlPlanes() []Node {
	all := slices.DeleteFunc(slices.Clone(in.Nodes), func(n Node) bool { return n.Role != config.ControlPlane })
	slices.SortFunc(all, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return all
}

type instancesArgs struct {
	network  *Network
	firewall *Firewall
	identity *Identity
	keys     *Keys
	sweep    *Sweep
	before   Before
}

// newInstances creates the machines and addresses.
func newInstances(s *deployer, args instancesArgs) (*Instances, error) {
	in := &Instances{Machines: map[string]*ec2.Instance{}, Addresses: map[string]*ec2.Eip{}}
	opts, err := s.component("Instances", "instances", in)
	if err != nil {
		return nil, err
	}
	amis, err := s.amis()
	if err != nil {
		return nil, err
	}
	// The sweep depends on every route and rule, so one dependency is enough for all of them.
	opts = with(opts, pulumi.DependsOn(append(slices.Clone(args.before.Identity), args.sweep.Command)))
	if in.Nodes, err = args.nodes(s, in, opts); err != nil {
		return nil, err
	}
	serving, err := args.serving(in)
	if err != nil {
		return nil, err
	}
	for i, n := range in.Nodes {
		launch := opts
		if n.Role == config.ControlPlane {
			launch = with(opts, pulumi.DependsOn(serving))
		}
		machine, err := args.launch(s, n.Node, amis[n.Architecture()], launch)
		if err != nil {
			return nil, fmt.Errorf("instance %s: %w", n.Name, err)
		}
		in.Machines[n.Name] = machine
		in.Nodes[i].Instance, in.Nodes[i].PrivateIP = machine, machine.PrivateIp
		in.Nodes[i].ProviderID = pulumi.Sprintf("aws:///%s/%s", n.Zone, machine.ID())
		if n.Role != config.ControlPlane {
			in.Nodes[i].PublicIP = machine.PublicIp
			continue
		}
		association, err := associate(s, in.Addresses[n.Name], n.Name, machine, opts)
		if err != nil {
			return nil, fmt.Errorf("elastic ip of %s: %w", n.Name, err)
		}
		in.Nodes[i].DependsOn = append([]pulumi.Resource{association}, args.identity.Policies[n.Role]...)
	}
	ids := pulumi.StringMap{}
	for name, machine := range in.Machines {
		ids[name] = machine.ID()
	}
	return in, s.ctx.RegisterResourceOutputs(in, pulumi.Map{"instanceIds": ids})
}

// nodes returns the nodes without their machines. It creates the addresses of the control planes.
func (a instancesArgs) nodes(s *deployer, in *Instances, opts []pulumi.ResourceOption) ([]Node, error) {
	var nodes []Node
	for _, n := range s.cfg.Nodes {
		node := Node{
			Node:    n,
			Zone:    s.cfg.AvailabilityZone(n.Zone),
			User:    images[s.cfg.Image.OS].user,
			HostKey: trimmed(a.keys.Hosts[n.Name].PublicKeyOpenssh),
		}
		if n.Role == config.ControlPlane {
			address, err := in.address(s, n.Name, opts)
			if err != nil {
				return nil, fmt.Errorf("elastic ip of %s: %w", n.Name, err)
			}
			node.PublicIP = address.PublicIp
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// serving returns the resource that the machines of control planes wait for, if there is one.
func (a instancesArgs) serving(in *Instances) ([]pulumi.Resource, error) {
	if a.before.Serving == nil {
		return nil, nil
	}
	planes := in.controlPlanes()
	for i := range planes {
		// The sweep depends on the rules of the firewall.
		planes[i].DependsOn = []pulumi.Resource{a.sweep.Command}
	}
	resource, err := a.before.Serving(planes, a.keys.User.PrivateKeyOpenssh)
	if err != nil || resource == nil {
		return nil, err
	}
	return []pulumi.Resource{resource}, nil
}

func (a instancesArgs) launch(s *deployer, n config.Node, ami string, opts []pulumi.ResourceOption) (*ec2.Instance,
	error) {
	groups := pulumi.StringArray{a.firewall.Nodes.ID()}
	if n.Role == config.ControlPlane {
		groups = append(groups, a.firewall.ControlPlane.ID())
	}
	// Boot parameters are fixed when an instance is created: a newer image or changed user data must not stop a
	// running node. A change of the trigger replaces the instance, with the newest image and user data. A stopped
	// worker has no public address, and a refresh writes that to the state; without associatePublicIpAddress in this
	// list the next plan would replace it.
	ignored := []string{"associatePublicIpAddress", "userData"}
	if s.cfg.Image.AMI == "" || n.Role == config.ControlPlane {
		ignored = append(ignored, "ami")
	}
	opts = with(opts,
		pulumi.IgnoreChanges(ignored),
		pulumi.ReplacementTrigger(pulumi.String(s.cfg.Image.MachineGeneration(n))),
		// Two machines cannot be the same Kubernetes node.
		pulumi.DeleteBeforeReplace(true),
	)
	if n.Role == config.ControlPlane {
		opts = append(opts, s.protect()) // etcd is on its disk
	}
	var market ec2.InstanceInstanceMarketOptionsPtrInput
	if n.Spot {
		market = ec2.InstanceInstanceMarketOptionsArgs{MarketType: pulumi.String("spot")} // one-time, terminated at its end
		// A spot instance cannot be stopped, so AWS cannot change its type.
		opts = append(opts, pulumi.ReplaceOnChanges([]string{"instanceType"}))
	}
	return ec2.NewInstance(s.ctx, n.Name, &ec2.InstanceArgs{
		Ami:                   pulumi.String(ami),
		InstanceType:          pulumi.String(n.InstanceType),
		InstanceMarketOptions: market,
		KeyName:               a.keys.Pair.KeyName,
		IamInstanceProfile:    a.identity.Profiles[n.Role].Name,
		SubnetId:              a.network.Subnets[n.Zone].ID(),
		VpcSecurityGroupIds:   groups,
		// Control planes need it too: the Elastic IP is associated after the boot, and the boot needs the internet.
		AssociatePublicIpAddress: pulumi.Bool(true),
		UserData:                 a.userData(n),
		MetadataOptions: ec2.InstanceMetadataOptionsArgs{
			HttpEndpoint: pulumi.String("enabled"),
			HttpTokens:   pulumi.String("required"),
			// With one hop only the host can connect: pods in the overlay never reach the credentials of the node.
			HttpPutResponseHopLimit: pulumi.Int(1),
			// EC2 refuses to launch with tags here, because the key of the cluster's tag contains a slash.
			InstanceMetadataTags: pulumi.String("disabled"),
		},
		RootBlockDevice: ec2.InstanceRootBlockDeviceArgs{
			VolumeType:          pulumi.String("gp3"),
			VolumeSize:          pulumi.Int(n.VolumeSize),
			Encrypted:           pulumi.Bool(true),
			DeleteOnTermination: pulumi.Bool(true),
			Tags:                s.tags(n.Name),
		},
		Tags: s.tags(n.Name, map[string]string{s.clusterTag(): "owned"}),
	}, opts...)
}

// userData gives a machine the host key that its connections are pinned to.
func (a instancesArgs) userData(n config.Node) pulumi.StringOutput {
	key := a.keys.Hosts[n.Name]
	return pulumi.All(key.PrivateKeyOpenssh, key.PublicKeyOpenssh).ApplyT(func(k []any) (string, error) {
		return userData(n.Name, k[0].(string), k[1].(string))
	}).(pulumi.StringOutput)
}

// address creates an Elastic IP for a control plane. The address exists before the instance, because the certificate
// of the API contains it. It outlives the instance, because kubeconfigs contain it.
func (in *Instances) address(s *deployer, node string, opts []pulumi.ResourceOption) (*ec2.Eip, error) {
	address, err := ec2.NewEip(s.ctx, node, &ec2.EipArgs{
		Domain: pulumi.String("vpc"),
		Tags:   s.tags(node),
	}, with(opts, s.protect())...)
	in.Addresses[node] = address
	return address, err
}

// associate gives a machine its address. DeletedWith the machine is not set: the address would be released while the
// machine that still has it shuts down.
func associate(s *deployer, address *ec2.Eip, node string, machine *ec2.Instance,
	opts []pulumi.ResourceOption) (*ec2.EipAssociation, error) {
	return ec2.NewEipAssociation(s.ctx, node, &ec2.EipAssociationArgs{
		AllocationId: address.AllocationId,
		InstanceId:   machine.ID(),
	}, with(opts, pulumi.DeleteBeforeReplace(true))...)
}

// amis returns the image of each architecture that a node has: the pinned one, or the newest of the operating system.
func (s *deployer) amis() (map[string]string, error) {
	found := map[string]string{}
	for _, n := range s.cfg.Nodes {
		architecture := n.Architecture()
		if found[architecture] != "" {
			continue
		}
		found[architecture] = s.cfg.Image.AMI
		if s.cfg.Image.AMI != "" {
			continue
		}
		name := fmt.Sprintf(images[s.cfg.Image.OS].parameter, architecture)
		parameter, err := ssm.LookupParameter(s.ctx, &ssm.LookupParameterArgs{Name: name}, pulumi.Provider(s.provider))
		if err != nil {
			return nil, fmt.Errorf("find the image of %s for %s in %s (parameter %s; pin image.ami if the region has none): %w",
				s.cfg.Image.OS, architecture, s.cfg.Region, name, err)
		}
		found[architecture] = parameter.InsecureValue
	}
	return found, nil
}
