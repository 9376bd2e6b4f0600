// Package sandboxtest asks the providers of the sandbox in tests as the engine does, without an engine.
package sandboxtest

import (
	"context"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
)

// Client calls providers as the engine does.
type Client struct {
	T       *testing.T
	servers map[string]pulumirpc.ResourceProviderServer
}

// New asks providers by the name of their package.
func New(t *testing.T, providers map[string]engine.Provider) *Client {
	c := &Client{T: t, servers: map[string]pulumirpc.ResourceProviderServer{}}
	for name, p := range providers {
		c.servers[name] = engine.Handler(p)
	}
	return c
}

// keep marshals unknown values as unknown and secrets as secret.
var keep = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true}

// Resource is a resource in the engine's state.
type Resource struct {
	Type, Name, ID  string
	Inputs, Outputs resource.PropertyMap
}

// Out is a text output, unwrapped when it is secret.
func (r *Resource) Out(key string) string { return props.FromSDK(r.Outputs, false).Str(key) }

// Server is the provider of a type or function.
func (c *Client) Server(token string) pulumirpc.ResourceProviderServer {
	name, _, _ := strings.Cut(token, ":")
	return c.servers[name]
}

func URN(typ, name string) string {
	return string(resource.NewURN("test", "sandbox", "", tokens.Type(typ), name))
}

func (c *Client) Marshal(m resource.PropertyMap) *structpb.Struct {
	c.T.Helper()
	s, err := plugin.MarshalProperties(m, keep)
	if err != nil {
		c.T.Fatal(err)
	}
	return s
}

func (c *Client) unmarshal(s *structpb.Struct) resource.PropertyMap {
	c.T.Helper()
	m, err := plugin.UnmarshalProperties(s, keep)
	if err != nil {
		c.T.Fatal(err)
	}
	return m
}

// Configure sets the provider's settings.
func (c *Client) Configure(pkg string, settings props.Map) {
	c.T.Helper()
	if _, err := c.Server(pkg+":").Configure(context.Background(),
		&pulumirpc.ConfigureRequest{Args: c.Marshal(props.ToSDK(settings).ObjectValue())}); err != nil {
		c.T.Fatal(err)
	}
}

// Try checks and creates a resource.
func (c *Client) Try(typ, name string, in props.Map) (*Resource, error) {
	c.T.Helper()
	ctx, srv := context.Background(), c.Server(typ)
	checked, err := srv.Check(ctx, &pulumirpc.CheckRequest{Urn: URN(typ, name),
		News: c.Marshal(props.ToSDK(in).ObjectValue())})
	if err != nil {
		return nil, err
	}
	if len(checked.Failures) > 0 {
		return nil, &engine.NotReady{Reason: checked.Failures[0].Reason}
	}
	created, err := srv.Create(ctx, &pulumirpc.CreateRequest{Urn: URN(typ, name), Properties: checked.Inputs})
	if err != nil {
		return nil, err
	}
	return &Resource{Type: typ, Name: name, ID: created.Id, Inputs: c.unmarshal(checked.Inputs),
		Outputs: c.unmarshal(created.Properties)}, nil
}

// Make is Try for a create that must succeed.
func (c *Client) Make(typ, name string, in props.Map) *Resource {
	c.T.Helper()
	res, err := c.Try(typ, name, in)
	if err != nil {
		c.T.Fatalf("create %s %s: %v", typ, name, err)
	}
	return res
}

func (c *Client) Diff(res *Resource, in props.Map) *pulumirpc.DiffResponse {
	c.T.Helper()
	d, err := c.Server(res.Type).Diff(context.Background(), &pulumirpc.DiffRequest{
		Urn: URN(res.Type, res.Name), Id: res.ID, News: c.Marshal(props.ToSDK(in).ObjectValue()),
		OldInputs: c.Marshal(res.Inputs), Olds: c.Marshal(res.Outputs),
	})
	if err != nil {
		c.T.Fatal(err)
	}
	return d
}

func (c *Client) Update(res *Resource, in props.Map, preview bool) (resource.PropertyMap, error) {
	c.T.Helper()
	news := props.ToSDK(in).ObjectValue()
	got, err := c.Server(res.Type).Update(context.Background(), &pulumirpc.UpdateRequest{
		Urn: URN(res.Type, res.Name), Id: res.ID, News: c.Marshal(news), OldInputs: c.Marshal(res.Inputs),
		Olds: c.Marshal(res.Outputs), Preview: preview,
	})
	if err != nil {
		return nil, err
	}
	out := c.unmarshal(got.Properties)
	if !preview {
		res.Inputs, res.Outputs = news, out
	}
	return out, nil
}

func (c *Client) Delete(res *Resource) error {
	c.T.Helper()
	_, err := c.Server(res.Type).Delete(context.Background(), &pulumirpc.DeleteRequest{
		Urn: URN(res.Type, res.Name), Id: res.ID, Properties: c.Marshal(res.Outputs), OldInputs: c.Marshal(res.Inputs),
	})
	return err
}

// Gone reports whether a refresh would find that the resource no longer exists.
func (c *Client) Gone(res *Resource) bool {
	c.T.Helper()
	got, err := c.Server(res.Type).Read(context.Background(), &pulumirpc.ReadRequest{
		Urn: URN(res.Type, res.Name), Id: res.ID, Properties: c.Marshal(res.Outputs), Inputs: c.Marshal(res.Inputs),
	})
	if err != nil {
		c.T.Fatal(err)
	}
	return got.Id == ""
}

// ReadFresh reads a resource of which the state has only the inputs.
func (c *Client) ReadFresh(res *Resource) resource.PropertyMap {
	c.T.Helper()
	got, err := c.Server(res.Type).Read(context.Background(), &pulumirpc.ReadRequest{
		Urn: URN(res.Type, res.Name), Id: res.ID, Properties: c.Marshal(res.Inputs), Inputs: c.Marshal(res.Inputs),
	})
	if err != nil {
		c.T.Fatal(err)
	}
	return c.unmarshal(got.Properties)
}

func (c *Client) Invoke(tok string, args props.Map) (props.Map, error) {
	c.T.Helper()
	got, err := c.Server(tok).Invoke(context.Background(),
		&pulumirpc.InvokeRequest{Tok: tok, Args: c.Marshal(props.ToSDK(args).ObjectValue())})
	if err != nil {
		return nil, err
	}
	return props.FromSDK(c.unmarshal(got.Return), false), nil
}

// Refreshed is a resource in the state after a refresh.
func (c *Client) Refreshed(res *Resource) *Resource {
	c.T.Helper()
	got, err := c.Server(res.Type).Read(context.Background(), &pulumirpc.ReadRequest{
		Urn: URN(res.Type, res.Name), Id: res.ID, Properties: c.Marshal(res.Outputs), Inputs: c.Marshal(res.Inputs),
	})
	if err != nil {
		c.T.Fatal(err)
	}
	next := *res
	next.Inputs, next.Outputs = c.unmarshal(got.Inputs), c.unmarshal(got.Properties)
	return &next
}
