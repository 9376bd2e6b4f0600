package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

var domainName = regexp.MustCompile(`^(\*\.|_)?[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_-]{1,63})+\.?$`)

func checkZone(c *awsCall) error {
	if !domainName.MatchString(c.inputs.str("name")) {
		return fmt.Errorf("InvalidDomainName: %q", c.inputs.str("name"))
	}
	for _, v := range c.inputs.list("vpcs") {
		vpc, _ := v.(map[string]any)
		if c.find(vpcType, values(vpc).str("vpcId")) == nil {
			return fmt.Errorf("InvalidVPCId: %s does not exist", values(vpc).str("vpcId"))
		}
	}
	return nil
}

func zoneEmpty(c *awsCall) error {
	records := c.recordsIn(c.object.ID)
	if len(records) > 0 && !c.object.Inputs.flag("forceDestroy") {
		return fmt.Errorf("HostedZoneNotEmpty: the zone still holds %s", records[0].title())
	}
	return nil
}

func zoneRecordsGone(c *awsCall) {
	for _, o := range c.recordsIn(c.object.ID) {
		c.remove(o)
	}
}

func (c *awsCall) recordsIn(zone string) []*object {
	return c.where(func(o *object) bool { return o.Type == recordType && o.Inputs.str("zoneId") == zone })
}

func checkRecord(c *awsCall) error {
	zone := c.find(zoneType, c.inputs.str("zoneId"))
	name := strings.TrimSuffix(c.inputs.str("name"), ".")
	if name == "" || strings.Contains(name, " ") {
		return fmt.Errorf("InvalidChangeBatch: %q is not a record name", name)
	}
	alias := len(c.inputs.list("aliases")) > 0
	list := c.inputs.strings("records")
	if !alias && (len(list) == 0 || !c.inputs.set("ttl")) {
		return errors.New("InvalidChangeBatch: a record needs records and a ttl, or an alias")
	}
	for _, v := range list {
		switch c.inputs.str("type") {
		case "A":
			if ip, err := netip.ParseAddr(v); err != nil || !ip.Is4() {
				return fmt.Errorf("InvalidChangeBatch: %q is not an IPv4 address", v)
			}
		case "CNAME":
			if len(list) > 1 || !domainName.MatchString(strings.ToLower(v)) {
				return fmt.Errorf("InvalidChangeBatch: %q is not a host name for a CNAME", v)
			}
		}
	}
	if c.object == nil && !c.inputs.flag("allowOverwrite") {
		for _, other := range c.recordsIn(zone.ID) {
			if recordIn(zone, other.Inputs.str("name")) == recordIn(zone, name) && other.Inputs.str("type") == c.inputs.str("type") {
				return fmt.Errorf("InvalidChangeBatch: tried to create %s %s, which exists already", c.inputs.str("type"), recordIn(zone, name))
			}
		}
	}
	return nil
}

// recordIn is the full name of a record; Route53 appends the zone's name when it is not there.
func recordIn(zone *object, name string) string {
	name, apex := strings.TrimSuffix(name, "."), strings.TrimSuffix(zone.str("name"), ".")
	if name == apex || strings.HasSuffix(name, "."+apex) {
		return name
	}
	return name + "." + apex
}

func checkCertificate(c *awsCall) error {
	for _, name := range append(c.inputs.strings("domainName"), c.inputs.strings("subjectAlternativeNames")...) {
		if !domainName.MatchString(name) || len(name) > 64 {
			return fmt.Errorf("ValidationException: %q is not a domain name of at most 64 characters", name)
		}
	}
	return nil
}

// checkValidation finds the records that prove each name of the certificate.
func checkValidation(c *awsCall) error {
	cert := c.find(certificateType, c.inputs.str("certificateArn"))
	for _, v := range cert.State.list("domainValidationOptions") {
		option := values(v.(map[string]any))
		proven := false
		for _, r := range c.all(recordType) {
			zone := c.find(zoneType, r.Inputs.str("zoneId"))
			proven = proven || zone != nil && recordIn(zone, r.Inputs.str("name")) == strings.TrimSuffix(option.str("resourceRecordName"), ".")
		}
		if !proven {
			return fmt.Errorf("timeout while waiting for the certificate to be issued: no record %s proves %s",
				option.str("resourceRecordName"), option.str("domainName"))
		}
	}
	return nil
}

// certificateUnused is ACM's ResourceInUse: the load balancers that controllers made use it, and Pulumi does not know them.
func certificateUnused(c *awsCall) error {
	for _, lb := range c.all(loadBalancerType) {
		for _, arn := range lb.Inputs.strings("certificateArns") {
			if arn == c.object.ID {
				return fmt.Errorf("ResourceInUseException: the certificate is in use by %s", lb.title())
			}
		}
	}
	return nil
}
