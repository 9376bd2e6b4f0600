package aws

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// functions has the functions of the provider, by token.
var functions = map[string]func(p *Provider, r *engine.Request, args props.Map) (props.Map, error){
	"aws:index/getCallerIdentity:getCallerIdentity": func(p *Provider, _ *engine.Request, _ props.Map) (props.Map, error) {
		id := p.Account.number
		return props.Map{"id": id, "accountId": id, "arn": "arn:aws:iam::" + id + ":user/sandbox", "userId": "AIDASANDBOX"},
			nil
	},
	"aws:index/getAvailabilityZones:getAvailabilityZones":            getAvailabilityZones,
	"aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings":      getInstanceTypeOfferings,
	"aws:ec2/getInstanceType:getInstanceType":                        getInstanceType,
	"aws:ec2/getAmi:getAmi":                                          getAmi,
	"aws:route53/getRecords:getRecords":                              getRecords,
	"aws:ec2/getInstances:getInstances":                              getInstances,
	"aws:ec2/getInstance:getInstance":                                getInstance,
	"aws:ec2/getSubnet:getSubnet":                                    getSubnet,
	"aws:ec2/getVpcs:getVpcs":                                        getVpcs,
	"aws:ec2/getEips:getEips":                                        getEips,
	"aws:ebs/getEbsVolumes:getEbsVolumes":                            getEbsVolumes,
	"aws:s3/getAccountPublicAccessBlock:getAccountPublicAccessBlock": getAccountPublicAccessBlock,
	"aws:servicequotas/getServiceQuota:getServiceQuota":              getServiceQuota,
	"aws:ssm/getParameter:getParameter":                              getParameter,
	"aws:route53/getZone:getZone":                                    getZone,
}

func (p *Provider) Invoke(r *engine.Request, args props.Map) (props.Map, error) {
	f, ok := functions[r.Type]
	if !ok {
		return nil, engine.UnknownFunction(r.Type)
	}
	if slices.Contains(p.Limits.Denied, r.Type) {
		return nil, fmt.Errorf("%s: api error UnauthorizedOperation: You are not authorized to perform this operation",
			r.Type)
	}
	return f(p, r, args)
}

// armImage is the last part of the id of every image for ARM that the vendors publish.
const armImage = 0xa64

// imageID returns an AMI id that depends on the text alone. Console.PublishImages changes the text.
func imageID(of string) string {
	kind := 0
	if strings.Contains(of, "/arm64") {
		kind = armImage
	}
	return fmt.Sprintf("ami-%08x%09x", crc32.ChecksumIEEE([]byte(of)), kind)
}

// imageArchitecture returns the architecture of an image, as EC2 names it. An image that is not known is for x86.
func (l Limits) imageArchitecture(id string) string {
	if image := l.Images[id]; image.Architecture != "" {
		return image.Architecture
	}
	if strings.HasSuffix(id, fmt.Sprintf("%09x", armImage)) {
		return "arm64"
	}
	return "x86_64"
}

func getParameter(p *Provider, _ *engine.Request, args props.Map) (props.Map, error) {
	name := args.Str("name")
	p.Account.Lock()
	defer p.Account.Unlock()
	if !strings.HasPrefix(name, "/aws/service/") {
		return nil, fmt.Errorf("ParameterNotFound: %s", name)
	}
	value := imageID(name + p.Account.imageGeneration())
	return props.Map{
		"id": name, "name": name, "value": value, "insecureValue": value, "type": "String", "version": 1,
		"arn": "arn:aws:ssm:::parameter" + name, "withDecryption": true,
	}, nil
}

// imageGeneration returns a text that changes when the vendors publish new images.
func (a *Account) imageGeneration() string {
	if o := a.Find("host/images", "generation"); o != nil {
		return o.Str("value")
	}
	return ""
}

// getZone looks a hosted zone up. The simulated account owns every public domain but those below .invalid, so that a
// stack with a domain can be simulated.
func getZone(p *Provider, _ *engine.Request, args props.Map) (props.Map, error) {
	a := p.Account
	a.Lock()
	defer a.Unlock()
	name := strings.TrimSuffix(args.Str("name"), ".")
	var zone *store.Object
	for _, z := range a.All(zoneType) {
		private := len(z.Inputs.List("vpcs")) > 0
		if (z.ID == args.Str("zoneId") || strings.TrimSuffix(z.Str("name"), ".") == name) &&
			private == args.Flag("privateZone") {
			if zone != nil {
				return nil, fmt.Errorf("multiple Route 53 Hosted Zones matched %q", name)
			}
			zone = z
		}
	}
	if zone == nil {
		if name == "" || strings.HasSuffix(name, ".invalid") || args.Flag("privateZone") {
			return nil, fmt.Errorf("no matching Route 53 Hosted Zone found for %q", name)
		}
		zone = zoneBefore(name)
		a.Put(zone)
	}
	return props.Map{
		"id": zone.ID, "zoneId": zone.ID, "name": zone.Str("name"), "privateZone": args.Flag("privateZone"), "comment": "",
		"arn": "arn:aws:route53:::hostedzone/" + zone.ID, "nameServers": nameServers(nil), "resourceRecordSetCount": 2,
		"primaryNameServer": "ns-100.awsdns-00.example.", "callerReference": "", "linkedServicePrincipal": "",
		"linkedServiceDescription": "",
		"tags":                     map[string]any{}, "vpcId": "",
	}, nil
}

// zoneBefore returns a public zone that existed before the stack.
func zoneBefore(name string) *store.Object {
	return &store.Object{
		Type: zoneType, ID: fmt.Sprintf("Z%08X", crc32.ChecksumIEEE([]byte(name))), Inputs: props.Map{"name": name},
		State: props.Map{"before": true},
	}
}

// Configure refuses an account that the provider's settings exclude, with the message of the real provider.
func (p *Provider) Configure(config props.Map) error {
	id := p.Account.number
	allowed, forbidden := nested(config, "allowedAccountIds"), nested(config, "forbiddenAccountIds")
	if slices.Contains(forbidden, id) || len(allowed) > 0 && !slices.Contains(allowed, id) {
		return fmt.Errorf("AWS account ID not allowed: %s", id)
	}
	return nil
}

// nested reads a list in the settings of a provider resource, where it arrives as JSON.
func nested(config props.Map, key string) []string {
	list := config.Strings(key)
	if text := config.Str(key); text != "" {
		list = nil
		_ = json.Unmarshal([]byte(text), &list)
	}
	return list
}
