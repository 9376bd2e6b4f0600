package infra

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// external is the world outside the program: a monitor that records what the program registers and creates nothing.
type external struct {
	t         *testing.T
	cfg       *config.Config
	infra     *Infra
	mutex     sync.Mutex
	resources map[string]registered // by URN
	calls     map[string]resource.PropertyMap
}

type registered struct{ pulumi.MockResourceArgs }

func (r registered) String() string { return r.TypeToken + " " + r.Name }

// settings are the keys of a stack's file below the namespace, structured values as JSON.
type settings map[string]string

func load(t *testing.T, stack string, over settings) *config.Config {
	t.Helper()
	values := settings{"access": `{"adminCidrs":["203.0.113.0/24","198.51.100.7/32"]}`}
	maps.Copy(values, over)
	cfg, err := config.Load(stack, func(key string) (string, bool) {
		v, ok := values[strings.TrimPrefix(key, config.Namespace+":")]
		if key == "aws:region" && !ok {
			return "eu-central-1", true
		}
		return v, ok
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// deploy runs New and Build for a stack.
func deploy(t *testing.T, stack string, over settings) *external {
	t.Helper()
	w, err := try(t, stack, over)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// try is deploy for a stack that may be refused.
func try(t *testing.T, stack string, over settings) (*external, error) {
	t.Helper()
	return tryOver(t, stack, over, Exists{})
}

// tryOver is try for a stack that exists.
func tryOver(t *testing.T, stack string, over settings, exists Exists) (*external, error) {
	t.Helper()
	w := &external{t: t, cfg: load(t, stack, over), resources: map[string]registered{},
		calls: map[string]resource.PropertyMap{}}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		in, err := New(ctx, w.cfg, exists)
		if err != nil {
			return err
		}
		w.infra = in
		var authority pulumi.CustomResourceState
		if err := ctx.RegisterResource("test:index:Authority", "authority", nil, &authority); err != nil {
			return err
		}
		return in.Build(Before{Identity: []pulumi.Resource{&authority}})
	}, pulumi.WithMocks(config.Namespace, stack, w))
	return w, err
}

// acme is required by validation together with a domain.
const acme = `{"acme":{"email":"admin@example.com"}}`

// NewResource returns the inputs and the outputs that AWS would add and other resources use.
func (w *external) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	outputs := args.Inputs.Copy()
	set := func(key, value string) { outputs[resource.PropertyKey(key)] = resource.NewProperty(value) }
	switch args.TypeToken {
	case "aws:s3/bucketV2:BucketV2":
		set("bucket", args.Name+"-0a1b2c3")
		set("arn", "arn:"+w.cfg.Partition()+":s3:::"+args.Name+"-0a1b2c3")
	case "aws:ec2/instance:Instance":
		set("publicIp", "public-ip-of-"+args.Name)
		set("privateIp", "private-ip-of-"+args.Name)
	case "aws:ec2/eip:Eip":
		set("publicIp", "elastic-ip-of-"+args.Name)
		set("allocationId", "eipalloc-"+args.Name)
	case "aws:iam/instanceProfile:InstanceProfile", "aws:iam/role:Role":
		set("name", args.Name)
		set("arn", "arn:"+w.cfg.Partition()+":iam::123456789012:role/"+args.Name)
	case "aws:iam/openIdConnectProvider:OpenIdConnectProvider":
		set("arn", "arn:"+w.cfg.Partition()+":iam::123456789012:oidc-provider/issuer")
	case "aws:ec2/keyPair:KeyPair":
		set("keyName", args.Name)
	case "tls:index/privateKey:PrivateKey":
		outputs["privateKeyOpenssh"] = resource.MakeSecret(resource.NewProperty("private key of " + args.Name))
		set("publicKeyOpenssh", "ssh-ed25519 "+args.Name+"\n")
	case "aws:route53/zone:Zone":
		set("zoneId", "zone-"+args.Name)
	case "aws:acm/certificate:Certificate":
		var options []resource.PropertyValue
		for _, host := range append([]resource.PropertyValue{args.Inputs["domainName"]},
			args.Inputs["subjectAlternativeNames"].ArrayValue()...) {
			options = append(options, resource.NewProperty(resource.PropertyMap{
				"domainName":          host,
				"resourceRecordName":  resource.NewProperty("_x." + host.StringValue()),
				"resourceRecordType":  resource.NewProperty("CNAME"),
				"resourceRecordValue": resource.NewProperty("_y." + host.StringValue()),
			}))
		}
		slices.Reverse(options) // AWS guarantees no order
		outputs["domainValidationOptions"] = resource.NewProperty(options)
		set("arn", "arn:aws:acm:eu-central-1:123456789012:certificate/0")
	}
	w.resources[urn(args)] = registered{args}
	return args.Name + "-id", outputs, nil
}

// urn returns the engine's name of a resource: its type below the types of its parents.
func urn(args pulumi.MockResourceArgs) string {
	head, kind := "urn:pulumi:stack::project", args.TypeToken
	if parent := strings.Split(args.RegisterRPC.GetParent(), "::"); len(parent) == 4 {
		head = parent[0] + "::" + parent[1]
		if parent[2] != "pulumi:pulumi:Stack" {
			kind = parent[2] + "$" + kind
		}
	}
	return head + "::" + kind + "::" + args.Name
}

// Call answers the program's requests to AWS.
func (w *external) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.calls[args.Token] = args.Args
	switch args.Token {
	case "aws:index/getCallerIdentity:getCallerIdentity":
		return resource.PropertyMap{"accountId": resource.NewProperty("123456789012")}, nil
	case "aws:ssm/getParameter:getParameter":
		return resource.PropertyMap{"insecureValue": resource.NewProperty("ami of " + args.Args["name"].StringValue())}, nil
	case "aws:route53/getZone:getZone":
		return w.zone(args.Args)
	case "aws:route53/getRecords:getRecords":
		if args.Args["zoneId"].StringValue() == "zone-of-taken.example.com" {
			return resource.NewPropertyMapFromMap(map[string]any{"resourceRecordSets": []any{
				map[string]any{"name": "api.taken.example.com.", "type": "A"}}}), nil
		}
	}
	if answer, ok := anything(w.cfg)[args.Token]; ok {
		return resource.NewPropertyMapFromMap(answer), nil
	}
	return nil, fmt.Errorf("unexpected call of %s", args.Token)
}

// zone returns the public zone of a name, or of an id. There are two zones of twice.example.com.
func (w *external) zone(asked resource.PropertyMap) (resource.PropertyMap, error) {
	name, id := "example.com", ""
	if v := asked["name"]; v.IsString() {
		name, id = v.StringValue(), "zone-of-"+v.StringValue()
	}
	if v := asked["zoneId"]; v.IsString() {
		id = v.StringValue()
	} else if name == "twice.example.com" {
		return nil, fmt.Errorf("multiple Route 53 Hosted Zones matched")
	}
	return resource.PropertyMap{
		"zoneId": resource.NewProperty(id), "name": resource.NewProperty(name),
		"privateZone": resource.NewProperty(id == "ZPRIVATE"),
	}, nil
}

// anything is an account with every zone and every instance type, without other clusters and without limits.
// stack/preflight_test.go has the other accounts.
func anything(cfg *config.Config) map[string]map[string]any {
	var zones, types, locations []any
	for _, letter := range cfg.Network.Zones {
		zones = append(zones, cfg.Region+letter)
		for _, n := range cfg.Nodes {
			types, locations = append(types, n.InstanceType), append(locations, cfg.Region+letter)
		}
	}
	return map[string]map[string]any{
		"aws:index/getAvailabilityZones:getAvailabilityZones":       {"names": zones},
		"aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": {"instanceTypes": types, "locations": locations},
		"aws:ec2/getInstanceType:getInstanceType": {"defaultVcpus": 2, "memorySize": 1 << 20,
			"supportedArchitectures": []any{"x86_64", "arm64"}},
		"aws:ec2/getInstances:getInstances":                              {"ids": []any{}},
		"aws:route53/getRecords:getRecords":                              {"resourceRecordSets": []any{}},
		"aws:ec2/getAmi:getAmi":                                          {"architecture": "x86_64", "rootDeviceType": "ebs"},
		"aws:ec2/getVpcs:getVpcs":                                        {"ids": []any{}},
		"aws:ec2/getEips:getEips":                                        {"allocationIds": []any{}},
		"aws:servicequotas/getServiceQuota:getServiceQuota":              {"value": 1e6},
		"aws:s3/getAccountPublicAccessBlock:getAccountPublicAccessBlock": {"blockPublicAcls": true},
	}
}

// all returns the resources whose type ends in kind, by name.
func (w *external) all(kind string) map[string]registered {
	found := map[string]registered{}
	for _, r := range w.resources {
		if strings.HasSuffix(r.TypeToken, ":"+kind) {
			found[r.Name] = r
		}
	}
	return found
}

// one returns the resource of that type and name.
func (w *external) one(kind, name string) registered {
	w.t.Helper()
	r, ok := w.all(kind)[name]
	if !ok {
		w.t.Fatalf("no %s %q among %v", kind, name, slices.Sorted(maps.Keys(w.all(kind))))
	}
	return r
}

// needs returns the URNs that a resource depends on, directly or indirectly.
func (w *external) needs(r registered) map[string]bool {
	seen := map[string]bool{}
	var visit func(registered)
	visit = func(r registered) {
		for _, d := range r.RegisterRPC.GetDependencies() {
			if !seen[d] {
				seen[d] = true
				visit(w.resources[d])
			}
		}
	}
	visit(r)
	return seen
}

// at returns the input at a path of keys, or null if it is absent.
func (r registered) at(path ...string) resource.PropertyValue {
	v := resource.NewProperty(r.Inputs)
	for _, key := range path {
		for v.IsSecret() {
			v = v.SecretValue().Element
		}
		if !v.IsObject() {
			return resource.NewNullProperty()
		}
		v = v.ObjectValue()[resource.PropertyKey(key)]
	}
	return v
}

// await waits for an output of the deployed program.
func await[T any](t *testing.T, out pulumi.Output) T {
	t.Helper()
	done := make(chan T, 1)
	pulumi.All(out).ApplyT(func(v []any) error {
		done <- v[0].(T)
		return nil
	})
	return <-done
}
