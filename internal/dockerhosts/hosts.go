// Package dockerhosts is the ground of the sandbox on which instances are Linux hosts of this machine (docker containers with
// systemd and sshd, booted like an EC2 image), commands run over SSH and Kubernetes objects go to a real API.
//
// What has no place here is stood in for: the CNI by a bridge and static routes, the cloud controller manager by removing
// its taint, the Load Balancer Controller by a name for each Ingress, the instance metadata service by one that knows the
// instance role. Charts are only recorded.
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

	"kubeadm-aws/internal/sandbox"
)

// Options of a ground.
type Options struct {
	// Stack labels everything that the ground makes; two grounds with different stacks do not touch each other.
	Stack string
	// Dir holds what has to survive the process: addresses, records, charts.
	Dir string
	// Avoid are ranges that hosts may not live in: those of pods and Services.
	Avoid []string
	// Domain of the settings, if there is one. No resolver of this machine answers for it.
	Domain string
	// Mirror is the directory of tools/mirror. Default: $MIRROR_SCRIPTS, else tools/mirror below the current directory.
	Mirror string
	// Public makes the hosts install from the public sources instead of the mirror. Default: whether $MIRROR is off.
	Public bool
	// Log gets a line for each thing that takes time. May be nil.
	Log func(format string, args ...any)
}

// Ground implements sandbox.Ground with docker containers.
type Ground struct {
	options Options
	network network
	mirror  *mirror
	store   *store
	meta    *metadata
	objects *objectStore
	control *controller
	kube    clients

	// image builds the image of the hosts, once, with the first host.
	image func() error

	launching sync.Mutex
	reserved  map[netip.Addr]string
}

var _ sandbox.Ground = (*Ground)(nil)

var stackName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// New opens the ground of a stack, and finds the machines that an earlier process left on it.
func New(ctx context.Context, o Options) (*Ground, error) {
	if !stackName.MatchString(o.Stack) {
		return nil, fmt.Errorf("hosts: stack %q: letters, digits and dashes only", o.Stack)
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	o.Public = o.Public || os.Getenv("MIRROR") == "off"
	var err error
	if o.Mirror, err = mirrorDir(o.Mirror); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	g := &Ground{options: o, reserved: map[netip.Addr]string{}}
	g.image = sync.OnceValue(func() error { return buildImage(context.WithoutCancel(ctx), o) })
	if g.store, err = openStore(filepath.Join(o.Dir, "hosts.json")); err != nil {
		return nil, err
	}
	if err := g.open(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Ground) open(ctx context.Context) (err error) {
	if _, err := docker(ctx, "info", "--format", "{{.ServerVersion}}"); err != nil {
		return fmt.Errorf("hosts need a running docker daemon: %w", err)
	}
	if g.network, err = openNetwork(ctx, g.options); err != nil {
		return err
	}
	if !g.options.Public {
		if g.mirror, err = startMirror(ctx, g); err != nil {
			return err
		}
	}
	if g.meta, err = startMetadata(ctx, g); err != nil {
		return err
	}
	if g.objects, err = startObjectStore(g); err != nil {
		return err
	}
	g.control = startController(g)
	return nil
}

// Close ends what runs beside the machines, and removes the network and the files when no machine is left on it.
func (g *Ground) Close() error {
	var errs []error
	if g.control != nil {
		g.control.stop()
	}
	if g.objects != nil {
		errs = append(errs, g.objects.stop())
	}
	if g.meta != nil {
		errs = append(errs, g.meta.stop())
	}
	if g.mirror != nil {
		errs = append(errs, g.mirror.stop())
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	left, err := machines(ctx, g.options.Stack)
	errs = append(errs, err)
	if err == nil && len(left) == 0 && len(g.store.read().Addresses) == 0 {
		errs = append(errs, g.network.remove(ctx), g.store.remove(), os.RemoveAll(filepath.Join(g.options.Dir, "objects")))
	}
	return errors.Join(errs...)
}

// Leftovers names the machines, the network, the elastic addresses and the records of the stack that still exist.
func (g *Ground) Leftovers(ctx context.Context) ([]string, error) {
	left, err := machines(ctx, g.options.Stack)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range left {
		names = append(names, "container "+m.container)
	}
	s := g.store.read()
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
