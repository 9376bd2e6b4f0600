package sandbox

import (
	"net"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

// messageSize bounds one call: a release's values hold whole dashboards.
const messageSize = 400 << 20

// serve runs a provider on a port of the loopback interface until the sandbox is closed.
func (s *Sandbox) serve(name string, provider *server) error {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(messageSize))
	pulumirpc.RegisterResourceProviderServer(g, provider)
	s.servers = append(s.servers, g)
	s.ports[name] = listener.Addr().(*net.TCPAddr).Port
	// It ends with an error only when the sandbox is closed.
	go func() { _ = g.Serve(watched{listener, s.options.Connected}) }()
	return nil
}

// watched tells of each connection that it accepts.
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
