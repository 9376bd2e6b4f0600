package sandbox

import "context"

// Ground is what stands under the simulated account. Without one, instances and commands exist in the model only.
// With one, the account still checks everything as AWS would, and then the ground makes it real: a machine for an
// instance, SSH for a command, an API server for a Kubernetes object.
//
// Every method must be safe to call from several goroutines and safe to repeat: the same call after an interrupted one
// ends in the same state. Things are known by the ids that the account gave them, so a new process finds what an
// earlier one made.
type Ground interface {
	// CreateNetwork makes the network of a VPC; every machine of the VPC gets an address in it.
	CreateNetwork(ctx context.Context, vpcID, cidr string) error
	DeleteNetwork(ctx context.Context, vpcID string) error

	// Launch starts a machine and returns its public address; it may return before SSH answers. An empty address
	// stands for "reached by its private address".
	Launch(ctx context.Context, m Machine) (publicIP string, err error)
	// Terminate removes a machine and its disk. A machine that does not exist is no error.
	Terminate(ctx context.Context, instanceID string) error
	// Running reports whether the machine is there; Read uses it, so that a refresh finds what vanished.
	Running(ctx context.Context, instanceID string) (bool, error)

	// AllocateAddress reserves an Elastic IP and returns it. The network may not exist yet.
	AllocateAddress(ctx context.Context, allocationID string) (ip string, err error)
	ReleaseAddress(ctx context.Context, allocationID string) error
	// AssociateAddress makes the machine answer on the address.
	AssociateAddress(ctx context.Context, allocationID, ip, instanceID string) error
	DisassociateAddress(ctx context.Context, allocationID, instanceID string) error

	// SetRecord makes every machine, present and later, resolve name to addresses; no addresses removes it.
	SetRecord(ctx context.Context, name string, addresses []string) error

	// CreateBucket and DeleteBucket keep an S3 bucket; DeleteBucket drops its objects when force is set and is an
	// error with a message like S3's BucketNotEmpty otherwise.
	CreateBucket(ctx context.Context, name string) error
	DeleteBucket(ctx context.Context, name string, force bool) error

	// Exec runs a command over SSH as the command provider does: it dials until the connection's limit, checks the
	// host key and feeds stdin. An error carries the output.
	Exec(ctx context.Context, on Connection, command, stdin string) (stdout, stderr string, err error)

	// Apply creates or updates one Kubernetes object and returns it as the API shows it.
	Apply(ctx context.Context, kubeconfig string, object map[string]any) (map[string]any, error)
	// Get returns nil when the object does not exist.
	Get(ctx context.Context, kubeconfig string, ref ObjectRef) (map[string]any, error)
	// Delete removes an object and waits until it is gone.
	Delete(ctx context.Context, kubeconfig string, ref ObjectRef) error
	// Install installs or upgrades a Helm release, or a stand-in for it.
	Install(ctx context.Context, kubeconfig string, r Release) error
	Uninstall(ctx context.Context, kubeconfig string, r Release) error

	// Close lets go of the ground's own processes and connections. Machines stay.
	Close() error
}

// Machine is an EC2 instance as its ground needs it.
type Machine struct {
	// InstanceID is the account's id, i-0123456789abcdef0.
	InstanceID string
	// Name is the tag Name.
	Name string
	// VPCID is the network; PrivateIP the address in it that the account chose.
	VPCID, PrivateIP string
	// Zone is an availability zone such as eu-central-1a; InstanceType such as t3.large.
	Zone, InstanceType string
	// UserData is the cloud-init document, decoded.
	UserData string
	// AuthorizedKey is the public key of the instance's key pair; empty without one.
	AuthorizedKey string
	// Profile is the name of the instance profile; empty without one.
	Profile string
	Tags    map[string]string
}

// Connection is how a command reaches its host.
type Connection struct {
	Host string
	Port int
	User string
	// PrivateKey is PEM. HostKey is in authorized_keys format; empty means that any host is believed.
	PrivateKey, HostKey string
	// DialErrorLimit is how many failed dials are accepted; 0 is the provider's default of 10, negative is no limit.
	DialErrorLimit int
	// PerDialTimeout in seconds; 0 is the provider's default of 15.
	PerDialTimeout int
}

// ObjectRef names a Kubernetes object. Namespace is empty for objects of the whole cluster.
type ObjectRef struct {
	APIVersion, Kind, Namespace, Name string
}

// Release is a Helm release. Values are plain: secrets are taken out of their wrapping.
type Release struct {
	Name, Namespace        string
	Chart, Repo, Version   string
	Values                 map[string]any
	CreateNamespace, Await bool
}
