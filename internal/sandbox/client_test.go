package sandbox

import (
	"context"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"

	"kubeadm-aws/internal/sandbox/props"
)

// client is the engine's side of the protocol, without the engine.
type client struct {
	t *testing.T
	s *Sandbox
}

func newClient(t *testing.T) *client {
	return &client{t: t, s: start(t, Options{})}
}

// testResource is a resource in the engine's state.
type testResource struct {
	typ, name, id   string
	inputs, outputs resource.PropertyMap
}

// out is a text output, unwrapped when it is secret.
func (th *testResource) out(key string) string { return props.FromSDK(th.outputs, false).Str(key) }

func (c *client) server(typ string) *server {
	return c.s.servers.providers[typ[:indexByte(typ, ':')]]
}

func indexByte(s string, b byte) int {
	for i := range len(s) {
		if s[i] == b {
			return i
		}
	}
	return len(s)
}

func urn(typ, name string) string {
	return string(resource.NewURN("test", "sandbox", "", token(typ), name))
}

func (c *client) marshal(m resource.PropertyMap) *structpb.Struct {
	c.t.Helper()
	s, err := plugin.MarshalProperties(m, keep)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *client) unmarshal(s *structpb.Struct) resource.PropertyMap {
	c.t.Helper()
	m, err := plugin.UnmarshalProperties(s, keep)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// configure sets the provider's settings.
func (c *client) configure(pkg string, settings props.Map) {
	c.t.Helper()
	if _, err := c.server(pkg+":").Configure(context.Background(), &pulumirpc.ConfigureRequest{Args: c.marshal(props.ToSDK(settings).ObjectValue())}); err != nil {
		c.t.Fatal(err)
	}
}

// try checks and creates a resource.
func (c *client) try(typ, name string, in props.Map) (*testResource, error) {
	c.t.Helper()
	ctx, srv := context.Background(), c.server(typ)
	checked, err := srv.Check(ctx, &pulumirpc.CheckRequest{Urn: urn(typ, name), News: c.marshal(props.ToSDK(in).ObjectValue())})
	if err != nil {
		return nil, err
	}
	if len(checked.Failures) > 0 {
		return nil, &pending{reason: checked.Failures[0].Reason}
	}
	created, err := srv.Create(ctx, &pulumirpc.CreateRequest{Urn: urn(typ, name), Properties: checked.Inputs})
	if err != nil {
		return nil, err
	}
	return &testResource{typ: typ, name: name, id: created.Id, inputs: c.unmarshal(checked.Inputs), outputs: c.unmarshal(created.Properties)}, nil
}

// make is try where nothing may go wrong.
func (c *client) make(typ, name string, in props.Map) *testResource {
	c.t.Helper()
	th, err := c.try(typ, name, in)
	if err != nil {
		c.t.Fatalf("create %s %s: %v", typ, name, err)
	}
	return th
}

func (c *client) diff(th *testResource, in props.Map) *pulumirpc.DiffResponse {
	c.t.Helper()
	d, err := c.server(th.typ).Diff(context.Background(), &pulumirpc.DiffRequest{
		Urn: urn(th.typ, th.name), Id: th.id, News: c.marshal(props.ToSDK(in).ObjectValue()), OldInputs: c.marshal(th.inputs), Olds: c.marshal(th.outputs),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

func (c *client) update(th *testResource, in props.Map, preview bool) (resource.PropertyMap, error) {
	c.t.Helper()
	news := props.ToSDK(in).ObjectValue()
	got, err := c.server(th.typ).Update(context.Background(), &pulumirpc.UpdateRequest{
		Urn: urn(th.typ, th.name), Id: th.id, News: c.marshal(news), OldInputs: c.marshal(th.inputs), Olds: c.marshal(th.outputs), Preview: preview,
	})
	if err != nil {
		return nil, err
	}
	out := c.unmarshal(got.Properties)
	if !preview {
		th.inputs, th.outputs = news, out
	}
	return out, nil
}

func (c *client) delete(th *testResource) error {
	c.t.Helper()
	_, err := c.server(th.typ).Delete(context.Background(), &pulumirpc.DeleteRequest{
		Urn: urn(th.typ, th.name), Id: th.id, Properties: c.marshal(th.outputs), OldInputs: c.marshal(th.inputs),
	})
	return err
}

// gone reports whether a refresh would find that the resource no longer exists.
func (c *client) gone(th *testResource) bool {
	c.t.Helper()
	got, err := c.server(th.typ).Read(context.Background(), &pulumirpc.ReadRequest{
		Urn: urn(th.typ, th.name), Id: th.id, Properties: c.marshal(th.outputs), Inputs: c.marshal(th.inputs),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return got.Id == ""
}

// readFresh reads a resource of which the state has only the inputs.
func (c *client) readFresh(th *testResource) resource.PropertyMap {
	c.t.Helper()
	got, err := c.server(th.typ).Read(context.Background(), &pulumirpc.ReadRequest{
		Urn: urn(th.typ, th.name), Id: th.id, Properties: c.marshal(th.inputs), Inputs: c.marshal(th.inputs),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.unmarshal(got.Properties)
}

func (c *client) invoke(tok string, args props.Map) (props.Map, error) {
	c.t.Helper()
	got, err := c.server(tok).Invoke(context.Background(), &pulumirpc.InvokeRequest{Tok: tok, Args: c.marshal(props.ToSDK(args).ObjectValue())})
	if err != nil {
		return nil, err
	}
	return props.FromSDK(c.unmarshal(got.Return), false), nil
}
