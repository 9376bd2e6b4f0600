// Package backend has the interface of real hosts for the sandbox. internal/dockerhosts implements it.
package backend

import (
	"context"
	"time"
)

// Backend runs the instances, remote commands and Kubernetes objects that the sandbox otherwise only simulates: with
// Options.Backend nil they exist in the account alone. Every method may be called concurrently and is idempotent: a
// driver that was killed calls it again with the same id, and the method finds what the earlier process made. The
// caller that opened a backend closes it, after the sandbox.
type Backend interface {
	// Launch boots a machine and returns when logins work.
	Launch(ctx context.Context, m Machine) (MachineStatus, error)
	// Terminate removes a machine with its disks. It returns nil when the machine does not exist.
	Terminate(ctx context.Context, id string) error
	// Find reports the status of a machine and whether it exists. Reads and refreshes call it.
	Find(ctx context.Context, id string) (MachineStatus, bool, error)
	// SaveImage stops a machine and makes an image of its disk under this id. RemoveImage removes an image; it returns nil
	// when the image does not exist.
	SaveImage(ctx context.Context, machineID, image string) error
	RemoveImage(ctx context.Context, image string) error

	// Exec runs a command over SSH. An exit status other than 0 is an error. A command for a service of a Helm release
	// that this backend only records does not run, and is no error.
	Exec(ctx context.Context, c RemoteCommand) (stdout, stderr string, err error)

	// SetAddress reserves a public address for the elastic IP of this allocation id and returns it. The machine has the
	// address afterwards, and the machine that had it before has not. With an empty machineID no machine has it.
	SetAddress(ctx context.Context, allocationID, machineID string) (address string, err error)
	// ReleaseAddress returns the address to the pool. An associated address is an error.
	ReleaseAddress(ctx context.Context, allocationID string) error

	// SetRecord publishes an A record of the private zone to all machines, including those launched later. Without
	// addresses it removes the record.
	SetRecord(ctx context.Context, name string, addresses []string) error

	// Cluster is the API that a kubeconfig leads to.
	Cluster(kubeconfig string) Cluster

	// Leftovers describes each machine, address and record of this stack that still exists, one text each.
	Leftovers(ctx context.Context) ([]string, error)
}

// Cluster is a Kubernetes API.
type Cluster interface {
	// Apply creates or updates an object by server-side apply and returns it as the API stores it. An object whose kind
	// the API does not serve (a custom resource of an add-on that this backend does not install) is returned as given.
	Apply(ctx context.Context, object map[string]any) (map[string]any, error)
	// Get reads an object; found is false when it does not exist. One whose kind the API does not serve is returned as
	// given.
	Get(ctx context.Context, object map[string]any) (live map[string]any, found bool, err error)
	// Delete removes an object and waits until it is gone.
	Delete(ctx context.Context, object map[string]any) error
	// InstallChart is called for every create and update of a Helm release. A backend may do nothing: the caller records
	// the release in the account.
	InstallChart(ctx context.Context, r ChartRelease) error
	// UninstallChart is called when a release is deleted.
	UninstallChart(ctx context.Context, r ChartRelease) error
}

// Machine is an instance to boot.
type Machine struct {
	// ID is the instance id, Name the value of its Name tag (becomes the host name; may be empty).
	ID, Name string
	// UserData is the plain text of the instance's user data, in which cloud-config's ssh_keys hold the host key.
	UserData string
	// AuthorizedKey is the public key of the EC2 key pair.
	AuthorizedKey string
	// Profile is the name of the instance profile; empty when the machine has no role. Role is the role's name in it.
	Profile, Role string
	// Image is the id of the machine image. One that SaveImage did not make stands for the vendor's.
	Image string
}

// MachineStatus holds the addresses of a machine.
type MachineStatus struct {
	PrivateIP string
	// PublicIP is the associated elastic address, else the private address.
	PublicIP string
}

// RemoteCommand is one run of a command:remote:Command.
type RemoteCommand struct {
	Host string
	Port int
	User string
	// PrivateKey is in PEM or OpenSSH format. HostKey in authorized_keys format; empty accepts any.
	PrivateKey, HostKey string
	// DialErrorLimit is the number of failed dials after which the command fails; -1 has no limit. PerDialTimeout
	// bounds each.
	DialErrorLimit int
	PerDialTimeout time.Duration
	Command, Stdin string
	// Release is the Helm release whose service the command calls; empty for other commands.
	Release string
	// Log gets each line of stdout and stderr as it comes; may be nil.
	Log func(stream, line string)
}

// ChartRelease is a kubernetes:helm.sh/v3:Release.
type ChartRelease struct {
	Name, Namespace, Chart, Version, Repository string
	Values                                      map[string]any
}
