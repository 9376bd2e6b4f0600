package aws

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/store"
)

// This file has the checks of the types beyond references and uniqueness. Each error begins with AWS's error code.

func checkVPC(c *call) error {
	prefix, err := cidr(c.Inputs.Str("cidrBlock"))
	if err != nil {
		return fmt.Errorf("InvalidParameterValue: cidrBlock: %w", err)
	}
	if prefix.Bits() < 16 || prefix.Bits() > 28 {
		return fmt.Errorf("InvalidVpc.Range: the CIDR %s is not between /16 and /28", prefix)
	}
	return nil
}

// cidr parses an IPv4 range and refuses one that does not begin with its network address.
func cidr(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, err
	}
	if prefix != prefix.Masked() {
		return prefix, fmt.Errorf("%s has host bits set, the range is %s", text, prefix.Masked())
	}
	return prefix, nil
}

func checkSubnet(c *call) error {
	own, err := cidr(c.Inputs.Str("cidrBlock"))
	if err != nil {
		return fmt.Errorf("InvalidParameterValue: cidrBlock: %w", err)
	}
	vpc := c.Find(VPCType, c.Inputs.Str("vpcId"))
	whole, err := cidr(vpc.Str("cidrBlock"))
	if err != nil {
		return err
	}
	if own.Bits() < whole.Bits() || !whole.Contains(own.Addr()) || own.Bits() > 28 {
		return fmt.Errorf("InvalidSubnet.Range: the CIDR %s is not inside that of its VPC, %s", own, whole)
	}
	for _, other := range c.All(SubnetType) {
		if other.Inputs.Str("vpcId") != vpc.ID || (c.object != nil && c.object.ID == other.ID) {
			continue
		}
		if p, err := cidr(other.Str("cidrBlock")); err == nil && p.Overlaps(own) {
			return fmt.Errorf("InvalidSubnet.Conflict: the CIDR %s overlaps that of %s", own, other.Title())
		}
	}
	if zone := c.Inputs.Str("availabilityZone"); zone != "" &&
		(!strings.HasPrefix(zone, c.region()) || len(zone) != len(c.region())+1) {
		return fmt.Errorf("InvalidParameterValue: there is no availability zone %s in %s", zone, c.region())
	}
	return nil
}

func checkGateway(c *call) error {
	for _, other := range c.All(gatewayType) {
		if c.object != nil && c.object.ID == other.ID {
			continue
		}
		if vpc := c.Inputs.Str("vpcId"); vpc != "" && other.Inputs.Str("vpcId") == vpc {
			return fmt.Errorf("InvalidParameterValue: the VPC %s has an internet gateway already: %s", vpc, other.ID)
		}
	}
	return nil
}

// noPublicAddresses refuses to detach a gateway while an object of its VPC has a public address.
func noPublicAddresses(c *call) error {
	vpc := c.object.Inputs.Str("vpcId")
	for _, o := range c.Where(func(o *store.Object) bool {
		return o.Type == InstanceType && o.Str("publicIp") != "" || o.Type == EIPAssociationType || o.Type == LoadBalancerType
	}) {
		if c.VPCOf(o) == vpc {
			return fmt.Errorf("DependencyViolation: the network %s has some mapped public address(es): %s", vpc, o.Title())
		}
	}
	return nil
}

// VPCOf returns the id of the VPC of an object, or "" when it is not in a VPC.
func (a *Account) VPCOf(o *store.Object) string {
	switch o.Type {
	case VPCType:
		return o.ID
	case EIPAssociationType:
		if i := a.Find(InstanceType, o.Inputs.Str("instanceId")); i != nil {
			return a.VPCOf(i)
		}
	case LoadBalancerType:
		for _, id := range o.Inputs.Strings("subnets") {
			if s := a.Find(SubnetType, id); s != nil {
				return s.Inputs.Str("vpcId")
			}
		}
	case InstanceType:
		if s := a.Find(SubnetType, o.Inputs.Str("subnetId")); s != nil {
			return s.Inputs.Str("vpcId")
		}
	}
	return o.Inputs.Str("vpcId")
}

func checkRoute(c *call) error {
	if to := c.Inputs.Str("destinationCidrBlock"); to != "" {
		if _, err := cidr(to); err != nil {
			return fmt.Errorf("InvalidParameterValue: destinationCidrBlock: %w", err)
		}
	}
	gateway := c.Find(gatewayType, c.Inputs.Str("gatewayId"))
	if table := c.Find(routeTableType, c.Inputs.Str("routeTableId")); gateway != nil &&
		gateway.Inputs.Str("vpcId") != table.Inputs.Str("vpcId") {
		return fmt.Errorf("InvalidParameterValue: %s and %s are not in the same VPC", table.ID, gateway.ID)
	}
	return nil
}

func checkRouteTableAssociation(c *call) error {
	subnet, table := c.Find(SubnetType, c.Inputs.Str("subnetId")), c.Find(routeTableType, c.Inputs.Str("routeTableId"))
	if subnet != nil && subnet.Inputs.Str("vpcId") != table.Inputs.Str("vpcId") {
		return fmt.Errorf("InvalidParameterValue: %s and %s are not in the same VPC", table.ID, subnet.ID)
	}
	return nil
}

func checkEndpoint(c *call) error {
	if name := c.Inputs.Str("serviceName"); !strings.HasPrefix(name, "com.amazonaws."+c.region()+".") {
		return fmt.Errorf("InvalidServiceName: the endpoint service %s does not exist in %s", name, c.region())
	}
	for _, id := range c.Inputs.Strings("routeTableIds") {
		if table := c.Find(routeTableType, id); table.Inputs.Str("vpcId") != c.Inputs.Str("vpcId") {
			return fmt.Errorf("InvalidParameterValue: %s is not in the VPC %s", id, c.Inputs.Str("vpcId"))
		}
	}
	return nil
}

var groupText = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}$`)

func checkGroup(c *call) error {
	name := c.Inputs.Str("name")
	switch {
	case strings.HasPrefix(name, "sg-"):
		return fmt.Errorf("InvalidParameterValue: the group name %q may not begin with sg-", name)
	case !groupText.MatchString(name) || name == "":
		return fmt.Errorf("InvalidParameterValue: %q is not a valid group name", name)
	case !groupText.MatchString(c.Inputs.Str("description")):
		return fmt.Errorf("InvalidParameterValue: invalid characters in the description %q", c.Inputs.Str("description"))
	}
	return nil
}

// groupUnreferenced returns the DependencyViolation that a rule of another group causes.
func groupUnreferenced(c *call) error {
	for _, rule := range c.Where(func(o *store.Object) bool {
		return o.Type == IngressRuleType ||
			o.Type == egressRuleType
	}) {
		if rule.Inputs.Str("referencedSecurityGroupId") == c.object.ID && rule.Inputs.Str("securityGroupId") != c.object.ID {
			return fmt.Errorf("DependencyViolation: named by %s in the group %s", rule.Title(),
				rule.Inputs.Str("securityGroupId"))
		}
	}
	return nil
}

func checkGroupRule(c *call) error {
	var sources []string
	for _, key := range []string{"cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId"} {
		if c.Inputs.Has(key) {
			sources = append(sources, key)
		}
	}
	if len(sources) != 1 {
		return fmt.Errorf("InvalidParameterCombination: exactly one source is needed, got %v", sources)
	}
	if text := c.Inputs.Str("cidrIpv4"); text != "" {
		if _, err := cidr(text); err != nil {
			return fmt.Errorf("InvalidParameterValue: cidrIpv4: %w", err)
		}
	}
	switch protocol := c.Inputs.Str("ipProtocol"); protocol {
	case "-1":
		if c.Inputs.Has("fromPort") || c.Inputs.Has("toPort") {
			return errors.New("InvalidParameterCombination: protocol -1 takes no ports")
		}
	case "tcp", "udp":
		from, to := c.Inputs.Number("fromPort"), c.Inputs.Number("toPort")
		if !c.Inputs.Has("fromPort") || !c.Inputs.Has("toPort") || from > to || from < 0 || to > 65535 {
			return fmt.Errorf("InvalidParameterValue: invalid port range %v to %v", c.Inputs["fromPort"], c.Inputs["toPort"])
		}
	case "icmp", "icmpv6":
	default:
		if !regexp.MustCompile(`^\d{1,3}$`).MatchString(protocol) {
			return fmt.Errorf("InvalidParameterValue: invalid protocol %q", protocol)
		}
	}
	for _, key := range []string{"referencedSecurityGroupId", "securityGroupId"} {
		if id := c.Inputs.Str(key); id != "" && c.Find(GroupType, id) == nil {
			return fmt.Errorf("InvalidGroup.NotFound: the security group %s does not exist", id)
		}
	}
	return nil
}

var (
	amiID        = regexp.MustCompile(`^ami-[0-9a-f]{8,17}$`)
	machineType  = regexp.MustCompile(`^[a-z]+[0-9]+[a-z-]*\.[a-z0-9-]+$`)
	ClusterTag   = "kubernetes.io/cluster/"
	userDataSize = 16 << 10
)

// marketOptions are those of an instance. They make it a spot instance.
const marketOptions = "instanceMarketOptions"

func checkInstance(c *call) error {
	if c.object != nil {
		old, now := c.object.Inputs.Number("rootBlockDevice.volumeSize"), c.Inputs.Number("rootBlockDevice.volumeSize")
		if now < old {
			return fmt.Errorf("InvalidParameterValue: New size cannot be smaller than existing size (%v GiB, not %v)", old, now)
		}
		if c.object.Inputs.Has(marketOptions) && c.object.Inputs.Str("instanceType") != c.Inputs.Str("instanceType") {
			return errors.New("UnsupportedOperation: You can't stop the Spot Instance because it is associated with a one-time " +
				"Spot Instance request")
		}
	}
	if !amiID.MatchString(c.Inputs.Str("ami")) {
		return fmt.Errorf("InvalidAMIID.Malformed: %q", c.Inputs.Str("ami"))
	}
	if !machineType.MatchString(c.Inputs.Str("instanceType")) {
		return fmt.Errorf("InvalidParameterValue: %q is not an instance type", c.Inputs.Str("instanceType"))
	}
	machine, image := architectureOf(c.Inputs.Str("instanceType")), c.limits.imageArchitecture(c.Inputs.Str("ami"))
	if machine != image {
		return fmt.Errorf("InvalidParameterValue: The architecture '%s' of the specified instance type does not match the "+
			"architecture '%s' of the specified AMI", machine, image)
	}
	subnet := c.Find(SubnetType, c.Inputs.Str("subnetId"))
	if subnet == nil {
		return errors.New("MissingParameter: subnetId: this account has no default VPC")
	}
	tagged := 0
	for _, id := range c.Inputs.Strings("vpcSecurityGroupIds") {
		group := c.Find(GroupType, id)
		if group.Inputs.Str("vpcId") != subnet.Inputs.Str("vpcId") {
			return fmt.Errorf("InvalidParameter: %s and the subnet are in different networks", group.Title())
		}
		tagged += len(ClusterTags(group.Tags()))
	}
	tags := allTags(c.Request)
	if names := ClusterTags(tags); len(names) > 0 && (len(names) != 1 || tagged != 1) {
		// AWS accepts this. Its Load Balancer Controller refuses it later, in the cluster.
		return fmt.Errorf("exactly one security group of an interface must carry the tag %s, found %d in %v", names[0],
			tagged,
			c.Inputs.Strings("vpcSecurityGroupIds"))
	}
	if c.Inputs.Str("metadataOptions.instanceMetadataTags") == "enabled" {
		for key := range tags {
			if strings.Contains(key, "/") {
				return fmt.Errorf("InvalidParameterValue: the tag key %s may not be used with instance metadata tags", key)
			}
		}
	}
	if n := len(c.Inputs.Str("userData")); n > userDataSize {
		return fmt.Errorf("InvalidParameterValue: user data of %d bytes is limited to %d", n, userDataSize)
	}
	return nil
}

// ClusterTags returns the keys that begin with ClusterTag, sorted.
func ClusterTags(tags map[string]string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if strings.HasPrefix(key, ClusterTag) {
			out = append(out, key)
		}
	}
	return out
}

// endInstance informs the cluster that a machine has ended.
func endInstance(c *call) {
	if c.Terminated != nil {
		c.Terminated(c.object)
	}
}

// elasticIPs is the default quota of a region.
const elasticIPs = 5

func checkEIP(c *call) error {
	if c.object == nil && len(c.All(EIPType)) >= elasticIPs {
		return fmt.Errorf("AddressLimitExceeded: the account has %d Elastic IPs already", elasticIPs)
	}
	return nil
}

func checkKeyPair(c *call) error {
	if f := strings.Fields(c.Inputs.Str("publicKey")); len(f) < 2 || (f[0] != "ssh-ed25519" && f[0] != "ssh-rsa") {
		return errors.New("InvalidKey.Format: EC2 takes OpenSSH public keys of the kinds ssh-ed25519 and ssh-rsa")
	}
	return nil
}
