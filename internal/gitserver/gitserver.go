// Package gitserver serves one bare Git repository over SSH for reading, as a Git service does for a deploy key.
package gitserver

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Options of a server.
type Options struct {
	// Bare is the directory of the bare repository.
	Bare string
	// Address is where the server listens, as IP:port. Port 0 takes a free one.
	Address string
	// HostKey is the key by which clients know the server.
	HostKey ed25519.PrivateKey
	// DeployKey is the only key that may read.
	DeployKey ssh.PublicKey
}

// Server is a running server.
type Server struct {
	// URL is the address of the repository.
	URL string
	// KnownHosts is the line by which clients know the server.
	KnownHosts string
	// Address is where the server listens, as IP:port.
	Address string

	bare     string
	config   *ssh.ServerConfig
	listener net.Listener
}

// Start starts a server. Close ends it.
func Start(o Options) (*Server, error) {
	host, err := ssh.NewSignerFromKey(o.HostKey)
	if err != nil {
		return nil, err
	}
	readable := func(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
		if string(offered.Marshal()) != string(o.DeployKey.Marshal()) {
			return nil, errors.New("another key than the deploy key")
		}
		return nil, nil
	}
	s := &Server{bare: o.Bare, config: &ssh.ServerConfig{PublicKeyCallback: readable}}
	s.config.AddHostKey(host)
	if s.listener, err = net.Listen("tcp4", o.Address); err != nil {
		return nil, fmt.Errorf("the Git server: %w", err)
	}
	address := s.listener.Addr().(*net.TCPAddr)
	s.Address = address.String()
	s.URL = fmt.Sprintf("ssh://git@%s/platform.git", s.Address)
	s.KnownHosts = fmt.Sprintf("[%s]:%d %s", address.IP, address.Port,
		strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey()))))
	go s.serve()
	return s, nil
}

// Close stops the server from taking connections.
func (s *Server) Close() error { return s.listener.Close() }

// OwnAddress returns an address of this machine that hosts and their pods reach. It exists before the network of the
// hosts.
func OwnAddress() (string, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String(), nil
		}
	}
	return "", fmt.Errorf("this machine has no address of its own among %v", all)
}

func (s *Server) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.connection(conn)
	}
}

func (s *Server) connection(conn net.Conn) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go s.session(channel, requests)
	}
}

// session runs the one command that a reader of the repository needs.
func (s *Server) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		var command struct{ Text string }
		read := r.Type == "exec" && ssh.Unmarshal(r.Payload, &command) == nil &&
			command.Text == "git-upload-pack '/platform.git'"
		_ = r.Reply(read, nil)
		if r.Type != "exec" {
			continue
		}
		status := struct{ Code uint32 }{1}
		if read && s.uploadPack(channel) == nil {
			status.Code = 0
		}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
		return
	}
}

func (s *Server) uploadPack(channel ssh.Channel) error {
	cmd := exec.Command("git", "upload-pack", "--strict", s.bare)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	// A pipe of its own: Wait would otherwise wait for the client to close its side.
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, channel)
		_ = in.Close()
	}()
	return cmd.Wait()
}
