package timeline

import (
	"path"
	"strings"
	"time"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/cluster/stepline"
)

// latency is how long a resource takes in the real cloud. The simulation answers at once; the predicted timeline is
// computed from these tables. Sources:
//
//	docs     the service's documentation
//	provider how the Terraform provider under pulumi-aws waits: it polls, so short operations take a poll's length
//	seen     usual lengths in public logs of Terraform and Pulumi runs with the same resource
//	estimate nothing was measured or seen
//	measured on docker hosts on 2 cores with packages and images from a local mirror, here with an allowance for
//	         downloads from the internet and for t3 instances
//
// They are typical values on a quiet day, not bounds.
type latency struct{ create, delete time.Duration }

const (
	// call is the latency of one API call that is answered immediately: seen.
	call   = 1 * time.Second
	second = time.Second
)

// latencies by resource type. Those of charts and custom resources are in addons/catalog. A type in neither table
// takes one call.
var latencies = map[string]latency{
	// provider: waits for the attributes enableDnsSupport and enableDnsHostnames, each a poll of its own. seen: 12 s.
	"aws:ec2/vpc:Vpc": {12 * second, call},
	// seen: 1 s; 11 s with mapPublicIpOnLaunch, which this program does not set.
	"aws:ec2/subnet:Subnet": {call, call},
	// provider: detaches first, and waits until no address is mapped. seen.
	"aws:ec2/internetGateway:InternetGateway":             {call, 11 * second},
	"aws:ec2/routeTable:RouteTable":                       {call, call},
	"aws:ec2/route:Route":                                 {call, call},
	"aws:ec2/routeTableAssociation:RouteTableAssociation": {call, call},
	// seen: a gateway endpoint is available after 6 s.
	"aws:ec2/vpcEndpoint:VpcEndpoint": {6 * second, 6 * second},
	// seen.
	"aws:ec2/securityGroup:SecurityGroup": {3 * second, 2 * second},
	"aws:ec2/keyPair:KeyPair":             {call, call},
	// provider: waits until the profile is visible everywhere. seen: 6 to 8 s.
	"aws:iam/instanceProfile:InstanceProfile": {7 * second, 2 * second},
	"aws:iam/role:Role":                       {2 * second, 2 * second},
	// provider: waits for "running". seen: 12 to 16 s for t3; termination waits for "terminated", 35 to 60 s.
	instance:                                {15 * second, 45 * second},
	"aws:ec2/eip:Eip":                       {2 * second, 2 * second},
	"aws:ec2/eipAssociation:EipAssociation": {2 * second, 2 * second},
	// seen.
	"aws:s3/bucketV2:BucketV2": {3 * second, 2 * second},
	// provider: reads until the rules are stable. seen: 30 s and more.
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2": {32 * second, 2 * second},
	"aws:s3/bucketVersioningV2:BucketVersioningV2":                         {3 * second, 2 * second},
	// provider: waits for INSYNC, which docs put at up to 60 s. seen: 30 to 45 s.
	"aws:route53/zone:Zone":     {38 * second, 2 * second},
	"aws:route53/record:Record": {34 * second, 34 * second},
	// provider: waits until the validation records are known. seen.
	"aws:acm/certificate:Certificate": {8 * second, 2 * second},
	// docs: "may take up to several hours"; seen, with the records in Route53: 1 to 2 min.
	"aws:acm/certificateValidation:CertificateValidation": {75 * second, 0},

	// These run on this machine, or write one object to an API that answers in milliseconds.
	"tls:index/privateKey:PrivateKey":               {},
	"tls:index/certRequest:CertRequest":             {},
	"tls:index/selfSignedCert:SelfSignedCert":       {},
	"tls:index/locallySignedCert:LocallySignedCert": {},
	"random:index/randomPassword:RandomPassword":    {},
	"random:index/randomBytes:RandomBytes":          {},

	// docs: a namespace is deleted after its objects. seen: 6 to 10 s when empty.
	"kubernetes:core/v1:Namespace": {call, 8 * second},
}

// stepLatencies are remote commands by step. SSH itself takes less than a second.
var stepLatencies = map[string]latency{
	// From "running" to sshd 20 to 25 s, to the end of cloud-init 10 s more: seen, Ubuntu 24.04 and Debian 12 on t3.
	"ready": {33 * second, 0},
	// measured: packages 10 to 13 s from the mirror; with pkgs.k8s.io, download.docker.com and an archive in the same
	// region twice that, and kubeadm's images 10 to 15 s behind it.
	"prepare": {38 * second, 0},
	// measured: 12 to 15 s with images pulled; a t3.large has slower cores.
	"init": {22 * second, 0},
	// measured: 7 to 12 s.
	"join": {12 * second, 0},
	"node": {3 * second, 20 * second},
	// measured: 11 s for the lists and the package of Debian.
	"balancer": {12 * second, 0},
	// Two requests for each control plane.
	"control-planes": {2 * second, 0},
	// A drain of a node in an upgrade: pods get their grace period, and budgets wait for replicas elsewhere.
	"drain": {40 * second, 0},
	// Downloads etcdutl's archive of 25 MB in the background of other steps.
	"backup": {4 * second, call},
	// measured: 5 to 12 s to Ready and CoreDNS; Calico's images of 200 MB are pulled before it: seen, 25 to 35 s.
	"nodes-ready": {40 * second, 0},
	// Two calls to each API server.
	"token-keys": {3 * second, 0},
	// Two calls of a command line in a container; a restart only where the password has changed.
	"password": {6 * second, call},
	// Two calls to the metadata service, one to STS, one to the API.
	"backup-credentials": {3 * second, 2 * second},
	"rabbitmq-backup":    {2 * second, 2 * second},
	"reboots":            {call, call},
	"claims":             {2 * second, call},
	// Deletion waits for users' load balancers and volumes; most stacks have none at that point.
	"release-gate": {call, 10 * second},
}

// Upgrades of control planes. These are estimates. On 2 busy cores the API is silent for 34, 17 and 10 s, and
// the step waits until it has answered for 15 s. A snapshot, the checks and the add-ons of kubeadm come to that on the
// first one. Another one restarts etcd twice, and waits for all members and APIs. The join of a worker takes as long as
// its first one.
const (
	upgradeFirst = 100 * second
	upgradeOther = 60 * second
)

// unknownChart is the latency of a chart that is not in the table: a pull, a start, a readiness probe.
const unknownChart = 30 * time.Second

// sweepLatency is the duration of the sweep on destroy: it compiles for a few seconds and lists a dozen types of
// resources, twice.
const sweepLatency = 15 * time.Second

// resize is the latency of another instance type: the machine stops and starts. This is an estimate.
const resize = 60 * second

const (
	instance      = "aws:ec2/instance:Instance"
	remoteCommand = "command:remote:Command"
	localCommand  = "command:local:Command"
)

// text returns an input, or "" if it is not a text.
func text(inputs map[string]any, key string) string {
	s, _ := inputs[key].(string)
	return s
}

// latencyOf returns the latency of one resource of a state.
func latencyOf(typ string, inputs map[string]any) latency {
	switch typ {
	case remoteCommand:
		if text(inputs, "create") == "" {
			return latency{}
		}
		line, err := stepline.Parse(text(inputs, "create"))
		if l, ok := stepLatencies[line.Name]; ok && err == nil {
			return l
		}
		return latency{create: 2 * second}
	case localCommand:
		return latency{delete: sweepLatency}
	case "kubernetes:helm.sh/v3:Release":
		name := strings.TrimSuffix(path.Base(text(inputs, "chart")), ".tgz")
		for _, c := range catalog.Charts() {
			if c.Name == name {
				return latency{c.Create, c.Delete}
			}
		}
		return latency{unknownChart, 10 * second}
	}
	if strings.HasPrefix(typ, "pulumi:") {
		return latency{}
	}
	if l, ok := latencies[typ]; ok {
		return l
	}
	for _, addon := range catalog.Addons {
		if l, ok := addon.Objects[typ]; ok {
			return latency{l.Create, l.Delete}
		}
	}
	if strings.HasPrefix(typ, "kubernetes:") {
		return latency{200 * time.Millisecond, call}
	}
	return latency{call, call}
}
