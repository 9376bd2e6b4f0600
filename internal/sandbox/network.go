package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
)

// Who reaches whom: routes, addresses and security groups decide, as they do in a VPC.

// machineAt finds the instance that answers on an address or on the name of a public record.
func (a *awsAccount) machineAt(host string) *object {
	for _, association := range a.all(eipAssociationType) {
		eip := a.find(eipType, association.Inputs.Str("allocationId"))
		if eip != nil && eip.str("publicIp") == host {
			return a.find(instanceType, association.Inputs.Str("instanceId"))
		}
	}
	for _, eip := range a.all(eipType) {
		if id := eip.Inputs.Str("instance"); id != "" && eip.str("publicIp") == host {
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
		zone := a.find(zoneType, r.Inputs.Str("zoneId"))
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

// reachableFromOutside returns the reason why a port of a machine cannot be reached from the internet, or nil.
func (a *awsAccount) reachableFromOutside(machine *object, port float64) error {
	if err := a.hasInternet(machine); err != nil {
		return err
	}
	if !a.admits(machine, "tcp", port, func(rule *object) bool { return rule.Inputs.Str("cidrIpv4") != "" }) {
		return fmt.Errorf("no security group of %s opens port %v to the internet", machine.title(), port)
	}
	return nil
}

// hasInternet returns the reason why a machine cannot reach the internet, or nil.
func (a *awsAccount) hasInternet(machine *object) error {
	public := machine.str("publicIp") != ""
	for _, association := range a.all(eipAssociationType) {
		public = public || association.Inputs.Str("instanceId") == machine.ID
	}
	for _, eip := range a.all(eipType) {
		public = public || eip.Inputs.Str("instance") == machine.ID
	}
	if !public {
		return fmt.Errorf("%s has no public address", machine.title())
	}
	subnet := a.find(subnetType, machine.Inputs.Str("subnetId"))
	if subnet == nil {
		return errors.New("its subnet is gone")
	}
	for _, association := range a.all(routeTableAssocType) {
		if association.Inputs.Str("subnetId") != subnet.ID {
			continue
		}
		for _, route := range a.all(routeType) {
			if route.Inputs.Str("routeTableId") == association.Inputs.Str("routeTableId") &&
				route.Inputs.Str("destinationCidrBlock") == "0.0.0.0/0" && a.find(gatewayType, route.Inputs.Str("gatewayId")) != nil {
				return a.letsOut(machine)
			}
		}
		table := a.find(routeTableType, association.Inputs.Str("routeTableId"))
		for _, v := range table.Inputs.List("routes") {
			if r, ok := v.(map[string]any); ok && r["cidrBlock"] == "0.0.0.0/0" && a.find(gatewayType, props.Map(r).Str("gatewayId")) != nil {
				return a.letsOut(machine)
			}
		}
	}
	return fmt.Errorf("%s has no route to an internet gateway", subnet.title())
}

func (a *awsAccount) letsOut(machine *object) error {
	for _, rule := range a.all(egressRuleType) {
		if slices.Contains(machine.Inputs.Strings("vpcSecurityGroupIds"), rule.Inputs.Str("securityGroupId")) && rule.Inputs.Str("cidrIpv4") == "0.0.0.0/0" {
			return nil
		}
	}
	for _, id := range machine.Inputs.Strings("vpcSecurityGroupIds") {
		if group := a.find(groupType, id); group != nil && len(group.Inputs.List("egress")) > 0 {
			return nil
		}
	}
	return fmt.Errorf("no security group of %s lets it out to the internet", machine.title())
}

// reaches returns the reason why one machine cannot reach a port of another inside the VPC, or nil.
func (a *awsAccount) reaches(from, to *object, protocol string, port float64) error {
	groups := from.Inputs.Strings("vpcSecurityGroupIds")
	source, err := netip.ParseAddr(from.str("privateIp"))
	if err != nil {
		return err
	}
	ok := a.admits(to, protocol, port, func(rule *object) bool {
		if id := rule.Inputs.Str("referencedSecurityGroupId"); id != "" {
			return slices.Contains(groups, id)
		}
		p, err := netip.ParsePrefix(rule.Inputs.Str("cidrIpv4"))
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
		if !slices.Contains(machine.Inputs.Strings("vpcSecurityGroupIds"), rule.Inputs.Str("securityGroupId")) || !source(rule) {
			continue
		}
		in := rule.Inputs
		if p := in.Str("ipProtocol"); p == "-1" || p == protocol && in.Number("fromPort") <= port && port <= in.Number("toPort") {
			return true
		}
	}
	return false
}

func (a *awsAccount) hasElasticIP(machine *object) bool {
	return slices.ContainsFunc(a.all(eipAssociationType), func(o *object) bool { return o.Inputs.Str("instanceId") == machine.ID })
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
