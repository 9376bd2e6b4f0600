package engine

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path"
	"runtime"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Program is a provider plugin that answers in place of a model.
type Program struct {
	// Command makes the command that starts it; engine is the address that it sends its messages to.
	Command func(engine string) *exec.Cmd
	// Models reports whether the model answers for a resource after all.
	Models func(resource.URN) bool
}

// proxy forwards the engine's calls to a plugin process. Each connection has a process of its own, because a provider
// keeps one configuration, and one that could not reach its cluster never tries again.
type proxy struct {
	Program
	calls *Servers

	mu        sync.Mutex
	processes map[string]*process // by connection
}

type process struct {
	command *exec.Cmd
	conn    *grpc.ClientConn
}

// options returns the server options that route calls to the plugin first.
func (t *proxy) options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.UnaryInterceptor(t.intercept), grpc.StatsHandler(connections{ended: t.end})}
}

// intercept is called with each call of the engine, and with the model's method for it.
func (t *proxy) intercept(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, model grpc.UnaryHandler,
) (any, error) {
	method := path.Base(info.FullMethod)
	if urn := urnOf(req); urn != "" && t.Models(resource.URN(urn)) {
		return model(ctx, req)
	}
	switch method {
	case "Attach":
		if err := t.start(connection(ctx), req.(*pulumirpc.PluginAttach).GetAddress()); err != nil {
			return nil, err
		}
		return model(ctx, req)
	case "GetPluginInfo": // the engine warns of a provider that is older than its SDK
		return model(ctx, req)
	case "Configure": // the model needs the settings too
		if _, err := model(ctx, req); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	p := t.processes[connection(ctx)]
	t.mu.Unlock()
	if p == nil {
		return model(ctx, req)
	}
	return t.forward(ctx, p, method, info.FullMethod, req)
}

// forward forwards one call, and records it as the model records its own.
func (t *proxy) forward(ctx context.Context, p *process, method, full string, req any) (any, error) {
	op, counts := operationOf(method, req)
	if counts {
		if err := t.calls.record(op); err != nil {
			return nil, err
		}
	}
	answer, err := emptyAnswer(method)
	if err != nil {
		return nil, err
	}
	if err := p.conn.Invoke(ctx, full, req, answer); err != nil {
		return nil, err
	}
	if counts && op.Verb != "read" && t.calls.options.Done != nil {
		if made, ok := answer.(*pulumirpc.CreateResponse); ok {
			op.ID = made.GetId()
		}
		t.calls.options.Done(op)
	}
	return answer, nil
}

func urnOf(req any) string {
	if r, ok := req.(interface{ GetUrn() string }); ok {
		return r.GetUrn()
	}
	return ""
}

// operationOf returns the operation of a call, and whether it counts: calls of a preview have no effect. Inputs are
// left out, because the secrets among them cannot be distinguished here.
func operationOf(method string, req any) (Operation, bool) {
	if r, ok := req.(interface{ GetPreview() bool }); ok && r.GetPreview() {
		return Operation{}, false
	}
	switch method {
	case "Create", "Update", "Delete", "Read":
	default:
		return Operation{}, false
	}
	op := Operation{Verb: strings.ToLower(method), URN: urnOf(req), Type: string(resource.URN(urnOf(req)).Type())}
	if r, ok := req.(interface{ GetId() string }); ok {
		op.ID = r.GetId()
	}
	return op, true
}

// emptyAnswer makes the message that a method answers with.
func emptyAnswer(method string) (proto.Message, error) {
	service := pulumirpc.File_pulumi_provider_proto.Services().ByName("ResourceProvider")
	m := service.Methods().ByName(protoreflect.Name(method))
	if m == nil {
		return nil, fmt.Errorf("the engine's protocol has no method %s", method)
	}
	message, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		return nil, err
	}
	return message.New().Interface(), nil
}

// start starts the process of a connection and returns when it answers. A provider prints its port first of all.
func (t *proxy) start(connection, engine string) error {
	command := t.Command(engine)
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	port := make(chan string, 1)
	failed := make(chan error, 1)
	go func() {
		// The process ends with the thread that starts it, where its command asks for that.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := command.Start(); err != nil {
			failed <- err
			return
		}
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			port <- strings.TrimSpace(lines.Text())
		}
		for lines.Scan() {
		}
		failed <- fmt.Errorf("it ended: %w", command.Wait())
	}()
	var conn *grpc.ClientConn
	select {
	case err = <-failed:
	case p := <-port:
		conn, err = grpc.NewClient("127.0.0.1:"+p, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageSize)))
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", command.Path, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.processes[connection] = &process{command, conn}
	return nil
}

// end stops the process of a connection.
func (t *proxy) end(connection string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.processes[connection]; p != nil {
		_ = p.conn.Close()
		_ = p.command.Process.Kill()
		delete(t.processes, connection)
	}
}

// connections calls ended when a connection ends.
type connections struct{ ended func(connection string) }

type connectionKey struct{}

func (c connections) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connectionKey{}, info.RemoteAddr.String())
}

func (c connections) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, ended := s.(*stats.ConnEnd); ended {
		c.ended(ctx.Value(connectionKey{}).(string))
	}
}

func (c connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (c connections) HandleRPC(context.Context, stats.RPCStats)                       {}
