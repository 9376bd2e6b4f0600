package cluster

import (
	"context"
	"encoding/base64"
	"math"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// recorder replaces the engine: it records the registered resources and returns marked secrets.
type recorder struct {
	mu        sync.Mutex
	resources map[string]pulumi.MockResourceArgs
	identity  []pulumi.Resource
}

const marker = "SECRET-MATERIAL"

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resources[args.TypeToken+"/"+args.Name] = args
	out := args.Inputs.Copy()
	switch args.TypeToken {
	case "tls:index/privateKey:PrivateKey":
		out["privateKeyPem"] = resource.MakeSecret(resource.NewProperty(marker + args.Name))
		out["publicKeyPem"] = resource.NewProperty("public " + args.Name)
	case "tls:index/selfSignedCert:SelfSignedCert", "tls:index/locallySignedCert:LocallySignedCert":
		out["certPem"] = resource.NewProperty("certificate " + args.Name)
	case "random:index/randomBytes:RandomBytes":
		out["base64"] = resource.NewProperty(base64.StdEncoding.EncodeToString([]byte(marker + "-----------------")))
	}
	return args.Name + "-id", out, nil
}

func (r *recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{}, nil
}

func (r *recorder) command(t *testing.T, name string) pulumi.MockResourceArgs {
	t.Helper()
	args, ok := r.resources["command:remote:Command/"+name]
	if !ok {
		t.Fatalf("there is no step %s", name)
	}
	return args
}

func (r *recorder) commands() map[string]pulumi.MockResourceArgs {
	found := map[string]pulumi.MockResourceArgs{}
	for key, args := range r.resources {
		if name, ok := strings.CutPrefix(key, "command:remote:Command/"); ok {
			found[name] = args
		}
	}
	return found
}

// deploy creates a cluster of a control plane and two workers.
func deploy(t *testing.T, change func(*Args)) *recorder {
	t.Helper()
	return deployWith(t, NewTokenKeys(settings()), change)
}

// deployWith creates it with other keys of service accounts.
func deployWith(t *testing.T, keys TokenKeys, change func(*Args)) *recorder {
	t.Helper()
	r := &recorder{resources: map[string]pulumi.MockResourceArgs{}}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		args := Args{
			Config:         settings(),
			SSHPrivateKey:  pulumi.String(marker + "ssh"),
			Endpoint:       "api.dev.internal",
			PublicEndpoint: pulumi.String("203.0.113.7"),
			CertSANs:       pulumi.ToStringArray([]string{"203.0.113.7", "api.example.com"}),
			BackupBucket:   pulumi.String("backups"),
		}
		for i, n := range []config.Node{
			{Name: "master", Role: config.ControlPlane, InstanceType: "t3.large"},
			{Name: "worker-1", Role: config.Worker, InstanceType: "t3.medium"},
			worker().Node,
		} {
			machine := &machine{}
			if err := ctx.RegisterComponentResource("test:index:Machine", n.Name, machine); err != nil {
				return err
			}
			address := "10.0.1." + string(rune('1'+i))
			args.Hosts = append(args.Hosts, Host{
				Node: n, Zone: "eu-central-1a", User: "ubuntu", Machine: machine,
				Address: pulumi.String("198.51.100." + string(rune('1'+i))), PrivateIP: pulumi.String(address),
				ProviderID: pulumi.String("aws:///eu-central-1a/i-" + n.Name),
				HostKey:    pulumi.String("ssh-ed25519 " + n.Name),
			})
		}
		if change != nil {
			change(&args)
		}
		c, err := New(ctx, args.Config.Cluster.Name, keys)
		if err != nil {
			return err
		}
		r.identity = c.Identity()
		if err := c.Build(ctx, args); err != nil {
			return err
		}
		_, err = c.NodesReady(ctx)
		return err
	}, pulumi.WithMocks("kubeadm-aws", "dev", r))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type machine struct{ pulumi.ResourceState }

func text(t *testing.T, args pulumi.MockResourceArgs, key resource.PropertyKey) string {
	t.Helper()
	v := args.Inputs[key]
	if !v.IsString() {
		t.Fatalf("%s of %s is %v, want plain text", key, args.Name, v.TypeString())
	}
	return v.StringValue()
}

func TestStepsOfTheDefaultShape(t *testing.T) {
	r := deploy(t, nil)
	want := []string{
		"etcd-backup", "master-init", "master-node", "master-prepare", "master-ready", "nodes-ready",
		"storage-join", "storage-node", "storage-prepare", "storage-ready",
		"worker-1-join", "worker-1-node", "worker-1-prepare", "worker-1-ready",
	}
	var got []string
	for name := range r.commands() {
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("steps are\n%v, want\n%v", got, want)
	}
}

func TestEveryStepHasTheOptionsThatKeepItSafe(t *testing.T) {
	r := deploy(t, nil)
	for name, args := range r.commands() {
		in, rpc := args.Inputs, args.RegisterRPC
		if v := in["addPreviousOutputInEnv"]; !v.IsBool() || v.BoolValue() {
			t.Errorf("%s sends its last output to the host", name)
		}
		if in.HasValue("environment") {
			t.Errorf("%s uses the environment of SSH, which sshd refuses", name)
		}
		if in.HasValue("update") {
			t.Errorf("%s has an update of its own", name)
		}
		connection := in["connection"]
		if !connection.IsSecret() {
			t.Fatalf("the connection of %s is not secret", name)
		}
		fields := connection.SecretValue().Element.ObjectValue()
		if key := fields["hostKey"]; !key.IsString() || !strings.HasPrefix(key.StringValue(), "ssh-ed25519 ") {
			t.Errorf("%s does not pin the host key: %v", name, key)
		}
		on := "master"
		if strings.HasSuffix(name, "-ready") || strings.HasSuffix(name, "-prepare") || strings.HasSuffix(name, "-join") {
			on = name[:strings.LastIndex(name, "-")]
		}
		if name == "nodes-ready" {
			on = "master"
		}
		machine := "::" + on
		if name == "etcd-backup" { // its delete changes the bucket, so it runs although the machine is deleted
			machine = ""
		}
		if got := rpc.GetDeletedWith(); !strings.HasSuffix(got, machine) || machine == "" && got != "" {
			t.Errorf("%s is deleted with %q, want the machine %q", name, got, machine)
		}
		if fields["hostKey"].StringValue() != "ssh-ed25519 "+on {
			t.Errorf("%s runs on %s, want %s", name, fields["hostKey"].StringValue(), on)
		}
		for kind, timeout := range map[string]string{"create": rpc.GetCustomTimeouts().GetCreate(),
			"update": rpc.GetCustomTimeouts().GetUpdate(), "delete": rpc.GetCustomTimeouts().GetDelete()} {
			longest := 30 * time.Minute
			if kind == "delete" && strings.HasSuffix(name, "-node") && name != "master-node" {
				longest = 95 * time.Minute // the TURN, RETURN and TIMEOUT of node-delete.sh
			}
			if d, err := time.ParseDuration(timeout); err != nil || d < time.Minute || d > longest {
				t.Errorf("%s of %s may take %q", kind, name, timeout)
			}
		}
		silent, refusing := dialTimes(int(fields["dialErrorLimit"].NumberValue()), fields["perDialTimeout"].NumberValue())
		if silent > 5*time.Minute-30*time.Second || refusing < time.Minute {
			t.Errorf("%s gives a silent host %s and one that refuses %s", name, silent, refusing)
		}
		if name != "nodes-ready" && strings.HasSuffix(name, "-ready") &&
			(silent < 4*time.Minute || refusing < 2*time.Minute) {
			t.Errorf("%s gives a machine that boots only %s, and %s when it refuses", name, silent, refusing)
		}
		// If the context ended first, it would hide why the host was not reached.
		limit, err := time.ParseDuration(rpc.GetCustomTimeouts().GetCreate())
		if err != nil || silent >= limit {
			t.Errorf("%s: the context ends after %s, and the dials take %s", name, limit, silent)
		}
	}
}

// dialTimes returns how long the command provider dials before it reports the reason: if nothing answers, and if the
// host refuses. It dials with the same function of the SDK, and once more than its limit.
func dialTimes(limit int, seconds float64) (silent, refusing time.Duration) {
	if limit < 0 {
		return time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	}
	dials := 0
	now := make(chan time.Time)
	close(now)
	retryer := retry.Retryer{After: func(d time.Duration) <-chan time.Time { refusing += d; return now }}
	_, _, _ = retryer.Until(context.Background(),
		retry.Acceptor{Accept: func(try int, _ time.Duration) (bool, any, error) {
			dials++
			return try+1 > limit, nil, nil
		}})
	return refusing + time.Duration(float64(dials)*seconds*float64(time.Second)), refusing
}

func TestSecretsTravelInStdinOnly(t *testing.T) {
	r := deploy(t, nil)
	secret := []string{"master-init", "storage-join", "worker-1-join"}
	for name, args := range r.commands() {
		for _, key := range []resource.PropertyKey{"create", "delete"} {
			v := args.Inputs[key]
			if v.IsNull() {
				continue
			}
			// Plain on purpose: a diff of it has to be readable.
			if s := text(t, args, key); strings.Contains(s, marker) ||
				strings.Contains(s, base64.StdEncoding.EncodeToString([]byte(marker))) {
				t.Errorf("%s of %s holds a secret", key, name)
			}
		}
		stdin := args.Inputs["stdin"]
		if !slices.Contains(secret, name) {
			if !stdin.IsNull() {
				t.Errorf("%s has a standard input", name)
			}
			continue
		}
		if !stdin.IsSecret() {
			t.Errorf("the standard input of %s is not secret", name)
			continue
		}
		cmd := exec.Command("sh", "-c", "base64 -d | gzip -d")
		cmd.Stdin = strings.NewReader(stdin.SecretValue().Element.StringValue())
		raw, err := cmd.Output()
		if err != nil {
			t.Errorf("standard input of %s: %v", name, err)
		}
		// The kubeconfig contains it in base64 as well.
		if !strings.Contains(string(raw), marker) &&
			!strings.Contains(string(raw), base64.StdEncoding.EncodeToString([]byte(marker))[:12]) {
			t.Errorf("standard input of %s lacks its keys", name)
		}
		if v := args.Inputs["logging"]; !v.IsString() || v.StringValue() != "none" {
			t.Errorf("%s logs its output", name)
		}
	}
}

// Everything that init.sh reads from its standard input has to outlive the machines. Otherwise a running control
// plane is refused.
func TestTheIdentityIsAllThatAControlPlaneHolds(t *testing.T) {
	r := deploy(t, nil)
	var has []string
	for _, one := range r.identity {
		has = append(has, urnOf(t, one))
	}
	needs := r.command(t, "master-init").RegisterRPC.GetPropertyDependencies()["stdin"].GetUrns()
	if len(needs) == 0 {
		t.Fatal("the step depends on no key")
	}
	for _, urn := range needs {
		if !slices.Contains(has, urn) {
			t.Errorf("%s may be deleted while the control plane runs", urn)
		}
	}
}

func urnOf(t *testing.T, r pulumi.Resource) string {
	t.Helper()
	found := make(chan string, 1)
	r.URN().ApplyT(func(urn pulumi.URN) string {
		found <- string(urn)
		return ""
	})
	return <-found
}

func TestWorkersAreDrainedAndTheControlPlaneIsNot(t *testing.T) {
	r := deploy(t, nil)
	for _, name := range []string{"worker-1", "storage"} {
		node := r.command(t, name+"-node")
		if want := "sudo env STEP='node-delete' NODE='" + name + "' PROVIDER_ID='aws:///eu-central-1a/i-" + name + "' bash " +
			stepline.ScriptDir + "/limit.sh 5400 " + stepline.ScriptDir + "/node-delete."; !strings.HasPrefix(text(t, node, "delete"), want) {
			t.Errorf("delete of %s-node is %.80s", name, text(t, node, "delete"))
		}
		triggers := node.Inputs["triggers"].ArrayValue()
		if len(triggers) != 1 || triggers[0].StringValue() != "aws:///eu-central-1a/i-"+name {
			t.Errorf("%s-node is not replaced with its machine: %v", name, triggers)
		}
		if !node.RegisterRPC.GetDeleteBeforeReplace() {
			t.Errorf("the old %s would be drained after the new one has joined under its name", name)
		}
	}
	if v := r.command(t, "master-node").Inputs["delete"]; !v.IsNull() {
		t.Error("the control plane would drain itself")
	}
	for name, args := range r.commands() {
		if name != "etcd-backup" && !strings.HasSuffix(name, "-node") &&
			(!args.Inputs["delete"].IsNull() || !args.Inputs["triggers"].IsNull()) {
			t.Errorf("%s has a delete or triggers", name)
		}
	}
}

// The effect of a change of settings: the names of the steps whose text differs.
func TestWhatAChangeTouches(t *testing.T) {
	before := deploy(t, nil).commands()
	for change, c := range map[string]struct {
		apply func(*Args)
		want  []string
	}{
		"a label": {func(a *Args) { a.Hosts[1].Labels = map[string]string{"a": "b"} }, []string{"worker-1-node"}},
		// A second worker that accepts every pod changes where CoreDNS may run.
		"a taint":       {func(a *Args) { a.Hosts[2].Taints = nil }, []string{"master-init", "storage-node"}},
		"another taint": {func(a *Args) { a.Hosts[2].Taints[0].Value = "other" }, []string{"storage-node"}},
		"a kubelet setting": {func(a *Args) { a.Config.Kubernetes.Kubelet = map[string]any{"maxPods": 50} },
			[]string{"master-init", "storage-join", "worker-1-join"}},
		"an API server flag": {func(a *Args) { a.Config.Kubernetes.APIServer = map[string]string{"v": "3"} },
			[]string{"master-init"}},
		"a name of the API": {func(a *Args) { a.CertSANs = append(a.CertSANs, pulumi.String("k8s.example.com")) },
			[]string{"master-init"}},
		"a registry mirror": {func(a *Args) {
			a.Config.Mirrors.Registries = map[string]config.RegistryMirror{"docker.io": {URL: "https://m"}}
		}, []string{"master-prepare", "storage-prepare", "worker-1-prepare"}},
		// In a cluster that runs the release before, each worker gets the step drain too.
		"another release": {func(a *Args) { a.Config.Cluster.KubernetesVersion = "1.36.2" }, []string{
			"master-init", "master-node", "master-prepare", "storage-join", "storage-node", "storage-prepare", "worker-1-join",
			"worker-1-node", "worker-1-prepare"}},
		"a larger disk":        {func(a *Args) { a.Hosts[1].VolumeSize = 120 }, []string{"worker-1-prepare"}},
		"the backup schedule":  {func(a *Args) { a.Config.Backup.EveryHours = 1 }, []string{"etcd-backup"}},
		"a restore":            {func(a *Args) { a.Config.Backup.RestoreFrom = "latest" }, []string{"master-init"}},
		"the order of workers": {func(a *Args) { a.Hosts[1], a.Hosts[2] = a.Hosts[2], a.Hosts[1] }, nil},
		"one worker less": {func(a *Args) { a.Hosts = a.Hosts[:2] },
			[]string{"master-init", "nodes-ready", "storage-join", "storage-node", "storage-prepare", "storage-ready"}},
		"another machine": {
			func(a *Args) { a.Hosts[1].ProviderID = pulumi.String("aws:///eu-central-1a/i-new") },
			[]string{"worker-1-join", "worker-1-node", "worker-1-prepare", "worker-1-ready"},
		},
		"another control plane": {
			func(a *Args) { a.Hosts[0].ProviderID = pulumi.String("aws:///eu-central-1a/i-new") },
			[]string{
				"etcd-backup", "master-init", "master-node", "master-prepare", "master-ready", "nodes-ready",
				"storage-join", "storage-node", "worker-1-join", "worker-1-node",
			},
		},
	} {
		t.Run(change, func(t *testing.T) {
			after := deploy(t, c.apply).commands()
			var touched []string
			for name, args := range before {
				now, ok := after[name]
				if !ok || !now.Inputs.DeepEquals(args.Inputs) {
					touched = append(touched, name)
				}
			}
			slices.Sort(touched)
			if !slices.Equal(touched, c.want) {
				t.Errorf("touched %v, want %v", touched, c.want)
			}
		})
	}
}

// The control plane that was initialised comes first, then the others by name.
func TestControlPlanesOf(t *testing.T) {
	for _, c := range []struct{ hosts, initialised, want string }{
		{"c a b", "", "a b c"}, {"c a b", "b", "b a c"}, {"c a b", "c", "c a b"}, {"a", "gone", "a"}, {"", "", ""},
	} {
		hosts := []Host{{Node: config.Node{Name: "w", Role: config.Worker}}}
		for name := range strings.FieldsSeq(c.hosts) {
			hosts = append(hosts, Host{Node: config.Node{Name: name, Role: config.ControlPlane}})
		}
		found, err := controlPlanesOf(hosts, c.initialised)
		if (err != nil) != (c.hosts == "") {
			t.Errorf("%q: %v", c.hosts, err)
		}
		var names []string
		for _, h := range found {
			names = append(names, h.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%q with %q initialised: %q, want %q", c.hosts, c.initialised, got, c.want)
		}
	}
}
