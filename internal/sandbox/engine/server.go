// Package engine serves models of providers to the real Pulumi engine, over the engine's own protocol.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"kubeadm-aws/internal/sandbox/props"
)

// Request is one call of the engine in plain terms.
type Request struct {
	Ctx    context.Context
	URN    string
	Type   string
	Name   string
	ID     string
	Config props.Map
	// Inputs are the new inputs. Stored is the same with secrets hashed. Only Stored may be written to disk.
	Inputs, Stored props.Map
	// OldInputs are the inputs in the state, Old its outputs.
	OldInputs, Old props.Map
	Preview        bool
	// Seed is for names that the provider invents.
	Seed string
}

// Answer is the result of a create, update or read.
type Answer struct {
	ID      string
	Outputs props.Map
	// Secret names the outputs that the real provider marks.
	Secret []string
	// Found are inputs that a read finds with another value than the state has.
	Found props.Map
}

// failure is the reason why an input is refused.
type failure struct{ property, reason string }

// Checked is the outcome of a check: refusals, and inputs that the provider adds by itself.
type Checked struct {
	Failures []failure
	Defaults props.Map
}

// Difference is the outcome of comparing inputs.
type Difference struct {
	// Changed are top-level property names. Replace are those of them that need a new resource.
	Changed, Replace []string
	DeleteFirst      bool
}

// Provider is one package of resources. Every method may be called concurrently. A type that it does not know is an
// error in Check, so the engine plans no operation on such a resource.
type Provider interface {
	Check(r *Request) (Checked, error)
	Diff(r *Request) Difference
	Create(r *Request) (Answer, error)
	// Read returns an answer without id when the resource does not exist.
	Read(r *Request) (Answer, error)
	Update(r *Request) (Answer, error)
	Delete(r *Request) error
	Invoke(r *Request, args props.Map) (props.Map, error)
}

// NotReady is a resource that exists but did not become ready: the engine keeps it and tries an update next time.
type NotReady struct{ Reason string }

func (p *NotReady) Error() string { return p.Reason }

// server speaks the engine's protocol for one provider. plugin.NewProviderServer of the SDK is not used: each Configure
// writes its fields without a lock, and here one server has a connection per provider resource. It would not replace
// the settings per connection or the answer for a resource that is not ready either.
type server struct {
	pulumirpc.UnimplementedResourceProviderServer
	// calls gets every operation.
	calls    *Servers
	provider Provider
	// configs are the settings of provider resources by connection.
	configs sync.Map
}

// keep marshals properties in both directions: unknown values stay unknown, secrets stay secret.
var keep = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true}

func (s *server) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// newest is a version above that of every SDK. The engine warns of a provider that is older than the SDK of its
// package, and uses the version for nothing else.
const newest = "9999.0.0"

func (s *server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: newest}, nil
}

func (s *server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Configure remembers the settings of one provider resource. The engine opens a connection per provider resource and
// never names it in later calls, so the connection distinguishes two provider resources.
func (s *server) Configure(ctx context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	args, err := plugin.UnmarshalProperties(req.GetArgs(), keep)
	if err != nil {
		return nil, err
	}
	settings := props.FromSDK(args, false)
	if p, ok := s.provider.(interface{ Configure(props.Map) error }); ok {
		if err := p.Configure(settings); err != nil {
			return nil, err
		}
	}
	s.configs.Store(connection(ctx), settings)
	return &pulumirpc.ConfigureResponse{AcceptSecrets: true, AcceptResources: true, SupportsPreview: true}, nil
}

func (s *server) config(ctx context.Context) props.Map {
	if v, ok := s.configs.Load(connection(ctx)); ok {
		return v.(props.Map)
	}
	return props.Map{}
}

func connection(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return ""
}

func (s *server) request(ctx context.Context, urn, id string, news, oldInputs, olds *structpb.Struct) (*Request,
	resource.PropertyMap, error) {
	r := &Request{Ctx: ctx, URN: urn, ID: id, Config: s.config(ctx)}
	if parsed := resource.URN(urn); parsed.IsValid() {
		r.Type, r.Name = string(parsed.Type()), parsed.Name()
	}
	inputs, err := plugin.UnmarshalProperties(news, keep)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: inputs: %w", urn, err)
	}
	r.Inputs, r.Stored = props.FromSDK(inputs, false), props.FromSDK(inputs, true)
	before, err := plugin.UnmarshalProperties(oldInputs, keep)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: old inputs: %w", urn, err)
	}
	r.OldInputs = props.FromSDK(before, false)
	state, err := plugin.UnmarshalProperties(olds, keep)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: old state: %w", urn, err)
	}
	r.Old = props.FromSDK(state, false)
	return r, inputs, nil
}

func (s *server) Check(ctx context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	r, inputs, err := s.request(ctx, req.Urn, "", req.News, req.Olds, nil)
	if err != nil {
		return nil, err
	}
	r.Seed = string(req.RandomSeed)
	got, err := s.provider.Check(r)
	if err != nil {
		return nil, err
	}
	for k, v := range got.Defaults {
		inputs[resource.PropertyKey(k)] = props.ToSDK(v)
	}
	checkedInputs, err := plugin.MarshalProperties(inputs, keep)
	if err != nil {
		return nil, err
	}
	out := &pulumirpc.CheckResponse{Inputs: checkedInputs}
	for _, f := range got.Failures {
		out.Failures = append(out.Failures, &pulumirpc.CheckFailure{Property: f.property, Reason: f.reason})
	}
	return out, nil
}

func (s *server) Diff(ctx context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	r, _, err := s.request(ctx, req.Urn, req.Id, req.News, req.OldInputs, req.Olds)
	if err != nil {
		return nil, err
	}
	for _, key := range req.IgnoreChanges {
		if _, was := r.OldInputs[key]; was {
			r.Inputs[key] = r.OldInputs[key]
		}
	}
	d := s.provider.Diff(r)
	out := &pulumirpc.DiffResponse{
		Changes:             pulumirpc.DiffResponse_DIFF_NONE,
		Diffs:               d.Changed,
		Replaces:            d.Replace,
		DeleteBeforeReplace: d.DeleteFirst,
	}
	if len(d.Changed) > 0 {
		out.Changes = pulumirpc.DiffResponse_DIFF_SOME
	}
	return out, nil
}

func (s *server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	r, inputs, err := s.request(ctx, req.Urn, "", req.Properties, nil, nil)
	if err != nil {
		return nil, err
	}
	r.Preview = req.Preview
	if err := s.begin("create", r); err != nil {
		return nil, err
	}
	got, err := s.provider.Create(r)
	outputs, merr := s.outputs(inputs, got)
	if merr != nil {
		return nil, merr
	}
	if err != nil {
		return nil, initFailed(err, got.ID, outputs, req.Properties)
	}
	r.ID = got.ID
	s.end("create", r)
	return &pulumirpc.CreateResponse{Id: got.ID, Properties: outputs}, nil
}

func (s *server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	r, inputs, err := s.request(ctx, req.Urn, req.Id, req.News, req.OldInputs, req.Olds)
	if err != nil {
		return nil, err
	}
	r.Preview = req.Preview
	if err := s.begin("update", r); err != nil {
		return nil, err
	}
	got, err := s.provider.Update(r)
	outputs, merr := s.outputs(inputs, got)
	if merr != nil {
		return nil, merr
	}
	if err != nil {
		return nil, initFailed(err, req.Id, outputs, req.News)
	}
	s.end("update", r)
	return &pulumirpc.UpdateResponse{Properties: outputs}, nil
}

func (s *server) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	r, inputs, err := s.request(ctx, req.Urn, req.Id, req.Inputs, nil, req.Properties)
	if err != nil {
		return nil, err
	}
	if err := s.begin("read", r); err != nil {
		return nil, err
	}
	got, err := s.provider.Read(r)
	if err != nil {
		return nil, err
	}
	if got.ID == "" {
		return &pulumirpc.ReadResponse{}, nil
	}
	if got.Outputs == nil { // the provider has no newer values: return the state unchanged
		return &pulumirpc.ReadResponse{Id: got.ID, Properties: req.Properties, Inputs: req.Inputs}, nil
	}
	for k, v := range got.Found {
		inputs[resource.PropertyKey(k)] = props.ToSDK(v)
	}
	outputs, err := s.outputs(inputs, got)
	if err != nil {
		return nil, err
	}
	asFound, err := plugin.MarshalProperties(inputs, keep)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.ReadResponse{Id: got.ID, Properties: outputs, Inputs: asFound}, nil
}

func (s *server) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	r, _, err := s.request(ctx, req.Urn, req.Id, nil, req.OldInputs, req.Properties)
	if err != nil {
		return nil, err
	}
	if err := s.begin("delete", r); err != nil {
		return nil, err
	}
	if err := s.provider.Delete(r); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	s.end("delete", r)
	return &emptypb.Empty{}, nil
}

func (s *server) Invoke(ctx context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	args, err := plugin.UnmarshalProperties(req.Args, keep)
	if err != nil {
		return nil, err
	}
	r := &Request{Ctx: ctx, Type: req.Tok, Config: s.config(ctx), Inputs: props.FromSDK(args, false),
		Stored: props.FromSDK(args, true)}
	if err := s.begin("invoke", r); err != nil {
		return nil, err
	}
	result, err := s.provider.Invoke(r, r.Inputs)
	if err != nil {
		return nil, err
	}
	out, err := plugin.MarshalProperties(props.ToSDK(result).ObjectValue(), plugin.MarshalOptions{KeepUnknowns: true})
	if err != nil {
		return nil, err
	}
	return &pulumirpc.InvokeResponse{Return: out}, nil
}

// begin records an operation and calls the test's Fault, before the operation has an effect.
func (s *server) begin(verb string, r *Request) error {
	if r.Preview {
		return nil
	}
	return s.calls.record(Operation{Verb: verb, URN: r.URN, Type: r.Type, ID: r.ID, Inputs: r.Stored})
}

// end calls the test's Done after a create, update or delete, before the engine gets the answer.
func (s *server) end(verb string, r *Request) {
	if s.calls.options.Done != nil && !r.Preview {
		s.calls.options.Done(Operation{Verb: verb, URN: r.URN, Type: r.Type, ID: r.ID, Inputs: r.Stored})
	}
}

// outputs returns the inputs, overwritten by the outputs of the answer. A property that was a secret input stays
// secret.
func (s *server) outputs(inputs resource.PropertyMap, got Answer) (*structpb.Struct, error) {
	all := inputs.Copy()
	for k, v := range got.Outputs {
		value := props.ToSDK(v)
		key := resource.PropertyKey(k)
		if was, ok := all[key]; ok && was.IsSecret() {
			value = resource.MakeSecret(value)
		}
		all[key] = value
	}
	for _, k := range got.Secret {
		if v, ok := all[resource.PropertyKey(k)]; ok && !v.IsSecret() {
			all[resource.PropertyKey(k)] = resource.MakeSecret(v)
		}
	}
	return plugin.MarshalProperties(all, keep)
}

func initFailed(err error, id string, outputs, inputs *structpb.Struct) error {
	var p *NotReady
	if !errors.As(err, &p) || id == "" {
		return err
	}
	return rpcerror.WithDetails(rpcerror.New(codes.Unknown, err.Error()), &pulumirpc.ErrorResourceInitFailed{
		Id: id, Properties: outputs, Reasons: []string{p.Reason}, Inputs: inputs,
	})
}
