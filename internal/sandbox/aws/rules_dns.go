package aws

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

var domainName = regexp.MustCompile(`^(\*\.|_)?[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_-]{1,63})+\.?$`)

func checkZone(c *call) error {
	if !domainName.MatchString(c.Inputs.Str("name")) {
		return fmt.Errorf("InvalidDomainName: %q", c.Inputs.Str("name"))
	}
	for _, v := range c.Inputs.List("vpcs") {
		vpc, _ := v.(map[string]any)
		if c.Find(VPCType, props.Map(vpc).Str("vpcId")) == nil {
			return fmt.Errorf("InvalidVPCId: %s does not exist", props.Map(vpc).Str("vpcId"))
		}
	}
	return nil
}

// zoneEmpty refuses to delete a zone with records, unless forceDestroy is set.
func zoneEmpty(c *call) error {
	records := c.recordsIn(c.object.ID)
	if len(records) > 0 && !c.object.Inputs.Flag("forceDestroy") {
		return fmt.Errorf("HostedZoneNotEmpty: the zone still holds %s", records[0].Title())
	}
	return nil
}

// zoneRecordsGone removes the records before the zone, as forceDestroy does.
func zoneRecordsGone(c *call) {
	for _, o := range c.recordsIn(c.object.ID) {
		c.Remove(o)
	}
}

func (c *call) recordsIn(zone string) []*store.Object {
	return c.Where(func(o *store.Object) bool { return o.Type == recordType && o.Inputs.Str("zoneId") == zone })
}

func checkRecord(c *call) error {
	zone := c.Find(zoneType, c.Inputs.Str("zoneId"))
	name := strings.TrimSuffix(c.Inputs.Str("name"), ".")
	if name == "" || strings.Contains(name, " ") {
		return fmt.Errorf("InvalidChangeBatch: %q is not a record name", name)
	}
	alias := len(c.Inputs.List("aliases")) > 0
	list := c.Inputs.Strings("records")
	if !alias && (len(list) == 0 || !c.Inputs.Has("ttl")) {
		return errors.New("InvalidChangeBatch: a record needs records and a ttl, or an alias")
	}
	for _, v := range list {
		switch c.Inputs.Str("type") {
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
	if c.object == nil && !c.Inputs.Flag("allowOverwrite") {
		for _, other := range c.recordsIn(zone.ID) {
			if recordIn(zone, other.Inputs.Str("name")) == recordIn(zone, name) &&
				other.Inputs.Str("type") == c.Inputs.Str("type") {
				return fmt.Errorf("InvalidChangeBatch: tried to create %s %s, which exists already", c.Inputs.Str("type"),
					recordIn(zone, name))
			}
		}
	}
	return nil
}

// recordIn returns the full name of a record. Route53 appends the zone's name if the name does not end with it.
func recordIn(zone *store.Object, name string) string {
	name, apex := strings.TrimSuffix(name, "."), strings.TrimSuffix(zone.Str("name"), ".")
	if name == apex || strings.HasSuffix(name, "."+apex) {
		return name
	}
	return name + "." + apex
}

func checkCertificate(c *call) error {
	for _, name := range append(c.Inputs.Strings("domainName"), c.Inputs.Strings("subjectAlternativeNames")...) {
		if !domainName.MatchString(name) || len(name) > 64 {
			return fmt.Errorf("ValidationException: %q is not a domain name of at most 64 characters", name)
		}
	}
	return nil
}

// checkValidation refuses a certificate unless a record proves each of its names.
func checkValidation(c *call) error {
	cert := c.Find(certificateType, c.Inputs.Str("certificateArn"))
	for _, v := range cert.State.List("domainValidationOptions") {
		option := props.Map(v.(map[string]any))
		proven := false
		for _, r := range c.All(recordType) {
			zone := c.Find(zoneType, r.Inputs.Str("zoneId"))
			proven = proven || zone != nil && recordIn(zone,
				r.Inputs.Str("name")) == strings.TrimSuffix(option.Str("resourceRecordName"), ".")
		}
		if !proven {
			return fmt.Errorf("timeout while waiting for the certificate to be issued: no record %s proves %s",
				option.Str("resourceRecordName"), option.Str("domainName"))
		}
	}
	return nil
}

// certificateUnused returns ACM's ResourceInUse while a load balancer uses the certificate. Controllers create the load
// balancers, so Pulumi does not know of this use.
func certificateUnused(c *call) error {
	for _, lb := range c.All(LoadBalancerType) {
		for _, arn := range lb.Inputs.Strings("certificateArns") {
			if arn == c.object.ID {
				return fmt.Errorf("ResourceInUseException: the certificate is in use by %s", lb.Title())
			}
		}
	}
	return nil
}
