package addons

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
)

// registered is one resource as the engine would get it.
type registered struct {
	kind, name   string
	inputs       resource.PropertyMap
	dependencies []string
	parent       string
	provider     string
	retained     bool
	deletedWith  string
	version      string
	timeout      string
}

// recorder answers for all providers and records the registered resources.
type recorder struct {
	mutex     sync.Mutex
	resources map[string]registered
}

func (r *recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{}, nil
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	entry := registered{kind: args.TypeToken, name: args.Name, inputs: args.Inputs, provider: args.Provider}
	if rpc := args.RegisterRPC; rpc != nil {
		for _, urn := range rpc.GetDependencies() {
			entry.dependencies = append(entry.dependencies, nameOf(urn))
		}
		entry.parent = nameOf(rpc.GetParent())
		entry.retained = rpc.GetRetainOnDelete()
		entry.deletedWith = nameOf(rpc.GetDeletedWith())
		entry.version = rpc.GetVersion()
		entry.timeout = rpc.GetCustomTimeouts().GetCreate()
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if _, twice := r.resources[entry.name+"|"+entry.kind]; twice {
		return "", nil, fmt.Errorf("%s %s is registered twice", entry.kind, entry.name)
	}
	r.resources[entry.name+"|"+entry.kind] = entry

	outputs := args.Inputs.Copy()
	switch {
	case strings.HasPrefix(args.TypeToken, "tls:"):
		for _, key := range []resource.PropertyKey{"privateKeyPem", "privateKeyOpenssh", "publicKeyOpenssh", "publicKeyPem",
			"certPem", "certRequestPem"} {
			outputs[key] = resource.NewProperty(args.Name + "/" + string(key))
		}
	case args.TypeToken == "random:index/randomPassword:RandomPassword":
		outputs["result"] = resource.NewProperty("generated-" + args.Name)
	case args.TypeToken == "random:index/randomUuid7:RandomUuid7":
		// 2026-03-01T12:00:00Z
		outputs["result"] = resource.NewProperty("019ca945-0a00-7000-8000-000000000000")
	case args.TypeToken == "random:index/randomBytes:RandomBytes":
		length := int(args.Inputs["length"].NumberValue())
		outputs["base64"] = resource.NewProperty(base64.StdEncoding.EncodeToString(make([]byte, length)))
	case strings.HasSuffix(args.TypeToken, ":Ingress"):
		outputs["status"] = resource.NewProperty(
			resource.PropertyMap{"loadBalancer": resource.NewProperty(resource.PropertyMap{
				"ingress": resource.NewProperty([]resource.PropertyValue{resource.NewProperty(resource.PropertyMap{
					"hostname": resource.NewProperty("shared.elb.amazonaws.com"),
				})}),
			})})
	}
	return args.Name + "-id", outputs, nil
}

func nameOf(urn string) string {
	parts := strings.Split(urn, "::")
	return parts[len(parts)-1]
}

// install runs the program's add-ons on an invented cluster of the dev stack, with changes to its settings.
func install(t *testing.T, secrets map[string]string, change func(*config.Config)) *recorder {
	t.Helper()
	cfg, err := config.LoadFile("dev", "..")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(cfg)
	}
	settings := map[string]string{}
	var hidden []string
	for key, value := range secrets {
		settings[config.Namespace+":"+key] = value
		hidden = append(hidden, config.Namespace+":"+key)
	}
	t.Setenv("PULUMI_CONFIG", jsonOf(t, settings))
	t.Setenv("PULUMI_CONFIG_SECRET_KEYS", jsonOf(t, hidden))

	r := &recorder{resources: map[string]registered{}}
	err = pulumi.RunErr(func(ctx *pulumi.Context) error {
		provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{})
		if err != nil {
			return err
		}
		policy, machine := &outside{}, &outside{}
		if err := ctx.RegisterResource("test:index:Policy", "controller-policy", pulumi.Map{}, policy); err != nil {
			return err
		}
		if err := ctx.RegisterResource("test:index:Machine", "machine", pulumi.Map{}, machine); err != nil {
			return err
		}
		made, err := cluster.New(ctx, cfg.Cluster.Name, cluster.NewTokenKeys(cfg))
		if err != nil {
			return err
		}
		if err := made.Build(ctx, clusterArgs(cfg, machine)); err != nil {
			return err
		}
		args := Args{
			Config:            cfg,
			Cluster:           made,
			VPCID:             pulumi.String("vpc-1"),
			SubnetIDs:         pulumi.ToStringArray([]string{"subnet-a", "subnet-b"}),
			LoadBalancerGroup: pulumi.String("sg-balancer"),
			BackendGroup:      pulumi.String("sg-backend"),
			BackupBucket:      pulumi.String("backups"),
			Roles:             rolesOf(cfg),
			DependsOn:         []pulumi.Resource{policy},
			AWSProvider:       provider,
		}
		if cfg.DNS.Domain != "" {
			args.CertificateARN = pulumi.StringPtr("arn:aws:acm:eu-central-1:1:certificate/1")
			args.ZoneID = pulumi.StringPtr("Z1")
		}
		if cfg.Addons.PostgreSQL.BacksUp() {
			args.DatabaseBackupRole = pulumi.String("arn:aws:iam::1:role/dev-postgresql-backup")
		}
		if cfg.Addons.Logging.On() {
			args.LogBucket = pulumi.StringPtr("logs")
		}
		_, err = Install(ctx, args)
		return err
	}, pulumi.WithMocks("kubeadm-aws", "dev", r))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// outside is a resource of another layer.
type outside struct{ pulumi.CustomResourceState }

func clusterArgs(cfg *config.Config, machine pulumi.Resource) cluster.Args {
	args := cluster.Args{
		Config:         cfg,
		SSHPrivateKey:  pulumi.String("ssh-key"),
		Endpoint:       cfg.APIName(),
		PublicEndpoint: pulumi.String("203.0.113.7"),
		BackupBucket:   pulumi.String("backups"),
		Scripts:        Scripts,
	}
	for i, node := range cfg.Nodes {
		args.Hosts = append(args.Hosts, cluster.Host{
			Node: node, Address: pulumi.String("203.0.113.1"), PrivateIP: pulumi.Sprintf("10.0.0.%d", i+10),
			ProviderID: pulumi.Sprintf("aws:///eu-central-1a/i-%d", i), Zone: "eu-central-1a", User: "ubuntu",
			HostKey: pulumi.String("ssh-ed25519 AAAA"), Machine: machine,
		})
	}
	return args
}

// everything enables the add-ons that the dev stack disables.
func everything(cfg *config.Config) {
	on := true
	cfg.DNS.Domain = "example.com"
	cfg.DNS.IngressHosts = []string{"shop.example.com"}
	cfg.Addons.Logging.Enabled = &on
	cfg.Addons.PostgreSQL.Enabled = &on
	cfg.Addons.ArgoCD.RepoURL = "https://git.example.com/platform.git"
	cfg.Addons.ArgoCD.Registry = "registry.example.com/team"
	cfg.Addons.ArgoCD.Revision = "main"
}

// find returns the resource with a name, whatever its type.
func (r *recorder) find(t *testing.T, name string) registered {
	t.Helper()
	for key, entry := range r.resources {
		if strings.HasPrefix(key, name+"|") && !strings.HasPrefix(entry.kind, "pulumi:providers") {
			return entry
		}
	}
	t.Fatalf("%s is not registered; there are:\n%s", name, strings.Join(slices.Sorted(maps.Keys(r.resources)), "\n"))
	return registered{}
}

func (r *recorder) has(name string) bool {
	for key := range r.resources {
		if strings.HasPrefix(key, name+"|") {
			return true
		}
	}
	return false
}

// releases returns the Helm releases by name.
func (r *recorder) releases() map[string]registered {
	found := map[string]registered{}
	for _, entry := range r.resources {
		if entry.kind == "kubernetes:helm.sh/v3:Release" {
			found[entry.name] = entry
		}
	}
	return found
}

// outlives reports whether one resource can only be deleted after the other: whether there is a path of dependencies.
func (r *recorder) outlives(lasting, going string) bool {
	byName := map[string][]string{}
	for _, entry := range r.resources {
		byName[entry.name] = append(byName[entry.name], entry.dependencies...)
	}
	seen := map[string]bool{}
	var reach func(string) bool
	reach = func(name string) bool {
		if name == lasting {
			return true
		}
		if seen[name] {
			return false
		}
		seen[name] = true
		return slices.ContainsFunc(byName[name], reach)
	}
	return going != lasting && reach(going)
}

// isObject reports whether a resource is a Kubernetes object that is not a release.
func isObject(entry registered) bool {
	return strings.HasPrefix(entry.kind, "kubernetes:") && entry.kind != "kubernetes:helm.sh/v3:Release"
}
