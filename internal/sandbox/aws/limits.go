package aws

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// Limits restrict an account, for tests of the checks that the program makes before the first resource. The zero value
// is an ordinary account.
type Limits struct {
	// AccountID is 123456789012 when it is empty.
	AccountID string
	// Zones are the letters of the region's zones; nil takes those that new accounts have.
	Zones []string
	// NotOffered maps an instance type to the letters of zones that do not offer it.
	NotOffered map[string][]string
	// Quotas are values by quota code, instead of the defaults.
	Quotas map[string]float64
	// Images are the machine images of the region by id; nil has every image.
	Images map[string]Image
	// BlocksPublicPolicies is the account's own Block Public Access for S3.
	BlocksPublicPolicies bool
	// Denied are tokens of functions that the caller has no permission for.
	Denied []string
}

// zonesOf are the letters of the zones that a new account has, where they are not a, b and c.
var zonesOf = map[string]string{
	"ap-northeast-1": "acd", "ap-northeast-2": "abcd", "ca-central-1": "abd", "cn-north-1": "abd", "us-east-1": "abcdef",
	"us-west-1": "ab", "us-west-2": "abcd",
}

func (p *Provider) zoneNames(r *engine.Request) []string {
	region := r.Config.Str("region")
	letters := p.Limits.Zones
	if letters == nil {
		letters = strings.Split(cmp.Or(zonesOf[region], "abc"), "")
	}
	var names []string
	for _, letter := range letters {
		names = append(names, region+letter)
	}
	return names
}

func getAvailabilityZones(p *Provider, r *engine.Request, _ props.Map) (props.Map, error) {
	region := r.Config.Str("region")
	var names, ids []any
	for i, name := range p.zoneNames(r) {
		names, ids = append(names, name), append(ids, fmt.Sprintf("%s-az%d", region, i+1))
	}
	return props.Map{"id": region, "names": names, "zoneIds": ids, "groupNames": []any{region}}, nil
}

func getInstanceTypeOfferings(p *Provider, r *engine.Request, args props.Map) (props.Map, error) {
	var types, locations, kinds []any
	for _, name := range filterValues(args, "instance-type") {
		if _, known := machineOf(name); !known {
			continue
		}
		for _, zone := range p.zoneNames(r) {
			if !slices.Contains(p.Limits.NotOffered[name], strings.TrimPrefix(zone, r.Config.Str("region"))) {
				types, locations, kinds = append(types, name), append(locations, zone), append(kinds, "availability-zone")
			}
		}
	}
	return props.Map{"id": r.Config.Str("region"), "instanceTypes": types, "locations": locations, "locationTypes": kinds,
		"locationType": args["locationType"]}, nil
}

// machine is the size of an instance type.
type machine struct{ vcpus, memoryMiB int }

// sizes are the vCPUs of each size in the families that are not burstable.
var sizes = map[string]int{"medium": 1, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32,
	"12xlarge": 48, "16xlarge": 64, "24xlarge": 96}

// perVCPU is the memory in GiB for each vCPU, by the first letter of the family.
var perVCPU = map[string]int{"c": 2, "m": 4, "r": 8, "x": 16, "i": 8}

// burstable are the sizes of the burstable families, whose names begin with t.
var burstable = map[string]machine{
	"nano": {2, 512}, "micro": {2, 1 << 10}, "small": {2, 2 << 10}, "medium": {2, 4 << 10}, "large": {2, 8 << 10},
	"xlarge": {4, 16 << 10}, "2xlarge": {8, 32 << 10},
}

// machineOf returns the size of an instance type in one of the usual families. known is false for any other name.
func machineOf(name string) (m machine, known bool) {
	family, size, _ := strings.Cut(name, ".")
	if family == "" {
		return m, false
	}
	if family[0] == 't' {
		m, known = burstable[size]
		return m, known
	}
	vcpus, gib := sizes[size], perVCPU[family[:1]]
	return machine{vcpus, vcpus * gib << 10}, vcpus*gib > 0
}

// graviton matches the families with processors of AWS's own, such as t4g, m7gd and a1.
var graviton = regexp.MustCompile(`^(a1|[a-z]+[0-9]+g[a-z]*)\.`)

// architectureOf returns the architecture of an instance type, as EC2 names it.
func architectureOf(instanceType string) string {
	if graviton.MatchString(instanceType) {
		return "arm64"
	}
	return "x86_64"
}

func getInstanceType(_ *Provider, _ *engine.Request, args props.Map) (props.Map, error) {
	name := args.Str("instanceType")
	m, known := machineOf(name)
	if !known {
		return nil, fmt.Errorf("no EC2 Instance Type found: %s", name)
	}
	return props.Map{"id": name, "instanceType": name, "defaultVcpus": m.vcpus, "memorySize": m.memoryMiB,
		"supportedArchitectures": []any{architectureOf(name)}, "currentGeneration": true}, nil
}

func getInstances(p *Provider, r *engine.Request, args props.Map) (props.Map, error) {
	a := p.Account
	ids := a.idsOf(InstanceType, args, func(o *store.Object, filter string) []string {
		if filter == "vpc-id" {
			return []string{a.VPCOf(o)}
		}
		return nil
	})
	return props.Map{"id": r.Config.Str("region"), "ids": ids, "privateIps": []any{}, "publicIps": []any{},
		"ipv6Addresses": []any{}}, nil
}

func getInstance(p *Provider, _ *engine.Request, args props.Map) (props.Map, error) {
	a := p.Account
	a.Lock()
	defer a.Unlock()
	o := a.Find(InstanceType, args.Str("instanceId"))
	if o == nil {
		return nil, fmt.Errorf("reading EC2 instance %s: your query returned no results", args.Str("instanceId"))
	}
	return props.Map{"id": o.ID, "subnetId": o.Str("subnetId"), "instanceType": o.Str("instanceType"),
		"instanceState": "running"}, nil
}

func getSubnet(p *Provider, _ *engine.Request, args props.Map) (props.Map, error) {
	a := p.Account
	a.Lock()
	defer a.Unlock()
	o := a.Find(SubnetType, args.Str("id"))
	if o == nil {
		return nil, fmt.Errorf("no matching EC2 Subnet found: %s", args.Str("id"))
	}
	return props.Map{"id": o.ID, "vpcId": o.Str("vpcId"), "cidrBlock": o.Str("cidrBlock")}, nil
}

func getVpcs(p *Provider, r *engine.Request, args props.Map) (props.Map, error) {
	return props.Map{"id": r.Config.Str("region"), "ids": p.Account.idsOf(VPCType, args, nil)}, nil
}

func getEips(p *Provider, r *engine.Request, args props.Map) (props.Map, error) {
	return props.Map{"id": r.Config.Str("region"), "allocationIds": p.Account.idsOf(EIPType, args, nil),
		"publicIps": []any{}}, nil
}

func getEbsVolumes(p *Provider, r *engine.Request, args props.Map) (props.Map, error) {
	ids := p.Account.idsOf(VolumeType, args, func(o *store.Object, filter string) []string {
		if filter == "availability-zone" {
			return []string{o.Str("availabilityZone")}
		}
		return nil
	})
	return props.Map{"id": r.Config.Str("region"), "ids": ids}, nil
}

// defaultQuotas are the values that AWS sets, by code. New accounts have fewer vCPUs until they have been used for a
// while.
var defaultQuotas = map[string]float64{"L-1216C47A": 640, "L-34B43A08": 640, "L-0263D0A3": 5, "L-F678F1CE": 5}

func getServiceQuota(p *Provider, _ *engine.Request, args props.Map) (props.Map, error) {
	code := args.Str("quotaCode")
	value, ok := p.Limits.Quotas[code]
	if !ok {
		value, ok = defaultQuotas[code]
	}
	if !ok {
		return nil, fmt.Errorf("NoSuchResourceException: the sandbox does not know the quota %s", code)
	}
	return props.Map{"id": code, "quotaCode": code, "serviceCode": args.Str("serviceCode"), "value": value,
		"defaultValue": value, "adjustable": true}, nil
}

// idsOf returns the ids of the objects of a type that match all filters. attribute returns the values of an object for
// a filter that is not about tags.
func (a *Account) idsOf(typ string, args props.Map, attribute func(o *store.Object, filter string) []string) []any {
	a.Lock()
	defer a.Unlock()
	ids := []any{}
	for _, o := range a.All(typ) {
		matches := true
		for _, v := range args.List("filters") {
			filter := props.Map(v.(map[string]any))
			var has []string
			tag, isTag := strings.CutPrefix(filter.Str("name"), "tag:")
			switch {
			case isTag:
				has = []string{o.Tags()[tag]}
			case filter.Str("name") == "tag-key":
				has = slices.Sorted(maps.Keys(o.Tags()))
			default:
				has = attribute(o, filter.Str("name"))
			}
			matches = matches && slices.ContainsFunc(filter.Strings("values"),
				func(want string) bool { return slices.Contains(has, want) })
		}
		if matches {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

// filterValues returns the values of one filter.
func filterValues(args props.Map, name string) []string {
	for _, v := range args.List("filters") {
		if filter := props.Map(v.(map[string]any)); filter.Str("name") == name {
			return filter.Strings("values")
		}
	}
	return nil
}

// getAccountPublicAccessBlock fails for an account that has never set it, with the message of the real provider.
func getAccountPublicAccessBlock(p *Provider, _ *engine.Request, _ props.Map) (props.Map, error) {
	id := p.Account.number
	if !p.Limits.BlocksPublicPolicies {
		return nil, fmt.Errorf("reading S3 Account Public Access Block (%s): couldn't find resource", id)
	}
	return props.Map{"id": id, "accountId": id, "blockPublicAcls": true, "ignorePublicAcls": true,
		"blockPublicPolicy": true, "restrictPublicBuckets": true}, nil
}
