// Package dockerhosts is the sandbox backend that runs instances as Linux hosts on this machine: docker containers
// with systemd and sshd that boot like an EC2 image. Commands run over SSH and Kubernetes objects go to a real API
// server.
//
// The parts that AWS or a chart would provide are replaced by substitutes: the CNI by a bridge and static routes, the
// cloud controller manager by code that removes its taint, the Load Balancer Controller by code that gives each
// Ingress a host name, EBS volumes by directories of this machine, and the instance metadata service by one that
// serves the instance role. Charts are recorded, not installed, unless the stack has real add-ons (see platform).
package dockerhosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"kubeadm-aws/internal/sandbox/backend"
)

// Options of a backend.
type Options struct {
	// Stack labels each container and network of the backend. Backends of different stacks do not affect each other.
	Stack string
	// Dir holds what has to survive the process: addresses, records, charts.
	Dir string
	// Avoid are the CIDR ranges of pods and Services, which the hosts' network must not overlap.
	Avoid []string
	// Domain is dns.domain of the settings, empty without one. This machine's resolver cannot resolve it.
	Domain string
	// Mirror is the directory of tools/mirror. Default: $MIRROR_SCRIPTS, else tools/mirror below the current directory.
	Mirror string
	// Real makes a new stack run its add-ons for real, as far as the mirror has their images. Default: whether $ADDONS
	// is real.
	Real bool
	// Public makes the hosts install from the public sources instead of the mirror. Default: whether $MIRROR is off.
	Public bool
	// Log gets a line for each slow step. May be nil.
	Log func(format string, args ...any)
}

// stack holds the facts of the stack that all parts of a backend use.
type stack struct {
	options Options
	network network
	store   *store
}

// Backend implements backend.Backend with docker containers. The embedded parts have the methods for machines, elastic
// addresses, DNS records and releases.
type Backend struct {
	*stack
	*instances
	addresses
	zone
	installer

	mirror  *mirror
	meta    *metadata
	objects *objectStore
	control *controller
	kube    clients
}

var _ backend.Backend = (*Backend)(nil)

var stackName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// New opens the backend of a stack and finds the machines that an earlier process left running.
func New(ctx context.Context, o Options) (*Backend, error) {
	if !stackName.MatchString(o.Stack) {
		return nil, fmt.Errorf("hosts: stack %q: letters, digits and dashes only", o.Stack)
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	o.Public = o.Public || os.Getenv("MIRROR") == "off"
	o.Real = o.Real || os.Getenv("ADDONS") == "real"
	var err error
	if o.Mirror, err = mirrorDir(o.Mirror); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &stack{options: o}
	if s.store, err = openStore(filepath.Join(o.Dir, "hosts.json")); err != nil {
		return nil, err
	}
	image := sync.OnceValue(func() error { return buildImage(context.WithoutCancel(ctx), o) })
	b := &Backend{
		stack:     s,
		instances: &instances{stack: s, zone: zone{s}, image: image, reserved: map[netip.Addr]string{}},
		addresses: addresses{s},
		zone:      zone{s},
		installer: installer{s},
	}
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Backend) open(ctx context.Context) (err error) {
	if _, err := docker(ctx, "info", "--format", "{{.ServerVersion}}"); err != nil {
		return fmt.Errorf("hosts need a running docker daemon: %w", err)
	}
	if b.network, err = openNetwork(ctx, b.options); err != nil {
		return err
	}
	if b.store.read().Platform.real() {
		b.options.Real = true
	}
	if !b.options.Public {
		if err := buildMirror(ctx, b.options); err != nil {
			return err
		}
	}
	if err := b.installer.choose(); err != nil {
		return err
	}
	if !b.options.Public {
		if b.mirror, err = startMirror(b.stack); err != nil {
			return err
		}
	}
	if b.meta, err = startMetadata(ctx, b.stack); err != nil {
		return err
	}
	if b.objects, err = startObjectStore(b); err != nil {
		return err
	}
	b.control = startController(b)
	return nil
}

// Close stops the backend's own servers. When no machine is left it also removes the network and the files.
func (b *Backend) Close() error {
	var errs []error
	if b.control != nil {
		b.control.stop()
	}
	if b.objects != nil {
		errs = append(errs, b.objects.stop())
	}
	if b.meta != nil {
		errs = append(errs, b.meta.stop())
	}
	if b.mirror != nil {
		errs = append(errs, b.mirror.stop())
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	left, err := machines(ctx, b.options.Stack)
	errs = append(errs, err)
	if err == nil && len(left) == 0 && len(b.store.read().Addresses) == 0 {
		errs = append(errs, b.network.remove(ctx), b.store.remove(), os.RemoveAll(filepath.Join(b.options.Dir, "objects")),
			os.RemoveAll(b.volumesDir()))
	}
	return errors.Join(errs...)
}

// Leftovers names the machines, the network, the elastic addresses and the records of the stack that still exist.
func (b *Backend) Leftovers(ctx context.Context) ([]string, error) {
	left, err := machines(ctx, b.options.Stack)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range left {
		names = append(names, "container "+m.container)
	}
	s := b.store.read()
	for id, a := range s.Addresses {
		names = append(names, fmt.Sprintf("elastic address %s (%s)", a.Address, id))
	}
	for name := range s.Records {
		names = append(names, "record "+name)
	}
	return names, nil
}

// mirrorDir finds tools/mirror, whose scripts build, start and serve the hosts.
func mirrorDir(given string) (string, error) {
	dir, err := filepath.Abs(cmp.Or(given, os.Getenv("MIRROR_SCRIPTS"), filepath.Join("tools", "mirror")))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "host", "run")); err != nil {
		return "", fmt.Errorf("hosts: %s has no host/run; run this from the root of the repository: %w", dir, err)
	}
	return dir, nil
}
