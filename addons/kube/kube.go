// Package kube registers Helm releases and Kubernetes objects with the engine by their type tokens. The generated Go
// packages for them (helm/v3, yaml, core/v1) import the whole Kubernetes API, which takes minutes to compile; the
// program needs a few kinds. This package also adds what those packages add to the types: the plugin version, the
// compat flag of a release, the marking of secrets.
package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/utilities"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Release is an installed Helm chart.
type Release struct {
	pulumi.CustomResourceState
}

// ReleaseArgs describe a release. Name, Namespace, Chart and Version are required.
type ReleaseArgs struct {
	// Name is the release name in the cluster. It is never generated, because other charts refer to the objects with
	// this name.
	Name      string
	Namespace string
	// CreateNamespace creates the namespace during installation. Helm does not remove it on uninstall.
	CreateNamespace bool
	// Chart is a chart name within Repository, or a whole oci:// reference if Repository is empty.
	Chart      string
	Version    string
	Repository string
	// Values are the chart's values. Leaves are plain YAML values, pulumi.Input, or null to remove the chart's default.
	Values Values
	// Timeout limits one install, upgrade or uninstall. Zero means DefaultTimeout.
	Timeout time.Duration
	// SkipAwait returns as soon as the objects are accepted, before their pods are ready.
	SkipAwait bool
	// SkipCRDs omits the chart's crds directory.
	SkipCRDs bool
}

// DefaultTimeout is long enough for a small node to pull the images of a chart. Helm's own five minutes are too
// short.
const DefaultTimeout = 10 * time.Minute

// engineMargin is how much longer the engine waits than Helm does, so that the user sees Helm's error.
const engineMargin = 2 * time.Minute

// NewRelease installs a chart and waits until it is ready, unless SkipAwait is set. Deleting it is `helm uninstall`.
func NewRelease(ctx *pulumi.Context, name string, args ReleaseArgs, opts ...pulumi.ResourceOption) (*Release, error) {
	if args.Name == "" || args.Namespace == "" || args.Chart == "" || args.Version == "" {
		return nil, fmt.Errorf("release %s: name, namespace, chart and version are required", name)
	}
	timeout := args.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	values, nulls := args.Values.splitNulls()
	inputs := pulumi.Map{
		"compat":    pulumi.String("true"),
		"name":      pulumi.String(args.Name),
		"namespace": pulumi.String(args.Namespace),
		"chart":     pulumi.String(args.Chart),
		"version":   pulumi.String(args.Version),
		"timeout":   pulumi.Int(int(timeout.Seconds())),
		"values":    values.Inputs(),
	}
	if len(nulls) > 0 {
		// The SDK passes the text of a values file unchanged. The provider merges the inline values over it.
		text, err := json.Marshal(nulls)
		if err != nil {
			return nil, fmt.Errorf("release %s: values: %w", name, err)
		}
		inputs["valueYamlFiles"] = pulumi.AssetOrArchiveArray{pulumi.NewStringAsset(string(text))}
	}
	if args.Repository != "" {
		inputs["repositoryOpts"] = pulumi.Map{"repo": pulumi.String(args.Repository)}
	}
	for key, set := range map[string]bool{
		"createNamespace": args.CreateNamespace,
		"skipAwait":       args.SkipAwait,
		"skipCrds":        args.SkipCRDs,
	} {
		if set {
			inputs[key] = pulumi.Bool(true)
		}
	}
	release := &Release{}
	if err := ctx.RegisterResource("kubernetes:helm.sh/v3:Release", name, inputs, release,
		withDefaults(timeout, opts)...); err != nil {
		return nil, fmt.Errorf("release %s: %w", name, err)
	}
	return release, nil
}

// Object is any Kubernetes object, custom resources included.
type Object struct {
	pulumi.CustomResourceState

	// Status is the status that the controllers set on the object. It is nil for kinds without one.
	Status pulumi.AnyOutput `pulumi:"status"`
}

// LoadBalancerHostname returns the host name of the load balancer that serves an Ingress or a Service. In a preview
// that changes the object the name may be missing, and is then empty.
func (o *Object) LoadBalancerHostname(ctx *pulumi.Context) pulumi.StringOutput {
	return o.Status.ApplyT(func(status any) (string, error) {
		var parsed struct {
			LoadBalancer struct {
				Ingress []struct {
					Hostname string `json:"hostname"`
				} `json:"ingress"`
			} `json:"loadBalancer"`
		}
		text, err := json.Marshal(status)
		if err != nil {
			return "", fmt.Errorf("status: %w", err)
		}
		if err := json.Unmarshal(text, &parsed); err != nil {
			return "", fmt.Errorf("status: %w", err)
		}
		if len(parsed.LoadBalancer.Ingress) == 0 {
			if ctx.DryRun() {
				return "", nil
			}
			return "", errors.New("the load balancer has no name yet")
		}
		return parsed.LoadBalancer.Ingress[0].Hostname, nil
	}).(pulumi.StringOutput)
}

// ObjectArgs describe one object. APIVersion, Kind and Name are required.
type ObjectArgs struct {
	APIVersion  string
	Kind        string
	Name        string
	Namespace   string
	Labels      map[string]string
	Annotations map[string]string
	// DynamicAnnotations are annotations whose values are outputs of other resources.
	DynamicAnnotations map[string]pulumi.StringInput
	Finalizers         []string
	// Fields are the object's top-level fields other than metadata: spec, data, stringData, parameters and so on.
	Fields Values
	// WaitFor are conditions such as "condition=Ready" that creation waits for.
	WaitFor []string
	// Foreground makes the deletion wait for the objects that the object owns. Its webhook's server must run then.
	Foreground bool
	// Timeout limits one create, update or delete. Zero means DefaultTimeout.
	Timeout time.Duration
}

// NewObject creates an object and waits until the provider finds it ready. Deleting it waits for its finalizers.
func NewObject(ctx *pulumi.Context, name string, args ObjectArgs, opts ...pulumi.ResourceOption) (_ *Object,
	err error) {
	if args.APIVersion == "" || args.Kind == "" || args.Name == "" {
		return nil, fmt.Errorf("object %s: apiVersion, kind and name are required", name)
	}
	timeout := args.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	metadata := pulumi.Map{"name": pulumi.String(args.Name)}
	if args.Namespace != "" {
		metadata["namespace"] = pulumi.String(args.Namespace)
	}
	if len(args.Labels) > 0 {
		metadata["labels"] = pulumi.ToStringMap(args.Labels)
	}
	metadata["annotations"], err = args.annotations()
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", name, err)
	}
	if len(args.Finalizers) > 0 {
		metadata["finalizers"] = pulumi.ToStringArray(args.Finalizers)
	}
	inputs := args.Fields.Inputs()
	inputs["apiVersion"] = pulumi.String(args.APIVersion)
	inputs["kind"] = pulumi.String(args.Kind)
	inputs["metadata"] = metadata

	if args.APIVersion == "v1" && args.Kind == "Secret" {
		opts = append(opts, pulumi.AdditionalSecretOutputs([]string{"data", "stringData"}))
	}
	object := &Object{}
	if err := ctx.RegisterResource(token(args.APIVersion, args.Kind), name, inputs, object,
		withDefaults(timeout, opts)...); err != nil {
		return nil, fmt.Errorf("object %s: %w", name, err)
	}
	return object, nil
}

// annotations returns the object's own annotations and those for the provider.
func (o ObjectArgs) annotations() (pulumi.StringMap, error) {
	all := pulumi.ToStringMap(o.Annotations)
	maps.Copy(all, o.DynamicAnnotations)
	// With foreground deletion, the provider's default, the garbage collector has to update an object before it can
	// be deleted. A webhook whose server does not run refuses that, and the object stays forever.
	all["pulumi.com/deletionPropagationPolicy"] = pulumi.String("background")
	if o.Foreground {
		all["pulumi.com/deletionPropagationPolicy"] = pulumi.String("foreground")
	}
	if len(o.WaitFor) == 0 {
		return all, nil
	}
	conditions, err := json.Marshal(o.WaitFor)
	if err != nil {
		return nil, err
	}
	all["pulumi.com/waitFor"] = pulumi.String(conditions)
	return all, nil
}

// token returns the engine's type of an object. The core group, which has no name in apiVersion, is called core.
func token(apiVersion, kind string) string {
	if apiVersion == "v1" {
		apiVersion = "core/v1"
	}
	return "kubernetes:" + apiVersion + ":" + kind
}

func withDefaults(timeout time.Duration, opts []pulumi.ResourceOption) []pulumi.ResourceOption {
	limit := (timeout + engineMargin).String()
	defaults := []pulumi.ResourceOption{
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: limit, Update: limit, Delete: limit}),
	}
	return utilities.PkgResourceDefaultOpts(append(defaults, opts...))
}
