package aws

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// This file decides which machine reaches which, by routes, addresses and security groups as in a VPC.

// MachineAt finds the instance that answers on an address or on the name of a public record.
func (a *Account) MachineAt(host string) *store.Object {
	for _, association := range a.All(EIPAssociationType) {
		eip := a.Find(EIPType, association.Inputs.Str("allocationId"))
		if eip != nil && eip.Str("publicIp") == host {
			return a.Find(InstanceType, association.Inputs.Str("instanceId"))
		}
	}
	for _, eip := range a.All(EIPType) {
		if id := eip.Inputs.Str("instance"); id != "" && eip.Str("publicIp") == host {
			return a.Find(InstanceType, id)
		}
	}
	for _, i := range a.All(InstanceType) {
		if host != "" && (i.Str("publicIp") == host || i.Str("privateIp") == host) {
			return i
		}
	}
	if _, err := netip.ParseAddr(host); err != nil {
		for _, value := range a.Resolve(host, "") {
			return a.MachineAt(value)
		}
	}
	return nil
}

// Resolve looks a name up in the public zones, or in the private zones of a VPC.
func (a *Account) Resolve(name, vpc string) []string {
	for _, r := range a.All(recordType) {
		zone := a.Find(zoneType, r.Inputs.Str("zoneId"))
		if zone == nil || recordIn(zone, r.Inputs.Str("name")) != name {
			continue
		}
		private := zone.Inputs.List("vpcs")
		if len(private) == 0 && vpc == "" {
			return r.Inputs.Strings("records")
		}
		for _, v := range private {
			if m, ok := v.(map[string]any); ok && vpc != "" && m["vpcId"] == vpc {
				return r.Inputs.Strings("records")
			}
		}
	}
	return nil
}

// ReachableFromOutside returns the reason why a port of a machine cannot be reached from the internet, or nil.
func (a *Account) ReachableFromOutside(machine *store.Object, port float64) error {
	if err := a.HasInternet(machine); err != nil {
		return err
	}
	if !a.admits(machine, "tcp", port, func(rule *store.Object) bool { return rule.Inputs.Str("cidrIpv4") != "" }) {
		return fmt.Errorf("no security group of %s opens port %v to the internet", machine.Title(), port)
	}
	return nil
}

// HasInternet returns the reason why a machine cannot reach the internet, or nil.
func (a *Account) HasInternet(machine *store.Object) error {
	public := machine.Str("publicIp") != ""
	for _, association := range a.All(EIPAssociationType) {
		public = public || association.Inputs.Str("instanceId") == machine.ID
	}
	for _, eip := range a.All(EIPType) {
		public = public || eip.Inputs.Str("instance") == machine.ID
	}
	if !public {
		return fmt.Errorf("%s has no public address", machine.Title())
	}
	subnet := a.Find(SubnetType, machine.Inputs.Str("subnetId"))
	if subnet == nil {
		return errors.New("its subnet is gone")
	}
	for _, association := range a.All(routeTableAssocType) {
		if association.Inputs.Str("subnetId") != subnet.ID {
			continue
		}
		for _, route := range a.All(routeType) {
			if route.Inputs.Str("routeTableId") == association.Inputs.Str("routeTableId") &&
				route.Inputs.Str("destinationCidrBlock") == "0.0.0.0/0" &&
				a.Find(gatewayType, route.Inputs.Str("gatewayId")) != nil {
				return a.letsOut(machine)
			}
		}
		table := a.Find(routeTableType, association.Inputs.Str("routeTableId"))
		for _, v := range table.Inputs.List("routes") {
			if r, ok := v.(map[string]any); ok && r["cidrBlock"] == "0.0.0.0/0" &&
				a.Find(gatewayType, props.Map(r).Str("gatewayId")) != nil {
				return a.letsOut(machine)
			}
		}
	}
	return fmt.Errorf("%s has no route to an internet gateway", subnet.Title())
}

// letsOut returns the reason why the security groups of a machine allow no traffic to the internet, or nil.
func (a *Account) letsOut(machine *store.Object) error {
	for _, rule := range a.All(egressRuleType) {
		if slices.Contains(machine.Inputs.Strings("vpcSecurityGroupIds"), rule.Inputs.Str("securityGroupId")) &&
			rule.Inputs.Str("cidrIpv4") == "0.0.0.0/0" {
			return nil
		}
	}
	for _, id := range machine.Inputs.Strings("vpcSecurityGroupIds") {
		if group := a.Find(GroupType, id); group != nil && len(group.Inputs.List("egress")) > 0 {
			return nil
		}
	}
	return fmt.Errorf("no security group of %s lets it out to the internet", machine.Title())
}

// Reaches returns the reason why one machine cannot reach a port of another inside the VPC, or nil.
func (a *Account) Reaches(from, to *store.Object, protocol string, port float64) error {
	groups := from.Inputs.Strings("vpcSecurityGroupIds")
	source, err := netip.ParseAddr(from.Str("privateIp"))
	if err != nil {
		return err
	}
	ok := a.admits(to, protocol, port, func(rule *store.Object) bool {
		if id := rule.Inputs.Str("referencedSecurityGroupId"); id != "" {
			return slices.Contains(groups, id)
		}
		p, err := netip.ParsePrefix(rule.Inputs.Str("cidrIpv4"))
		return err == nil && p.Contains(source)
	})
	if !ok {
		return fmt.Errorf("no security group of %s lets %s in on %s port %v", to.Title(), from.Title(), protocol, port)
	}
	return nil
}

// admits looks for an ingress rule of the machine's groups for a port, from a source that matches.
func (a *Account) admits(machine *store.Object, protocol string, port float64,
	source func(rule *store.Object) bool) bool {
	for _, rule := range a.All(IngressRuleType) {
		if !slices.Contains(machine.Inputs.Strings("vpcSecurityGroupIds"), rule.Inputs.Str("securityGroupId")) ||
			!source(rule) {
			continue
		}
		in := rule.Inputs
		if p := in.Str("ipProtocol"); p == "-1" || p == protocol && in.Number("fromPort") <= port &&
			port <= in.Number("toPort") {
			return true
		}
	}
	return false
}

// HasElasticIP reports whether an Elastic IP is associated with a machine.
func (a *Account) HasElasticIP(machine *store.Object) bool {
	return slices.ContainsFunc(a.All(EIPAssociationType),
		func(o *store.Object) bool { return o.Inputs.Str("instanceId") == machine.ID })
}

// HostOf returns the host of a URL or of a host:port.
func HostOf(endpoint string) string {
	_, rest, found := strings.Cut(endpoint, "://")
	if !found {
		rest = endpoint
	}
	rest, _, _ = strings.Cut(rest, "/")
	host, _, _ := strings.Cut(rest, ":")
	return host
}
