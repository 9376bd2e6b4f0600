package kube

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func TestMergeIsHelms(t *testing.T) {
	ours := Values{
		"args":      []string{"--a"},
		"resources": Values{"requests": Values{"cpu": "50m", "memory": "64Mi"}},
		"selector":  map[string]string{"a": "1"},
		"dex":       Values{"enabled": false},
		"gone":      "x",
	}
	got := ours.Merge(map[string]any{
		"args":      []any{"--b"},
		"resources": map[string]any{"requests": map[string]any{"cpu": "1"}},
		"selector":  map[string]any{"b": "2"},
		"dex":       true,
		"gone":      nil,
		"new":       map[string]any{"x": 1.0},
	})
	want := Values{
		"args":      []any{"--b"},
		"resources": Values{"requests": Values{"cpu": "1", "memory": "64Mi"}},
		"selector":  Values{"a": "1", "b": "2"},
		"dex":       true,
		"gone":      nil,
		"new":       map[string]any{"x": 1.0},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("merged to %v, want %v", got, want)
	}
	if ours["gone"] != "x" || ours["resources"].(Values)["requests"].(Values)["cpu"] != "50m" {
		t.Error("merging has changed its receiver")
	}
	if got := Values(nil).Merge(map[string]any{"a": 1}); got["a"] != 1 {
		t.Errorf("merging into nothing gives %v", got)
	}
}

// The Go SDK drops nulls from inputs, so they travel as the text of a values file.
func TestNullsReachHelm(t *testing.T) {
	values := Values{
		"resources": Values{"limits": Values{"cpu": nil, "memory": "1Gi"}, "requests": Values{"cpu": "1"}},
		"nodePort":  nil,
	}.Merge(map[string]any{"resources": map[string]any{"requests": nil}, "extra": map[string]any{"only": nil}})
	made, err := register(t, resource.NewNullProperty(), func(ctx *pulumi.Context) error {
		_, err := NewRelease(ctx, "r", ReleaseArgs{Name: "r", Namespace: "n", Chart: "c", Version: "1", Values: values})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	inputs := made["r"].Inputs
	file := inputs["valueYamlFiles"].ArrayValue()[0].AssetValue().Text
	want := `{"extra":{"only":null},"nodePort":null,"resources":{"limits":{"cpu":null},"requests":null}}`
	if file != want {
		t.Errorf("the values file is %s, want %s", file, want)
	}
	inline := inputs["values"].ObjectValue().Mappable()
	if want := map[string]any{"extra": map[string]any{},
		"resources": map[string]any{"limits": map[string]any{"memory": "1Gi"}}}; !reflect.DeepEqual(inline, want) {
		t.Errorf("inline values are %v, want %v", inline, want)
	}
}

func TestReleasesWithoutNullsHaveNoValuesFile(t *testing.T) {
	made, err := register(t, resource.NewNullProperty(), func(ctx *pulumi.Context) error {
		_, err := NewRelease(ctx, "r", ReleaseArgs{Name: "r", Namespace: "n", Chart: "c", Version: "1",
			Values: Values{"a": Values{"b": "c"}}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if file, set := made["r"].Inputs["valueYamlFiles"]; set {
		t.Errorf("a values file is set: %v", file)
	}
}

func TestTokens(t *testing.T) {
	for apiVersion, want := range map[string]string{
		"v1":                   "kubernetes:core/v1:Kind",
		"apps/v1":              "kubernetes:apps/v1:Kind",
		"networking.k8s.io/v1": "kubernetes:networking.k8s.io/v1:Kind",
		"rabbitmq.com/v1beta1": "kubernetes:rabbitmq.com/v1beta1:Kind",
	} {
		if got := token(apiVersion, "Kind"); got != want {
			t.Errorf("%s: %s, want %s", apiVersion, got, want)
		}
	}
}

type mocks struct {
	mutex     sync.Mutex
	resources map[string]pulumi.MockResourceArgs
	status    resource.PropertyValue
}

func (m *mocks) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

func (m *mocks) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.resources[args.Name] = args
	outputs := args.Inputs.Copy()
	if !m.status.IsNull() {
		outputs["status"] = m.status
	}
	return args.Name, outputs, nil
}

func register(t *testing.T, status resource.PropertyValue, program pulumi.RunFunc) (map[string]pulumi.MockResourceArgs,
	error) {
	t.Helper()
	m := &mocks{resources: map[string]pulumi.MockResourceArgs{}, status: status}
	err := pulumi.RunErr(program, pulumi.WithMocks("project", "stack", m))
	return m.resources, err
}

func TestReleaseIsRegisteredAsTheSDKWould(t *testing.T) {
	resources, err := register(t, resource.PropertyValue{}, func(ctx *pulumi.Context) error {
		_, err := NewRelease(ctx, "web", ReleaseArgs{
			Name: "web", Namespace: "apps", Chart: "nginx", Version: "1.2.3", Repository: "https://charts.example.com",
			Values: Values{"replicas": 2, "list": []any{map[string]any{"a": "b"}},
				"secret": pulumi.ToSecret(pulumi.String("x")), "on": true},
			Timeout: 3 * time.Minute, SkipAwait: true,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	web := resources["web"]
	if web.TypeToken != "kubernetes:helm.sh/v3:Release" {
		t.Errorf("type %s", web.TypeToken)
	}
	for key, want := range map[resource.PropertyKey]resource.PropertyValue{
		"compat": resource.NewProperty("true"), "name": resource.NewProperty("web"),
		"namespace": resource.NewProperty("apps"),
		"chart":     resource.NewProperty("nginx"), "version": resource.NewProperty("1.2.3"),
		"timeout":   resource.NewProperty(180.0),
		"skipAwait": resource.NewProperty(true),
		"repositoryOpts": resource.NewProperty(resource.PropertyMap{"repo": resource.NewProperty(
			"https://charts.example.com")}),
	} {
		if got := web.Inputs[key]; !got.DeepEquals(want) {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	for _, key := range []resource.PropertyKey{"createNamespace", "skipCrds"} {
		if _, ok := web.Inputs[key]; ok {
			t.Errorf("%s is set without being asked for", key)
		}
	}
	values := web.Inputs["values"].ObjectValue()
	if !values["replicas"].DeepEquals(resource.NewProperty(2.0)) || !values["on"].DeepEquals(resource.NewProperty(true)) ||
		values["list"].ArrayValue()[0].ObjectValue()["a"].StringValue() != "b" || !values["secret"].IsSecret() {
		t.Errorf("values arrive as %v", values)
	}
	if got := web.RegisterRPC.GetVersion(); got != "4.33.0" {
		t.Errorf("plugin version %q", got)
	}
	if got := web.RegisterRPC.GetCustomTimeouts().GetDelete(); got != "5m0s" {
		t.Errorf("the engine waits %s, not longer than Helm", got)
	}
}

func TestObjectIsRegisteredAsTheSDKWould(t *testing.T) {
	resources, err := register(t, resource.PropertyValue{}, func(ctx *pulumi.Context) error {
		if _, err := NewObject(ctx, "broker", ObjectArgs{
			APIVersion: "rabbitmq.com/v1beta1", Kind: "RabbitmqCluster", Name: "rabbitmq", Namespace: "data",
			Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1"},
			DynamicAnnotations: map[string]pulumi.StringInput{"d": pulumi.String("2")},
			Finalizers:         []string{"f"}, WaitFor: []string{"condition=A", "condition=B"},
			Fields: Values{"spec": Values{"replicas": 1}},
		}); err != nil {
			return err
		}
		_, err := NewObject(ctx, "password", ObjectArgs{APIVersion: "v1", Kind: "Secret", Name: "password"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := resources["broker"].Inputs.Mappable()
	want := map[string]any{
		"apiVersion": "rabbitmq.com/v1beta1", "kind": "RabbitmqCluster", "spec": map[string]any{"replicas": 1.0},
		"metadata": map[string]any{
			"name": "rabbitmq", "namespace": "data", "labels": map[string]any{"l": "1"}, "finalizers": []any{"f"},
			"annotations": map[string]any{"a": "1", "d": "2", "pulumi.com/deletionPropagationPolicy": "background",
				"pulumi.com/waitFor": `["condition=A","condition=B"]`},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("registered as %v, want %v", got, want)
	}
	if secret := resources["password"].RegisterRPC.GetAdditionalSecretOutputs(); !reflect.DeepEqual(secret,
		[]string{"data", "stringData"}) {
		t.Errorf("secret outputs of a Secret: %v", secret)
	}
}

func TestWhatIsMissingIsRefused(t *testing.T) {
	_, err := register(t, resource.PropertyValue{}, func(ctx *pulumi.Context) error {
		if _, err := NewRelease(ctx, "r", ReleaseArgs{Name: "r", Namespace: "n", Chart: "c"}); err == nil {
			t.Error("a release without a version is accepted")
		}
		if _, err := NewObject(ctx, "o", ObjectArgs{APIVersion: "v1", Kind: "Secret"}); err == nil {
			t.Error("an object without a name is accepted")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLoadBalancerHostname(t *testing.T) {
	status := func(ingress ...resource.PropertyValue) resource.PropertyValue {
		return resource.NewProperty(resource.PropertyMap{"loadBalancer": resource.NewProperty(
			resource.PropertyMap{"ingress": resource.NewProperty(ingress)})})
	}
	program := func(seen *string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			ingress, err := NewObject(ctx, "web", ObjectArgs{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Name: "web"})
			if err != nil {
				return err
			}
			_, err = NewObject(ctx, "reader", ObjectArgs{APIVersion: "v1", Kind: "ConfigMap", Name: "reader",
				Fields: Values{"data": Values{
					"host": ingress.LoadBalancerHostname(ctx).ApplyT(func(host string) string { *seen = host; return host }),
				}}})
			return err
		}
	}
	var host string
	if _, err := register(t, status(resource.NewProperty(resource.PropertyMap{"hostname": resource.NewProperty("a.elb")})),
		program(&host)); err != nil || host != "a.elb" {
		t.Errorf("host %q, error %v", host, err)
	}
	if _, err := register(t, status(), program(&host)); err == nil || !strings.Contains(err.Error(), "no name yet") {
		t.Errorf("a load balancer without a name gives %v", err)
	}
}
