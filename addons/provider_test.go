package addons

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

// Pulumi's real provider of Kubernetes runs here, with the real engine, a real API server and the controllers of
// Kubernetes. It gets the program's resources in the same order. There is no kubelet and no operator: the tests
// simulate them.

// TestRealProviderOnObjects creates, compares, refreshes and deletes every object of the program that is not a release.
func TestRealProviderOnObjects(t *testing.T) {
	a := startAPI(t, withoutWebhooks, "--allow-privileged")
	a.startControllers()
	platform := install(t, nil, withRoles(config.ServiceAccount{Namespace: "apps", Name: "api"}))
	objects := platform.order(t, isObject)
	a.defineKinds(objects)
	a.play(a.playReadiness)
	before := a.everything()
	e := a.engine(platform.provider(t), objects)
	e.up()
	e.changesNothing()
	e.previewsWithoutCluster()
	e.destroy()
	a.isGone(before, objects)
}

// TestRealProviderInstallsCharts installs the whole platform from the charts, with real Helm, its hooks and its
// waits, and removes it again. The API server checks every object of the charts, and their pods against the pod
// security level of their namespaces.
func TestRealProviderInstallsCharts(t *testing.T) {
	charts := testenv.NeedCharts(t)
	a := startAPI(t, withoutWebhooks, "--allow-privileged")
	a.startControllers()
	repository := httptest.NewServer(http.FileServer(http.Dir(charts)))
	t.Cleanup(repository.Close)
	platform := install(t, nil, func(c *config.Config) {
		everything(c)
		for _, node := range c.Nodes {
			(&kubelets{api: a}).join(node)
		}
		c.Mirrors.Charts = map[string]string{}
		for _, from := range catalog.Repositories() {
			c.Mirrors.Charts[from] = repository.URL
		}
	})
	resources := platform.order(t, func(entry registered) bool { return strings.HasPrefix(entry.kind, "kubernetes:") })
	a.play(a.playReadiness)
	before := a.everything()
	e := a.engine(platform.provider(t), resources)
	e.up()
	a.workloadsAreReady()
	e.changesNothing()
	e.previewsWithoutCluster()
	e.destroy()
	a.isGone(before, resources)
}

// order returns the chosen resources, each after its dependencies. Dependencies through other resources count.
func (r *recorder) order(t *testing.T, chosen func(registered) bool) []registered {
	t.Helper()
	byName := map[string][]registered{}
	for _, key := range slices.Sorted(maps.Keys(r.resources)) {
		entry := r.resources[key]
		byName[entry.name] = append(byName[entry.name], entry)
	}
	var ordered []registered
	reached := map[string][]string{}
	var visit func(name string) []string
	visit = func(name string) []string {
		if found, seen := reached[name]; seen {
			return found
		}
		reached[name] = nil
		var found []string
		for _, entry := range byName[name] {
			var needs []string
			for _, need := range entry.dependencies {
				needs = append(needs, visit(need)...)
			}
			slices.Sort(needs)
			needs = slices.Compact(needs)
			if chosen(entry) {
				entry.dependencies = needs
				ordered = append(ordered, entry)
				found = append(found, name)
			} else {
				found = append(found, needs...)
			}
		}
		reached[name] = found
		return found
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		visit(name)
	}
	if len(ordered) == 0 {
		t.Fatal("nothing to register")
	}
	return ordered
}

// inputOf converts a value of a registered resource to an input of another resource.
func inputOf(value resource.PropertyValue) pulumi.Input {
	switch {
	case value.IsSecret():
		return pulumi.ToSecret(inputOf(value.SecretValue().Element))
	case value.IsOutput():
		return inputOf(value.OutputValue().Element)
	case value.IsObject():
		node := pulumi.Map{}
		for key, item := range value.ObjectValue() {
			node[string(key)] = inputOf(item)
		}
		return node
	case value.IsArray():
		items := pulumi.Array{}
		for _, item := range value.ArrayValue() {
			items = append(items, inputOf(item))
		}
		return items
	case value.IsAsset():
		return pulumi.NewStringAsset(value.AssetValue().Text)
	}
	return pulumi.Any(plain(value))
}

// provider returns the provider of Kubernetes that the program registers.
func (r *recorder) provider(t *testing.T) registered {
	t.Helper()
	for _, entry := range r.resources {
		if entry.kind == "pulumi:providers:kubernetes" {
			return entry
		}
	}
	t.Fatal("there is no provider of Kubernetes")
	return registered{}
}

// inputMap converts the inputs of a registered resource.
func (entry registered) inputMap() pulumi.Map {
	inputs := pulumi.Map{}
	for key, value := range entry.inputs {
		inputs[string(key)] = inputOf(value)
	}
	return inputs
}

// realEngine is the real CLI with a stack whose only provider is Pulumi's provider of Kubernetes, which it finds on
// PATH. The next up registers the resources.
type realEngine struct {
	api       *api
	stack     auto.Stack
	provider  registered
	resources []registered
}

// engine creates a stack that registers the resources with the program's provider and the API server's kubeconfig.
func (a *api) engine(from registered, resources []registered) *realEngine {
	a.t.Helper()
	testenv.NeedPulumi(a.t)
	testenv.NeedKubernetes(a.t, "pulumi-resource-kubernetes")
	e := &realEngine{api: a, provider: from, resources: resources}
	program := func(ctx *pulumi.Context) error {
		settings := e.provider.inputMap()
		settings["kubeconfig"] = pulumi.ToSecret(pulumi.String(a.kubeconfig)).(pulumi.StringOutput)
		provider := &kubernetes.Provider{}
		err := ctx.RegisterResource(e.provider.kind, "dev", settings, provider, pulumi.Version(e.provider.version))
		if err != nil {
			return err
		}
		made := map[string]pulumi.Resource{}
		for _, entry := range e.resources {
			var needs []pulumi.Resource
			for _, need := range entry.dependencies {
				needs = append(needs, made[need])
			}
			inputs := entry.inputMap()
			object := &outside{}
			err := ctx.RegisterResource(entry.kind, entry.name, inputs, object, pulumi.Provider(provider),
				pulumi.DependsOn(needs),
				pulumi.RetainOnDelete(entry.retained), pulumi.Version(entry.version),
				pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "3m", Update: "3m", Delete: "3m"}))
			if err != nil {
				return err
			}
			made[entry.name] = object
		}
		return nil
	}
	stack, err := auto.UpsertStackInlineSource(context.Background(), "dev", "kubeadm-aws", program,
		auto.WorkDir(a.t.TempDir()),
		auto.EnvVars(map[string]string{
			"PULUMI_BACKEND_URL": "file://" + a.t.TempDir(), "PULUMI_HOME": a.t.TempDir(), "PULUMI_CONFIG_PASSPHRASE": "test",
			"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_SKIP_CHECKPOINTS": "true",
			"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		}))
	if err != nil {
		a.t.Fatal(err)
	}
	e.stack = stack
	return e
}

// run fails the test with the output of an operation that fails.
func (e *realEngine) run(what string, operation func(ctx context.Context, out io.Writer) error) {
	t := e.api.t
	t.Helper()
	var out bytes.Buffer
	begun := time.Now()
	if err := operation(context.Background(), &out); err != nil {
		text := out.String()
		t.Fatalf("%s: %v\n%s", what, err, text[max(0, len(text)-6000):])
	}
	t.Logf("%s: %.1f s", what, time.Since(begun).Seconds())
}

func (e *realEngine) up() {
	e.api.t.Helper()
	e.run("up", func(ctx context.Context, out io.Writer) error {
		_, err := e.stack.Up(ctx, optup.ProgressStreams(out), optup.ErrorProgressStreams(out), optup.SuppressOutputs())
		return err
	})
}

// changesNothing runs a second up and a refresh. Both must find no difference.
func (e *realEngine) changesNothing() {
	e.api.t.Helper()
	e.run("second up", func(ctx context.Context, out io.Writer) error {
		_, err := e.stack.Up(ctx, optup.ExpectNoChanges(), optup.Diff(), optup.ProgressStreams(out),
			optup.ErrorProgressStreams(out))
		return err
	})
	e.run("refresh", func(ctx context.Context, out io.Writer) error {
		_, err := e.stack.Refresh(ctx, optrefresh.ExpectNoChanges(), optrefresh.Diff(), optrefresh.ProgressStreams(out),
			optrefresh.ErrorProgressStreams(out))
		return err
	})
	e.run("up after the refresh", func(ctx context.Context, out io.Writer) error {
		_, err := e.stack.Up(ctx, optup.ExpectNoChanges(), optup.Diff(), optup.ProgressStreams(out),
			optup.ErrorProgressStreams(out))
		return err
	})
}

// previewsWithoutCluster previews with a kubeconfig as the copy of a state without secrets has it: the cluster does not
// know its key and certificate, and its API does not answer. The preview has to show the resources unchanged.
func (e *realEngine) previewsWithoutCluster() {
	t := e.api.t
	t.Helper()
	real, err := os.ReadFile(e.api.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate := webhookCertificate(t, dir)
	key, err := os.ReadFile(filepath.Join(dir, "apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	login := regexp.MustCompile(`user: \{token: .*?\}`).ReplaceAll(real, []byte("user: {client-certificate-data: "+
		certificate+", client-key-data: "+base64.StdEncoding.EncodeToString(key)+"}"))
	login = regexp.MustCompile(`https://[0-9.:]+`).ReplaceAll(login, []byte("https://127.0.0.1:1"))
	if !bytes.Contains(login, []byte("client-key-data")) || !bytes.Contains(login, []byte("127.0.0.1:1\"")) {
		t.Fatalf("the kubeconfig has another form: %s", login)
	}
	write := func(text []byte) {
		if err := os.WriteFile(e.api.kubeconfig, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(login)
	defer write(real)
	e.run("preview without a cluster", func(ctx context.Context, out io.Writer) error {
		_, err := e.stack.Preview(ctx, optpreview.ExpectNoChanges(), optpreview.Diff(), optpreview.ProgressStreams(out),
			optpreview.ErrorProgressStreams(out))
		return err
	})
}

func (e *realEngine) destroy() {
	e.api.t.Helper()
	e.run("destroy", func(ctx context.Context, out io.Writer) error {
		_, err := e.stack.Destroy(ctx, optdestroy.ProgressStreams(out), optdestroy.ErrorProgressStreams(out))
		return err
	})
}

// everything returns the names of all objects that a user or a program has created.
func (a *api) everything() []string {
	a.t.Helper()
	var all []string
	for _, kind := range strings.Fields(a.kubectl("api-resources", "--verbs=list,delete", "-o", "name")) {
		if slices.Contains([]string{"events", "events.events.k8s.io", "leases.coordination.k8s.io"}, kind) {
			continue
		}
		for _, name := range a.names(kind) {
			all = append(all, fmt.Sprintf("%s %s", kind, name))
		}
	}
	slices.Sort(all)
	return all
}

// isGone fails the test for every created object that is left. Objects that the program drops with the nodes may
// stay: definitions, Calico, the cloud controller manager and their namespaces.
func (a *api) isGone(before []string, resources []registered) {
	a.t.Helper()
	kept := []string{"customresourcedefinitions.", "apiservices.", "installations.operator.tigera.io",
		"cloud-controller-manager"}
	for _, entry := range resources {
		if entry.retained && entry.kind == "kubernetes:core/v1:Namespace" {
			name := plainMap(entry.inputs)["metadata"].(map[string]any)["name"].(string)
			kept = append(kept, " "+name+"/", "/"+name)
		}
	}
	for _, now := range a.everything() {
		isKept := func(part string) bool { return strings.Contains(now, part) }
		if !slices.Contains(before, now) && !slices.ContainsFunc(kept, isKept) {
			a.t.Errorf("left over: %s", now)
		}
	}
}
