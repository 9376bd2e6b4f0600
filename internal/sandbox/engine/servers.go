package engine

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

// messageSize bounds one call: a release's values hold whole dashboards.
const messageSize = 400 << 20

// Operation is one call of the engine that has an effect. Calls of a preview are not counted.
type Operation struct {
	Seq int
	// Verb is create, update, delete, read or invoke.
	Verb string
	// URN is empty for an invoke, whose Type is the function's token.
	URN, Type, ID string
	// Inputs have hashes in place of secrets.
	Inputs map[string]any
}

// Hooks are callbacks for tests and for the owner of the engine's process; each may be nil.
type Hooks struct {
	// Fault is called before every operation; its error makes the operation fail without effect.
	Fault func(Operation) error
	// Done is called after every create, update and delete, before the engine gets the answer.
	Done func(Operation)
	// Connected is called with every connection that the engine opens.
	Connected func(*net.TCPConn)
}

// Servers are providers that listen for the engine. They record the operations that the engine asks for.
type Servers struct {
	options Hooks

	mu         sync.Mutex
	operations []Operation

	running []*grpc.Server
	ports   map[string]int
}

// New returns servers without a provider; Serve adds one.
func New(o Hooks) *Servers { return &Servers{options: o, ports: map[string]int{}} }

// Handler returns the server of a provider, without a port. For tests.
func Handler(p Provider) pulumirpc.ResourceProviderServer {
	return &server{calls: New(Hooks{}), provider: p}
}

// Serve runs a provider on a port of the loopback interface until stop is called. If program is not nil, it answers the
// engine's calls, and p answers those that it leaves to the model.
func (s *Servers) Serve(name string, p Provider, program *Program) error {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(messageSize)}
	if program != nil {
		t := &proxy{Program: *program, calls: s, processes: map[string]*process{}}
		options = append(options, t.options()...)
	}
	g := grpc.NewServer(options...)
	pulumirpc.RegisterResourceProviderServer(g, &server{calls: s, provider: p})
	s.running = append(s.running, g)
	s.ports[name] = listener.Addr().(*net.TCPAddr).Port
	// It ends with an error only when the servers are stopped.
	go func() { _ = g.Serve(watched{listener, s.options.Connected}) }()
	return nil
}

// Addresses is the value of PULUMI_DEBUG_PROVIDERS: "aws:41001,command:41002".
func (s *Servers) Addresses() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.ports)) {
		out = append(out, fmt.Sprintf("%s:%d", name, s.ports[name]))
	}
	return strings.Join(out, ",")
}

// Stop waits for the calls that run and stops the providers.
func (s *Servers) Stop() {
	for _, g := range s.running {
		g.GracefulStop()
	}
}

// Recorded are the operations since the start, in order.
func (s *Servers) Recorded() []Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.operations)
}

func (s *Servers) record(op Operation) error {
	s.mu.Lock()
	op.Seq = len(s.operations) + 1
	s.operations = append(s.operations, op)
	s.mu.Unlock()
	if s.options.Fault == nil {
		return nil
	}
	return s.options.Fault(op)
}

// watched calls connected with each connection that it accepts.
type watched struct {
	*net.TCPListener
	connected func(*net.TCPConn)
}

func (w watched) Accept() (net.Conn, error) {
	c, err := w.AcceptTCP()
	if err != nil {
		return nil, err
	}
	if w.connected != nil {
		w.connected(c)
	}
	return c, nil
}
