// Package sandbox simulates AWS, Kubernetes and the hosts for the real Pulumi engine. It serves the providers aws,
// kubernetes, command, tls and random in-process; the Pulumi CLI attaches to them through PULUMI_DEBUG_PROVIDERS, so
// the real engine runs the real program with no account, no network and no plugin.
//
// This package starts a simulation and reports on it. The models are below it: aws and kube (what exists and how it
// behaves), command, tls and random (their providers), engine (the provider servers), store (what exists, with its
// journal), props (the properties of resources) and backend (what real hosts implement).
package sandbox

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/command"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/kube"
	"kubeadm-aws/internal/sandbox/random"
	"kubeadm-aws/internal/sandbox/store"
	"kubeadm-aws/internal/sandbox/tls"
)

// Options of a sandbox.
type Options struct {
	// Stack is named in messages only: the account belongs to Dir.
	Stack string
	// Dir is the directory of the account's journal; a later process continues with it. Empty keeps the account in memory.
	Dir string
	// Backend runs instances, commands and Kubernetes objects for real; nil simulates them. Close it after the sandbox.
	Backend Backend
	// Kubernetes is Pulumi's own provider of Kubernetes, for a backend with a real cluster. Nil uses the
	// model.
	Kubernetes *Program
	// Fault is called before every operation; its error makes the operation fail without effect. May be nil.
	Fault func(Operation) error
	// Done is called after every create, update and delete, before the engine gets the answer. May be nil.
	Done func(Operation)
	// Connected is called with every connection that the engine opens. May be nil.
	Connected func(*net.TCPConn)
	// Limits are the quotas and permissions of the account.
	Limits Limits
	// Now is the clock of certificates; nil is the real one.
	Now func() time.Time
	// Checkpoints makes the engine write its state before and after every step, as it does without a sandbox. The
	// state then lists the pending operations of a killed run. See Env.
	Checkpoints bool
}

// Backend runs instances, commands and Kubernetes objects for real.
type Backend = backend.Backend

// Program is a provider of Pulumi's own that answers in place of a model.
type Program = engine.Program

// Limits are what the account allows.
type Limits = aws.Limits

// Image is a machine image of Limits.
type Image = aws.Image

// Operation is one call of the engine that has an effect.
type Operation = engine.Operation

// Sandbox is a running set of providers. Close it when the engine is done.
type Sandbox struct {
	// AWS and Cluster make the changes from outside Pulumi, and answer what a client of AWS or of the cluster can ask.
	AWS     aws.Console
	Cluster kube.Admin
	// Hardware and Nodes are parts of them: what machines run on, and the health of nodes.
	Hardware aws.Hardware
	Nodes    kube.Nodes
	// Images are the machine images of the account.
	Images aws.Images

	options Options
	store   *store.Store
	account *aws.Account
	cluster *kube.Cluster
	servers *engine.Servers
}

// Start opens the account and serves the providers on ports of the loopback interface.
func Start(o Options) (*Sandbox, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	objects, err := store.Open(o.Dir)
	if err != nil {
		return nil, err
	}
	account := aws.NewAccount(objects, o.Limits.AccountID)
	cluster := kube.NewCluster(account)
	console := aws.NewConsole(account, o.Backend)
	s := &Sandbox{
		AWS: console, Cluster: kube.NewAdmin(cluster), Hardware: aws.NewHardware(console), Nodes: kube.NewNodes(cluster),
		Images:  aws.NewImages(console),
		options: o, store: objects, account: account, cluster: cluster,
		servers: engine.New(engine.Hooks{Fault: o.Fault, Done: o.Done, Connected: o.Connected}),
	}
	providers := s.providers()
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		program := map[string]*Program{"kubernetes": o.Kubernetes}[name]
		if err := s.servers.Serve(name, providers[name], program); err != nil {
			_ = s.Close()
			return nil, fmt.Errorf("serve provider %s: %w", name, err)
		}
	}
	return s, nil
}

// providers are the models by the name of their package.
func (s *Sandbox) providers() map[string]engine.Provider {
	o := s.options
	return map[string]engine.Provider{
		"aws":        &aws.Provider{Account: s.account, Backend: o.Backend, Limits: o.Limits},
		"kubernetes": kube.NewProvider(s.cluster, o.Backend),
		"command":    command.New(o.Backend, kube.NewShell(s.cluster), s.AWS),
		"tls":        &tls.Provider{Now: o.Now},
		"random":     &random.Provider{},
	}
}

// Env returns the environment variables with which the Pulumi CLI uses the sandbox.
func (s *Sandbox) Env() map[string]string {
	env := map[string]string{
		"PULUMI_DEBUG_PROVIDERS": s.servers.Addresses(),
		// Without this, every operation would try to download the plugins that the state names.
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		// Each backup would be one more copy of the whole state per resource.
		"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
	}
	if s.options.Backend == nil && !s.options.Checkpoints {
		// The engine writes the whole state twice per resource, which is nine tenths of a simulated up of 20 nodes
		// and grows with the square of the stack. With this it writes it once, at the end: also after an error or an
		// interrupt, but not when it is killed. The account then has changes that the state does not know.
		env["PULUMI_SKIP_CHECKPOINTS"] = "true"
	}
	return env
}

// Close stops the providers. The account's journal stays on disk.
func (s *Sandbox) Close() error {
	s.servers.Stop()
	return s.store.Close()
}

// Operations returns what happened since Start, in order.
func (s *Sandbox) Operations() []Operation { return s.servers.Recorded() }

// Leftovers describes each object that still exists in the account, in the cluster and on the backend, one line each.
// It omits what the account had before, such as a hosted zone that was only looked up.
func (s *Sandbox) Leftovers() []string {
	s.store.Lock()
	out := s.store.Leftovers()
	s.store.Unlock()
	if s.options.Backend != nil {
		machines, err := s.options.Backend.Leftovers(context.Background())
		if err != nil {
			machines = append(machines, "cannot list the leftovers of the backend: "+err.Error())
		}
		out = append(out, machines...)
	}
	return out
}

// Made lists what the engine made and still exists, in AWS and in the cluster. What controllers, users and Helm made by
// themselves is not among it.
func (s *Sandbox) Made() []store.Made {
	s.store.Lock()
	defer s.store.Unlock()
	return s.store.Made()
}

// Account describes what exists of a resource type ("aws:lb/loadBalancer:LoadBalancer") or of a kind in the cluster
// ("k8s/PersistentVolumeClaim"), one line each.
func (s *Sandbox) Account(typ string) []string {
	s.store.Lock()
	defer s.store.Unlock()
	var out []string
	for _, o := range s.store.All(typ) {
		out = append(out, o.Title())
	}
	return out
}
