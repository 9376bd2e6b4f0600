package infra

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/acm"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/route53"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// DNS is the private zone with the API's name and, with a domain, its public records and certificate.
type DNS struct {
	pulumi.ResourceState

	// Records are those of the API's name, inside the VPC and, with a domain, outside.
	Records []pulumi.Resource
	// ZoneID and CertificateARN are nil without a domain. The ARN is known once the certificate is issued.
	ZoneID         pulumi.StringPtrInput
	CertificateARN pulumi.StringPtrInput
}

const recordTTL = 60

type dnsArgs struct {
	network   *Network
	instances *Instances
}

func newDNS(s *deployer, args dnsArgs) (*DNS, error) {
	d := &DNS{}
	opts, err := s.component("DNS", "dns", d)
	if err != nil {
		return nil, err
	}
	if err := d.private(s, args, opts); err != nil {
		return nil, err
	}
	outputs := pulumi.Map{"apiName": pulumi.String(s.cfg.APIName())}
	if s.cfg.DNS.Domain != "" {
		if err := d.public(s, args.instances, opts); err != nil {
			return nil, err
		}
		outputs["zoneId"], outputs["certificateArn"] = d.ZoneID, d.CertificateARN
	}
	return d, s.ctx.RegisterResourceOutputs(d, outputs)
}

func (d *DNS) private(s *deployer, args dnsArgs, opts []pulumi.ResourceOption) error {
	zone, err := route53.NewZone(s.ctx, "private", &route53.ZoneArgs{
		Name:    pulumi.String(s.cfg.PrivateZone()),
		Comment: pulumi.String("Names inside the VPC of cluster " + s.cfg.Cluster.Name),
		Vpcs: route53.ZoneVpcArray{route53.ZoneVpcArgs{VpcId: args.network.VPC.ID(),
			VpcRegion: pulumi.String(s.cfg.Region)}},
		// A restored control plane may have left its record. The zone contains no other records.
		ForceDestroy: pulumi.Bool(true),
		Tags:         s.tags("private"),
	}, opts...)
	if err != nil {
		return fmt.Errorf("private zone %s: %w", s.cfg.PrivateZone(), err)
	}
	addresses := pulumi.StringArray{}
	for _, n := range args.instances.controlPlanes() {
		addresses = append(addresses, n.PrivateIP)
	}
	record, err := route53.NewRecord(s.ctx, "api-private", &route53.RecordArgs{
		ZoneId:  zone.ZoneId,
		Name:    pulumi.String(s.cfg.APIName()),
		Type:    pulumi.String("A"),
		Ttl:     pulumi.Int(recordTTL),
		Records: addresses,
	}, opts...)
	if err != nil {
		return fmt.Errorf("record %s: %w", s.cfg.APIName(), err)
	}
	d.Records = append(d.Records, record)
	return nil
}

func (d *DNS) public(s *deployer, instances *Instances, opts []pulumi.ResourceOption) error {
	domain := s.cfg.DNS.Domain
	zoneID, err := s.publicZone(opts)
	if err != nil {
		return err
	}
	d.ZoneID = zoneID.ToStringOutput().ToStringPtrOutput()
	addresses := pulumi.StringArray{}
	for _, n := range instances.controlPlanes() {
		addresses = append(addresses, n.PublicIP)
	}
	record, err := route53.NewRecord(s.ctx, APIRecord, &route53.RecordArgs{
		ZoneId:  zoneID,
		Name:    pulumi.String("api." + domain),
		Type:    pulumi.String("A"),
		Ttl:     pulumi.Int(recordTTL),
		Records: addresses,
	}, opts...)
	if err != nil {
		return fmt.Errorf("record api.%s: %w", domain, err)
	}
	d.Records = append(d.Records, record)
	return d.certificate(s, zoneID, opts)
}

// existingZone looks up the id of the public zone of the domain.
func (s *deployer) existingZone() (string, error) {
	domain := s.cfg.DNS.Domain
	args := &route53.LookupZoneArgs{Name: pulumi.StringRef(domain), PrivateZone: pulumi.BoolRef(false)}
	if s.cfg.DNS.ZoneID != "" {
		args = &route53.LookupZoneArgs{ZoneId: pulumi.StringRef(s.cfg.DNS.ZoneID)}
	}
	zone, err := route53.LookupZone(s.ctx, args, pulumi.Provider(s.provider))
	switch {
	case err != nil && strings.Contains(err.Error(), "multiple"):
		return "", fmt.Errorf("the account has two public zones of %s: say which one with dns.zoneId "+
			"(aws route53 list-hosted-zones-by-name --dns-name %s): %w", domain, domain, err)
	case err != nil && s.cfg.DNS.ZoneID != "":
		return "", fmt.Errorf("find the zone %s (dns.zoneId): %w", s.cfg.DNS.ZoneID, err)
	case err != nil:
		return "", fmt.Errorf("find the public zone of %s (set dns.createZone to make it): %w", domain, err)
	case strings.TrimSuffix(zone.Name, ".") != domain:
		return "", fmt.Errorf("dns.zoneId %s is the zone of %s, and dns.domain is %s", s.cfg.DNS.ZoneID, zone.Name, domain)
	case zone.PrivateZone != nil && *zone.PrivateZone:
		return "", fmt.Errorf("dns.zoneId %s is a private zone: ACM and users ask the public DNS", s.cfg.DNS.ZoneID)
	}
	return zone.ZoneId, nil
}

// publicZone looks up the zone of the domain, or creates it.
func (s *deployer) publicZone(opts []pulumi.ResourceOption) (pulumi.StringInput, error) {
	domain := s.cfg.DNS.Domain
	if !s.cfg.DNS.CreateZone {
		id, err := s.existingZone()
		return pulumi.String(id), err
	}
	zone, err := route53.NewZone(s.ctx, "public", &route53.ZoneArgs{
		Name:         pulumi.String(domain),
		Comment:      pulumi.String("Public names of cluster " + s.cfg.Cluster.Name),
		ForceDestroy: pulumi.Bool(!*s.cfg.Protection.Protect),
		Tags:         s.tags("public"),
	}, with(opts, s.protect())...)
	if err != nil {
		return nil, fmt.Errorf("public zone %s: %w", domain, err)
	}
	zone.NameServers.ApplyT(func(servers []string) error {
		return s.ctx.Log.Warn(fmt.Sprintf("The certificate is issued once %s is delegated to its new zone. "+
			"Set these name servers where the domain is registered: %s", domain, strings.Join(servers, ", ")), nil)
	})
	return zone.ZoneId, nil
}

// certificateTimeout replaces the provider's 75 minutes. If validation takes longer, the delegation of the domain is
// wrong.
const certificateTimeout = "15m"

func (d *DNS) certificate(s *deployer, zoneID pulumi.StringInput, opts []pulumi.ResourceOption) error {
	hosts := certificateHosts(s.cfg)
	cert, err := acm.NewCertificate(s.ctx, "ingress", &acm.CertificateArgs{
		DomainName:              pulumi.String(hosts[0]),
		SubjectAlternativeNames: pulumi.ToStringArray(hosts[1:]),
		ValidationMethod:        pulumi.String("DNS"),
		Tags:                    s.tags("ingress"),
	}, opts...)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", strings.Join(hosts, ", "), err)
	}
	names, err := d.validations(s, cert, hosts, zoneID, opts)
	if err != nil {
		return err
	}
	validation, err := acm.NewCertificateValidation(s.ctx, "ingress", &acm.CertificateValidationArgs{
		CertificateArn:        cert.Arn,
		ValidationRecordFqdns: names,
	}, with(opts, pulumi.Timeouts(&pulumi.CustomTimeouts{Create: certificateTimeout}))...)
	if err != nil {
		return fmt.Errorf("validation of the certificate: %w", err)
	}
	d.CertificateARN = validation.CertificateArn.ToStringPtrOutput()
	return nil
}

// validationTTL also distinguishes records that stay according to their state from those created before (recordTTL).
const validationTTL = 300

// validations creates the records by which ACM validates that the account controls the hosts. There is one for each
// record that AWS asks for: a name and its wildcard share one. It returns the names of the records.
// ACM asks for the same record for every certificate of a name in an account, and reads it again for every renewal.
// So the records stay when a host or the stack is removed: deleting one would break the renewal of another stack's
// certificate eleven months later. A record costs nothing. A zone that the stack created is deleted with all of them.
func (d *DNS) validations(
	s *deployer, cert *acm.Certificate, hosts []string, zoneID pulumi.StringInput, opts []pulumi.ResourceOption,
) (pulumi.StringArray, error) {
	names, made := pulumi.StringArray{}, map[string]bool{}
	for _, host := range hosts {
		base := strings.TrimPrefix(host, "*.")
		if made[base] {
			continue
		}
		made[base] = true
		option := cert.DomainValidationOptions.ApplyT(
			func(all []acm.CertificateDomainValidationOption) (acm.CertificateDomainValidationOption, error) {
				return optionOf(host, all)
			}).(acm.CertificateDomainValidationOptionOutput)
		args := &route53.RecordArgs{
			ZoneId:  zoneID,
			Name:    option.ResourceRecordName().Elem(),
			Type:    option.ResourceRecordType().Elem(),
			Records: pulumi.StringArray{option.ResourceRecordValue().Elem()},
			Ttl:     pulumi.Int(validationTTL),
			// Another certificate may already have created the same record.
			AllowOverwrite: pulumi.Bool(true),
		}
		for _, name := range s.validationNames(base) {
			record, err := route53.NewRecord(s.ctx, "validate-"+name, args, with(opts,
				pulumi.RetainOnDelete(true),
				// In older stacks the record is named after the wildcard.
				pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("validate-*." + base)}}))...)
			if err != nil {
				return nil, fmt.Errorf("validation record of %s: %w", host, err)
			}
			if name == base {
				names = append(names, record.Fqdn)
			}
		}
	}
	return names, nil
}

// validationNames returns the hosts that get a record. An older stack may have two resources for one record: that of
// a name and that of its wildcard. The second can be dropped without deleting the record only after an up has written
// to the state that the record stays. That up still declares it.
func (s *deployer) validationNames(base string) []string {
	wildcard := "*." + base
	_, both := s.exists.Validations[base]
	if both && s.exists.Validations[wildcard] == recordTTL {
		return []string{base, wildcard}
	}
	return []string{base}
}

func optionOf(host string, options []acm.CertificateDomainValidationOption) (acm.CertificateDomainValidationOption,
	error) {
	for _, o := range options {
		if o.DomainName != nil && *o.DomainName == host {
			return o, nil
		}
	}
	return acm.CertificateDomainValidationOption{}, fmt.Errorf("AWS gave no validation record for %s", host)
}

// certificateHosts returns the names that the shared load balancer serves: the add-ons' and the user's.
func certificateHosts(cfg *config.Config) []string {
	return append([]string{"argocd." + cfg.DNS.Domain, "grafana." + cfg.DNS.Domain}, cfg.DNS.IngressHosts...)
}
