package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Who reaches whom: routes, addresses and security groups decide, as they do in a VPC.

// machineAt finds the instance that answers on an address or on the name of a public record.
func (a *awsAccount) machineAt(host string) *object {
	for _, association := range a.all(eipAssociationType) {
		eip := a.find(eipType, association.Inputs.str("allocationId"))
		if eip != nil && eip.str("publicIp") == host {
			return a.find(instanceType, association.Inputs.str("instanceId"))
		}
	}
	for _, eip := range a.all(eipType) {
		if id := eip.Inputs.str("instance"); id != "" && eip.str("publicIp") == host {
			return a.find(instanceType, id)
		}
	}
	for _, i := range a.all(instanceType) {
		if host != "" && (i.str("publicIp") == host || i.str("privateIp") == host) {
			return i
		}
	}
	if _, err := netip.ParseAddr(host); err != nil {
		for _, value := range a.resolve(host, "") {
			return a.machineAt(value)
		}
	}
	return nil
}

// resolve looks a name up in the public zones, or in the private zones of a VPC.
func (a *awsAccount) resolve(name, vpc string) []string {
	for _, r := range a.all(recordType) {
		zone := a.find(zoneType, r.Inputs.str("zoneId"))
		if zone == nil || recordIn(zone, r.Inputs.str("name")) != name {
			continue
		}
		private := zone.Inputs.list("vpcs")
		if len(private) == 0 && vpc == "" {
			return r.Inputs.strings("records")
		}
		for _, v := range private {
			if m, ok := v.(map[string]any); ok && vpc != "" && m["vpcId"] == vpc {
				return r.Inputs.strings("records")
			}
		}
	}
	return nil
}

// reachableFromOutside returns the reason why a port of a machine cannot be reached from the internet, or nil.
func (a *awsAccount) reachableFromOutside(machine *object, port float64) error {
	if err := a.hasInternet(machine); err != nil {
		return err
	}
	if !a.admits(machine, "tcp", port, func(rule *object) bool { return rule.Inputs.str("cidrIpv4") != "" }) {
		return fmt.Errorf("no security group of %s opens port %v to the internet", machine.title(), port)
	}
	return nil
}

// hasInternet returns the reason why a machine cannot reach the internet, or nil.
func (a *awsAccount) hasInternet(machine *object) error {
	public := machine.str("publicIp") != ""
	for _, association := range a.all(eipAssociationType) {
		public = public || association.Inputs.str("instanceId") == machine.ID
	}
	for _, eip := range a.all(eipType) {
		public = public || eip.Inputs.str("instance") == machine.ID
	}
	if !public {
		return fmt.Errorf("%s has no public address", machine.title())
	}
	subnet := a.find(subnetType, machine.Inputs.str("subnetId"))
	if subnet == nil {
		return errors.New("its subnet is gone")
	}
	for _, association := range a.all(routeTableAssocType) {
		if association.Inputs.str("subnetId") != subnet.ID {
			continue
		}
		for _, route := range a.all(routeType) {
			if route.Inputs.str("routeTableId") == association.Inputs.str("routeTableId") &&
				route.Inputs.str("destinationCidrBlock") == "0.0.0.0/0" && a.find(gatewayType, route.Inputs.str("gatewayId")) != nil {
				return a.letsOut(machine)
			}
		}
		table := a.find(routeTableType, association.Inputs.str("routeTableId"))
		for _, v := range table.Inputs.list("routes") {
			if r, ok := v.(map[string]any); ok && r["cidrBlock"] == "0.0.0.0/0" && a.find(gatewayType, values(r).str("gatewayId")) != nil {
				return a.letsOut(machine)
			}
		}
	}
	return fmt.Errorf("%s has no route to an internet gateway", subnet.title())
}

func (a *awsAccount) letsOut(machine *object) error {
	for _, rule := range a.all(egressRuleType) {
		if slices.Contains(machine.Inputs.strings("vpcSecurityGroupIds"), rule.Inputs.str("securityGroupId")) && rule.Inputs.str("cidrIpv4") == "0.0.0.0/0" {
			return nil
		}
	}
	for _, id := range machine.Inputs.strings("vpcSecurityGroupIds") {
		if group := a.find(groupType, id); group != nil && len(group.Inputs.list("egress")) > 0 {
			return nil
		}
	}
	return fmt.Errorf("no security group of %s lets it out to the internet", machine.title())
}

// reaches returns the reason why one machine cannot reach a port of another inside the VPC, or nil.
func (a *awsAccount) reaches(from, to *object, protocol string, port float64) error {
	groups := from.Inputs.strings("vpcSecurityGroupIds")
	source, err := netip.ParseAddr(from.str("privateIp"))
	if err != nil {
		return err
	}
	ok := a.admits(to, protocol, port, func(rule *object) bool {
		if id := rule.Inputs.str("referencedSecurityGroupId"); id != "" {
			return slices.Contains(groups, id)
		}
		p, err := netip.ParsePrefix(rule.Inputs.str("cidrIpv4"))
		return err == nil && p.Contains(source)
	})
	if !ok {
		return fmt.Errorf("no security group of %s lets %s in on %s port %v", to.title(), from.title(), protocol, port)
	}
	return nil
}

// admits looks for an ingress rule of the machine's groups for a port, from a source that matches.
func (a *awsAccount) admits(machine *object, protocol string, port float64, source func(rule *object) bool) bool {
	for _, rule := range a.all(ingressRuleType) {
		if !slices.Contains(machine.Inputs.strings("vpcSecurityGroupIds"), rule.Inputs.str("securityGroupId")) || !source(rule) {
			continue
		}
		in := rule.Inputs
		if p := in.str("ipProtocol"); p == "-1" || p == protocol && in.number("fromPort") <= port && port <= in.number("toPort") {
			return true
		}
	}
	return false
}

func (a *awsAccount) hasElasticIP(machine *object) bool {
	return slices.ContainsFunc(a.all(eipAssociationType), func(o *object) bool { return o.Inputs.str("instanceId") == machine.ID })
}

// hostOf cuts scheme, port and path off a URL or a host:port.
func hostOf(endpoint string) string {
	_, rest, found := strings.Cut(endpoint, "://")
	if !found {
		rest = endpoint
	}
	rest, _, _ = strings.Cut(rest, "/")
	host, _, _ := strings.Cut(rest, ":")
	return host
}
