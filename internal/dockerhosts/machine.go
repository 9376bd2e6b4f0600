package dockerhosts

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"kubeadm-aws/internal/sandbox/backend"
)

// machine is one container.
type machine struct {
	id        string
	container string
	address   string
	profile   string
	running   bool
}

// instances runs the EC2 instances of the stack as containers.
type instances struct {
	*stack
	zone zone
	// image builds the image of the hosts, once, with the first host.
	image func() error

	launching sync.Mutex
	reserved  map[netip.Addr]string // by launches in progress
}

// Launch boots a container for the instance, or starts the one that is there, and returns when logins work. It takes
// about 2 seconds.
func (i *instances) Launch(ctx context.Context, m backend.Machine) (backend.MachineStatus, error) {
	if !instanceID.MatchString(m.ID) {
		return backend.MachineStatus{}, fmt.Errorf("instance id %q: letters, digits and dashes only", m.ID)
	}
	there, found, err := i.machine(ctx, m.ID)
	if err != nil {
		return backend.MachineStatus{}, err
	}
	if found {
		// A killed process left this container incomplete. It has no data to keep, and its boot may never end.
		if !there.running {
			if _, err := docker(ctx, "rm", "--force", "--volumes", there.container); err != nil && !isGone(err) {
				return backend.MachineStatus{}, err
			}
			found = false
		}
	}
	address := there.address
	if !found {
		if address, err = i.boot(ctx, m); err != nil {
			return backend.MachineStatus{}, fmt.Errorf("boot %s: %w", m.ID, err)
		}
	}
	if err := i.zone.writeRecords(ctx); err != nil {
		return backend.MachineStatus{}, err
	}
	return i.status(m.ID, address), nil
}

func (i *instances) boot(ctx context.Context, m backend.Machine) (string, error) {
	if err := i.image(); err != nil {
		return "", err
	}
	began := time.Now()
	ip, err := i.reserve(ctx, m.ID)
	if err != nil {
		return "", err
	}
	defer i.unreserve(ip)
	volumes, err := filepath.Abs(i.volumesDir())
	if err != nil {
		return "", err
	}
	args := []string{
		"--label " + labelStack + "=" + i.options.Stack,
		"--label " + labelID + "=" + m.ID,
		"--label " + labelRole + "=" + m.Profile,
		// EC2 names a host after its address; cloud-init gives it the name of its user data.
		"--hostname ip-" + strings.ReplaceAll(ip.String(), ".", "-"),
		"--volume " + volumes + ":" + volumesOnHosts,
	}
	c := exec.CommandContext(ctx, filepath.Join(i.options.Mirror, "host", "run"), i.containerName(m), i.network.name,
		ip.String())
	from, err := i.imageOf(ctx, m.Image)
	if err != nil {
		return "", err
	}
	c.Env = append(os.Environ(), "HOST_IMAGE="+from, "INSTANCE_ID="+m.ID, "SSH_AUTHORIZED_KEY="+m.AuthorizedKey,
		"HOST_RUN_ARGS="+strings.Join(args, " "),
		"USER_DATA="+base64.StdEncoding.EncodeToString([]byte(m.UserData)))
	if _, err := run(c); err != nil {
		return "", err
	}
	i.options.Log("host %s (%s) boots at %s in %.1f s", m.Name, m.ID, ip, time.Since(began).Seconds())
	return ip.String(), nil
}

var (
	instanceID = regexp.MustCompile(`^[a-zA-Z0-9-]+$`)
	notInName  = regexp.MustCompile(`[^a-z0-9]+`)
)

// containerName returns a readable name: the stack, the name of the instance and, because names are not unique, a part
// of its id.
func (i *instances) containerName(m backend.Machine) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(m.Name), "-"), "-")
	if name == "" {
		name = "host"
	}
	return fmt.Sprintf("%s-%s-%s", i.network.name, name, strings.TrimPrefix(m.ID, "i-"))
}

// reserve returns the lowest address that no container and no launch in progress has.
func (i *instances) reserve(ctx context.Context, id string) (netip.Addr, error) {
	i.launching.Lock()
	defer i.launching.Unlock()
	there, err := machines(ctx, i.options.Stack)
	if err != nil {
		return netip.Addr{}, err
	}
	used := map[string]bool{}
	for _, m := range there {
		used[m.address] = true
	}
	for last := firstHost; last < firstElastic; last++ {
		ip := i.network.at(last)
		if _, pending := i.reserved[ip]; pending || used[ip.String()] {
			continue
		}
		i.reserved[ip] = id
		return ip, nil
	}
	return netip.Addr{}, fmt.Errorf("%w in %s", errNoAddress, i.network.subnet)
}

func (i *instances) unreserve(ip netip.Addr) {
	i.launching.Lock()
	defer i.launching.Unlock()
	delete(i.reserved, ip)
}

// Terminate removes the container with its volumes.
func (i *instances) Terminate(ctx context.Context, id string) error {
	m, found, err := i.machine(ctx, id)
	if err != nil || !found {
		return err
	}
	if _, err := docker(ctx, "rm", "--force", "--volumes", m.container); err != nil && !isGone(err) {
		return fmt.Errorf("terminate %s: %w", id, err)
	}
	return nil
}

// Find returns the status of a machine and whether it exists.
func (i *instances) Find(ctx context.Context, id string) (backend.MachineStatus, bool, error) {
	m, found, err := i.machine(ctx, id)
	if err != nil || !found {
		return backend.MachineStatus{}, false, err
	}
	return i.status(id, m.address), true, nil
}

func (s *stack) status(id, address string) backend.MachineStatus {
	found := backend.MachineStatus{PrivateIP: address, PublicIP: address}
	for _, e := range s.store.read().Addresses {
		if e.Machine == id {
			found.PublicIP = e.Address
		}
	}
	return found
}

func (s *stack) machine(ctx context.Context, id string) (machine, bool, error) {
	all, err := machines(ctx, s.options.Stack)
	if err != nil {
		return machine{}, false, err
	}
	for _, m := range all {
		if m.id == id {
			return m, true, nil
		}
	}
	return machine{}, false, nil
}

// machines lists the containers of a stack, by name.
func machines(ctx context.Context, stack string) ([]machine, error) {
	ids, err := docker(ctx, "ps", "--all", "--quiet", "--filter", "label="+labelStack+"="+stack)
	if err != nil || ids == "" {
		return nil, err
	}
	format := `{{index .Config.Labels "` + labelID + `"}}|{{.Name}}|` +
		`{{range .NetworkSettings.Networks}}{{if .IPAMConfig}}{{.IPAMConfig.IPv4Address}}{{end}}{{end}}|` +
		`{{index .Config.Labels "` + labelRole + `"}}|{{.State.Running}}`
	out, err := docker(ctx, append([]string{"inspect", "--format", format}, strings.Fields(ids)...)...)
	// A container that was removed between the two commands is not in the output.
	if err != nil && !isGone(err) {
		return nil, err
	}
	var all []machine
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) != 5 {
			continue
		}
		all = append(all, machine{
			id: f[0], container: strings.TrimPrefix(f[1], "/"), address: f[2], profile: f[3], running: f[4] == "true",
		})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].container < all[j].container })
	return all, nil
}
