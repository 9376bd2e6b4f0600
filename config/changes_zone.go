package config

// refuseZone refuses to remove the public zone that the running stack created: AWS would delete it with all its
// records, also those that the program did not create. It also refuses to create a second zone of the domain, to which
// the domain is not delegated.
func (c comparison) refuseZone(made Made) []FieldError {
	created, known := made["dns.createZone"].(bool)
	domain, _ := made["dns.domain"].(string)
	if !known {
		return nil
	}
	const gone = "the stack created this zone, and AWS would delete it with all its records, also yours"
	fault := FieldError{Key: Namespace + ":dns.createZone", Value: quote(c.DNS.CreateZone)}
	switch {
	case created && c.DNS.Domain != domain:
		fault.Key, fault.Value = Namespace+":dns.domain", quote(c.DNS.Domain)
		fault.Reason = "is " + quote(domain) + " on the running stack: " + gone
		fault.Example = quote(domain) + "; for another domain save the records, destroy the stack and bring it up again"
	case created && !c.DNS.CreateZone:
		fault.Reason = "is true on the running stack: " + gone
		fault.Example = "true; for a zone that outlives the stack save the records, destroy the stack, create the zone and " +
			"bring the stack up again"
	case !created && c.DNS.CreateZone && c.DNS.Domain == domain:
		fault.Reason = "is false on the running stack: the records would move to a second zone of " + domain +
			", to which it is not delegated"
		fault.Example = "false; for a zone of the stack's own take another domain, such as a subdomain"
	default:
		return nil
	}
	return []FieldError{fault}
}
