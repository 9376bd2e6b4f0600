package sandbox

import (
	"context"
	"time"
)

// Ground is what instances, remote commands and Kubernetes objects really stand on. Options.Ground nil is the
// simulated ground, which needs none of this. Every method may be called concurrently, is idempotent (a driver that was
// killed calls it again for the same id) and finds what an earlier process made.
type Ground interface {
	// Launch boots a machine and returns when logins work.
	Launch(ctx context.Context, m Machine) (MachineStatus, error)
	// Terminate removes a machine with its disks; a machine that is gone is no error.
	Terminate(ctx context.Context, id string) error
	// Find says whether a machine exists, for reads and refreshes.
	Find(ctx context.Context, id string) (MachineStatus, bool, error)

	// AllocateAddress reserves a public address for an elastic IP with this allocation id.
	AllocateAddress(ctx context.Context, allocationID string) (address string, err error)
	// ReleaseAddress gives it back; it must not be associated.
	ReleaseAddress(ctx context.Context, allocationID string) error
	// AssociateAddress adds the address to a machine, and takes it from the one that had it.
	AssociateAddress(ctx context.Context, allocationID, machineID string) error
	// DisassociateAddress takes the address from its machine.
	DisassociateAddress(ctx context.Context, allocationID string) error

	// SetRecord makes an A record of the private zone known on all machines, also later ones.
	SetRecord(ctx context.Context, name string, addresses []string) error
	// DeleteRecord removes it.
	DeleteRecord(ctx context.Context, name string) error

	// Exec runs a command text over SSH. A command that exits with another status than 0 is an error.
	Exec(ctx context.Context, c RemoteCommand) (stdout, stderr string, err error)

	// Apply makes an object by server-side apply and returns it as the API has it. An object whose kind the API does
	// not know (a custom resource of an add-on that this ground does not really install) is returned as given.
	Apply(ctx context.Context, kubeconfig string, object map[string]any) (map[string]any, error)
	// Get reads an object; found is false when the API does not have it.
	Get(ctx context.Context, kubeconfig string, object map[string]any) (live map[string]any, found bool, err error)
	// Delete removes an object and waits until it is gone.
	Delete(ctx context.Context, kubeconfig string, object map[string]any) error
	// InstallChart is called for every create and update of a Helm release. Charts without a stand-in are only recorded by the caller.
	InstallChart(ctx context.Context, kubeconfig string, r ChartRelease) error
	// UninstallChart is called when a release is deleted.
	UninstallChart(ctx context.Context, kubeconfig string, r ChartRelease) error

	// Leftovers names, readably, everything of this stack that still exists on the ground.
	Leftovers(ctx context.Context) ([]string, error)
	// Close ends what runs beside the machines. Machines stay.
	Close() error
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
}

// MachineStatus is what the ground knows of a machine.
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
	// DialErrorLimit is the number of failed dials after which the command fails; -1 has no limit. PerDialTimeout bounds each.
	DialErrorLimit int
	PerDialTimeout time.Duration
	Command, Stdin string
	// Log gets each line of stdout and stderr as it comes; may be nil.
	Log func(stream, line string)
}

// ChartRelease is a kubernetes:helm.sh/v3:Release.
type ChartRelease struct {
	Name, Namespace, Chart, Version, Repository string
	Values                                      map[string]any
}
