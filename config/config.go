// Package config holds the typed settings of a stack: what Pulumi.<stack>.yaml may say, the defaults, and the rules.
// It is pure Go and creates no resources; Load is called before the first one.
package config

import (
	"fmt"
	"slices"
)

// Namespace is the Pulumi project name, the prefix of every key in Pulumi.<stack>.yaml.
const Namespace = "kubeadm-aws"

// Config is one stack's settings, with defaults filled in and validated. Each field is a key of its own under
// "kubeadm-aws:"; nested fields are reached with `pulumi config set --path`.
type Config struct {
	// Environment is dev, staging or prod. It decides the defaults below and what validation refuses.
	Environment string `json:"environment"`
	// Owner goes into the default tags: a team or a person to ask.
	Owner string `json:"owner"`

	Cluster  Cluster  `json:"cluster"`
	Network  Network  `json:"network"`
	Access   Access   `json:"access"`
	Image    Image    `json:"image"`
	Nodes    []Node   `json:"nodes"`
	DNS      DNS      `json:"dns"`
	Identity Identity `json:"identity"`
	Backup   Backup   `json:"backup"`
	Repair   Repair   `json:"repair"`

	Maintenance Maintenance `json:"maintenance"`

	Protection Protection `json:"protection"`
	Mirrors    Mirrors    `json:"mirrors"`
	Kubernetes Kubernetes `json:"kubernetes"`
	Addons     Addons     `json:"addons"`

	Notifications Notifications `json:"notifications"`

	// AWS holds the other keys of the namespace aws, and Region is aws:region.
	AWS    AWS    `json:"-"`
	Region string `json:"-"`
	// Stack is the name of the Pulumi stack.
	Stack string `json:"-"`
	// Initialised is the control plane that the running cluster began with, as its state shows it, or "".
	Initialised string `json:"-"`

	// entries are the nodes as they are in the settings. Nodes has those of an entry with a count one by one.
	entries []Node
	// notes are warnings that validation found, because only it sees the secrets.
	notes []string
}

// Cluster names the cluster and fixes its versions.
type Cluster struct {
	// Name is used in tags, bucket names and the private zone api.<name>.internal. Default: the stack name.
	Name string `json:"name"`
	// KubernetesVersion is a full patch release such as 1.36.3.
	KubernetesVersion string `json:"kubernetesVersion"`
	// CNI is calico, or none to bring your own.
	CNI string `json:"cni"`
	// DNSDomain is the domain of Services inside the cluster.
	DNSDomain string `json:"dnsDomain"`
}

// Network is the VPC and the address ranges of the cluster. Ranges may not overlap.
type Network struct {
	// VPCCIDR is an IPv4 range between /16 and /22; the subnets are cut from it.
	VPCCIDR string `json:"vpcCidr"`
	// Zones are the availability zones of the subnets, by their letter. Nodes refer to them by position.
	Zones []string `json:"zones"`
	// PodCIDR and ServiceCIDR are the ranges of pods and of Services.
	PodCIDR     string `json:"podCidr"`
	ServiceCIDR string `json:"serviceCidr"`
}

// Access says who may reach SSH (22) and the Kubernetes API (6443) from outside the VPC.
type Access struct {
	AdminCIDRs []string `json:"adminCidrs"`
}

// Image is the operating system of the nodes.
type Image struct {
	// OS is ubuntu-24.04 or debian-12; the newest image is found by the vendor's public SSM parameter.
	OS string `json:"os"`
	// AMI pins one image instead. The OS must still name what is in it.
	AMI string `json:"ami"`
	// Generation is any text; changing it replaces all workers by the newest image of the OS.
	Generation string `json:"generation"`
}

// Roles of a node.
const (
	ControlPlane = "control-plane"
	Worker       = "worker"
)

// Node is one EC2 instance and one Kubernetes node. Its name, not its place in the list, is its identity.
type Node struct {
	Name         string `json:"name"`
	Role         string `json:"role"`
	InstanceType string `json:"instanceType"`
	// Zone is a position in Network.Zones, counted from 0.
	Zone int `json:"zone"`
	// VolumeSize of the root disk in GiB.
	VolumeSize int `json:"volumeSize"`
	// Generation is any text; changing it replaces this node alone.
	Generation string `json:"generation"`
	// Spot takes a spot instance: cheaper, and AWS may take it back with a notice of two minutes.
	Spot   bool              `json:"spot"`
	Labels map[string]string `json:"labels"`
	Taints []Taint           `json:"taints"`
	// Count, Zones and Without are of an entry in the settings that stands for several nodes. Config.Nodes has the nodes
	// themselves, without them.
	Count int `json:"count"`
	// Zones are positions in Network.Zones. The nodes of the entry take them in turn.
	Zones []int `json:"zones"`
	// Without are names of nodes that the entry leaves out. Its nodes take the next numbers in their place.
	Without []string `json:"without"`

	// entry is the position in the settings, counted from 0.
	entry int
}

// Key returns the key of a field in the settings, such as nodes[2].zone. The nodes of one entry have the same keys.
func (n Node) Key(field string) string { return fmt.Sprintf("nodes[%d].%s", n.entry, field) }

// Taint keeps pods without a matching toleration away from a node.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Effect string `json:"effect"`
}

// DNS is the public domain. Without one there is no certificate, no public API record and no ingress.
type DNS struct {
	// Domain is the name of a public Route53 zone, such as example.com.
	Domain string `json:"domain"`
	// CreateZone makes the zone instead of looking it up; its name servers must then be delegated by hand.
	CreateZone bool `json:"createZone"`
	// ZoneID is the id of the zone, such as Z0123456789ABC, for an account with two public zones of this name. Empty
	// looks it up.
	ZoneID string `json:"zoneId"`
	// IngressHosts are the names below Domain that the certificate covers in addition to the add-ons' own.
	IngressHosts []string `json:"ingressHosts"`
}

// Identity is how pods get AWS credentials of their own: the cluster is an OpenID Connect issuer that IAM trusts.
type Identity struct {
	Enabled bool `json:"enabled"`
	// Issuer is the user's own URL in front of the bucket with the discovery documents, which is then private. Empty
	// makes the issuer the URL of the bucket, and the two documents public.
	Issuer string `json:"issuer"`
	// Rotate is the number of the key that signs the tokens of service accounts. Another number is another key, to
	// which a running cluster moves in stages.
	Rotate int `json:"rotate"`
	// RotateHours is the time between two stages. 0 drops the former key as soon as the new one signs.
	RotateHours int `json:"rotateHours"`
	// ServiceAccounts get an IAM role each.
	ServiceAccounts []ServiceAccount `json:"serviceAccounts"`
}

// ServiceAccount is one whose pods get the credentials of an IAM role.
type ServiceAccount struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Policy limits the role: the document of a policy as a mapping, or the ARN of one.
	Policy any `json:"policy"`
}

// Backup is when etcd snapshots are taken and where they go.
type Backup struct {
	// EveryHours is the time between two snapshots: 1, 2, 3, 4, 6, 8, 12 or 24.
	EveryHours int `json:"everyHours"`
	// RetentionDays is how long a snapshot is kept in the bucket.
	RetentionDays int `json:"retentionDays"`
	// KeepBucket leaves the bucket and its snapshots behind when the stack is destroyed.
	KeepBucket *bool `json:"keepBucket"`
	// RestoreFrom is "latest" or the key of a snapshot in the bucket; used only when a control plane is initialised.
	RestoreFrom string `json:"restoreFrom"`
}

// Repair is when the command repair replaces a worker.
type Repair struct {
	// NotReadyMinutes is how long a node is not Ready before its machine is replaced.
	NotReadyMinutes int `json:"notReadyMinutes"`
	// MaxUnhealthyPercent is the share of the workers above which nothing is replaced.
	MaxUnhealthyPercent int `json:"maxUnhealthyPercent"`
}

// Maintenance is when nodes reboot for updates that need it, such as those of the kernel.
type Maintenance struct {
	// Reboots lets nodes reboot, one after the other.
	Reboots bool `json:"reboots"`
	// Days are mon, tue, wed, thu, fri, sat and sun: those on which the hours begin.
	Days []string `json:"days"`
	// Start and End are the hours as HH:MM. They end on the next day if End is not after Start; 24:00 is midnight.
	Start string `json:"start"`
	End   string `json:"end"`
	// TimeZone is the zone of the days and hours: UTC, or a name such as Europe/Berlin.
	TimeZone string `json:"timeZone"`
}

// Protection limits what a destroy may remove.
type Protection struct {
	// Protect sets Pulumi's protect flag on what holds data or identity.
	Protect *bool `json:"protect"`
	// Volumes is delete or keep: what happens to EBS volumes of the cluster on destroy.
	Volumes string `json:"volumes"`
	// Images is delete or keep: what happens to machine images of the cluster on destroy.
	Images string `json:"images"`
}

// Mirrors replace the public sources, for closed networks. Empty means the public source.
type Mirrors struct {
	// KubernetesApt replaces https://pkgs.k8s.io, with the same paths below it.
	KubernetesApt string `json:"kubernetesApt"`
	// KubernetesAptKey is the fingerprint of the key that signs KubernetesApt, where the mirror has one of its own.
	KubernetesAptKey string `json:"kubernetesAptKey"`
	// ContainerdApt replaces https://download.docker.com/linux, with the same paths below it.
	ContainerdApt string `json:"containerdApt"`
	// ContainerdAptKey is the fingerprint of the key that signs ContainerdApt, where the mirror has one of its own.
	ContainerdAptKey string `json:"containerdAptKey"`
	// Etcd replaces https://github.com/etcd-io/etcd/releases/download.
	Etcd string `json:"etcd"`
	// EtcdSHA256 is the checksum of the archive at Etcd, where it is not the project's own archive.
	EtcdSHA256 string `json:"etcdSha256"`
	// Registries maps a registry host, such as registry.k8s.io, to the mirror that answers for it.
	Registries map[string]RegistryMirror `json:"registries"`
	// Charts maps the URL of a chart repository to the one to use instead.
	Charts map[string]string `json:"charts"`
	// S3Endpoint replaces the S3 service for snapshots.
	S3Endpoint string `json:"s3Endpoint"`
}

// RegistryMirror answers for a registry. In the settings it is a mapping, or the URL alone.
type RegistryMirror struct {
	// URL has the path of the registry API where it holds a segment v2; otherwise /v2 is added to it.
	URL string `json:"url"`
	// CA is the PEM text of the authorities that the mirror's certificate may come from, in addition to the system's.
	CA       string `json:"ca"`
	Username string `json:"username"`
	Password Secret `json:"password"`
}

// Secret is text that no message, log or JSON shows. string(s) is the text itself.
type Secret string

const hidden = "[secret]"

func (Secret) String() string               { return hidden }
func (Secret) GoString() string             { return hidden }
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Kubernetes extends what the program writes for kubeadm. Values are merged over the program's own, key by key.
type Kubernetes struct {
	// Kubelet and KubeProxy are fields of KubeletConfiguration and KubeProxyConfiguration.
	Kubelet   map[string]any `json:"kubelet"`
	KubeProxy map[string]any `json:"kubeProxy"`
	// APIServer, ControllerManager and Scheduler are extra command line flags, without the dashes.
	APIServer         map[string]string `json:"apiServer"`
	ControllerManager map[string]string `json:"controllerManager"`
	Scheduler         map[string]string `json:"scheduler"`
	// IgnorePreflightErrors are names of kubeadm preflight checks that may fail.
	IgnorePreflightErrors []string `json:"ignorePreflightErrors"`
	// Containerd is TOML appended to /etc/containerd/config.toml: tables the program does not write itself.
	Containerd string `json:"containerd"`
}

// Receivers of notifications.
const (
	Slack   = "slack"
	Discord = "discord"
	Webhook = "webhook"
	Email   = "email"
)

// Notifications say where alerts go: to one receiver. Its address is the secret notificationsUrl; for email it is
// Email, and the secret notificationsPassword where the mail server wants one.
type Notifications struct {
	// Receiver is slack, discord, webhook or email. Empty means that alerts go nowhere.
	Receiver string `json:"receiver"`
	Email    Mail   `json:"email"`
}

// Mail is how mail is sent.
type Mail struct {
	To   string `json:"to"`
	From string `json:"from"`
	// Server is host:port of the mail server. TLS is required: from the first byte on port 465, by STARTTLS on others.
	Server string `json:"server"`
	// Username is who logs in, with notificationsPassword. Empty for a server without login.
	Username string `json:"username"`
}

// Names of the secrets that notifications need.
const (
	NotificationsURL      = "notificationsUrl"
	NotificationsPassword = "notificationsPassword"
)

// passwords are those of add-ons. An add-on generates its password when the key is absent.
var passwords = []string{"grafanaPassword", "argocdPassword", "rabbitmqPassword", "redisPassword", "postgresqlPassword"}

// Names of the secrets of Argo CD. The first three are credentials of the repository: a deploy key, the key of a GitHub
// App, a token or password.
const (
	RepositoryKey    = "argocdRepositoryKey"
	RepositoryAppKey = "argocdRepositoryAppKey"
	RepositoryToken  = "argocdRepositoryToken"
	WebhookSecret    = "argocdWebhookSecret"
)

// Secrets are set with `pulumi config set --secret kubeadm-aws:<key>`.
var Secrets = slices.Concat(passwords, []string{
	NotificationsURL, NotificationsPassword, RepositoryKey, RepositoryAppKey, RepositoryToken, WebhookSecret,
})
