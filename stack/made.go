package stack

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons"
	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
	"kubeadm-aws/infra"
)

// resource is one resource in the state of the stack, as the engine returns it. Outputs contain secrets in plain
// text.
type resource struct {
	Type    string         `pulumi:"type"`
	Outputs map[string]any `pulumi:"outputs"`
}

// state is the result of the last update: resources by type and name.
type state map[string]map[string]map[string]any

// readState reads the stack's own state through the engine, in previews too. It is empty before the first update. A
// stack reference to an output is not enough: the engine writes outputs only at the end of a successful update.
func readState(ctx *pulumi.Context) (state, error) {
	name := ctx.Stack()
	if ctx.Organization() != "organization" { // the name that backends without organizations return
		name = strings.Join([]string{ctx.Organization(), ctx.Project(), name}, "/")
	}
	var result struct {
		Outputs map[string]resource `pulumi:"outputs"`
	}
	_, err := ctx.InvokePackageRaw("pulumi:pulumi:readStackResourceOutputs", map[string]any{"stackName": name}, &result,
		"")
	if err != nil {
		return nil, fmt.Errorf("read the state of the stack, to compare it with the settings: %w", err)
	}
	s := state{}
	for urn, r := range result.Outputs {
		if s[r.Type] == nil {
			s[r.Type] = map[string]map[string]any{}
		}
		s[r.Type][urn[strings.LastIndex(urn, "::")+2:]] = r.Outputs
	}
	return s, nil
}

// Types of the resources that show which settings the stack was created with.
const (
	typeVPC        = "aws:ec2/vpc:Vpc"
	typeSubnet     = "aws:ec2/subnet:Subnet"
	typeInstance   = "aws:ec2/instance:Instance"
	typeAddress    = "aws:ec2/eip:Eip"
	typeBucket     = "aws:s3/bucketV2:BucketV2"
	typeRecord     = "aws:route53/record:Record"
	typeZone       = "aws:route53/zone:Zone"
	typeValidation = "aws:acm/certificateValidation:CertificateValidation"
	typeRepository = "aws:ecr/repository:Repository"
	typeCommand    = "command:remote:Command"
	typeRelease    = "kubernetes:helm.sh/v3:Release"
	typeRabbitMQ   = "kubernetes:rabbitmq.com/v1beta1:RabbitmqCluster"
	typePostgres   = "kubernetes:postgresql.cnpg.io/v1:Cluster"
	typeKey        = "tls:index/privateKey:PrivateKey"
	typeUUID       = "random:index/randomUuid7:RandomUuid7"
)

// made returns the settings that the resources were created with.
func (s state) made() config.Made {
	m := config.Made{}
	s.madeNetwork(m)
	s.madeZone(m)
	s.madeCluster(m)
	s.madeNodes(m)
	s.madeAddons(m)
	return m
}

func (s state) madeNetwork(m config.Made) {
	vpc := s[typeVPC]["vpc"]
	if vpc == nil {
		return
	}
	m["network.vpcCidr"] = text(vpc, "cidrBlock")
	if name := text(vpc, "tagsAll", config.TagCluster); name != "" {
		m["cluster.name"] = name
	}
	// arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-1
	parts := strings.Split(text(vpc, "arn"), ":")
	if len(parts) < 6 || parts[3] == "" {
		return
	}
	m["aws:region"] = parts[3]
	if zones := s.zones(parts[3], text(vpc, "cidrBlock")); len(zones) > 0 {
		m["network.zones"] = zones
	}
}

// madeZone adds the public zone, once a certificate was validated through it. Before that the domain may not be
// delegated to the zone at all, for example because its name is wrong.
func (s state) madeZone(m config.Made) {
	domain, ok := strings.CutPrefix(text(s[typeRecord][infra.APIRecord], "name"), "api.")
	if !ok || len(s[typeValidation]) == 0 {
		return
	}
	m["dns.domain"], m["dns.createZone"] = domain, s[typeZone]["public"] != nil
}

// zones returns the letters of the subnets' zones by the position of their range. A position without a subnet is "".
func (s state) zones(region, vpc string) []string {
	old := config.Config{Network: config.Network{VPCCIDR: vpc, Zones: make([]string, config.MaxZones)}}
	var zones []string
	for i, cidr := range old.SubnetCIDRs() {
		for _, subnet := range s[typeSubnet] {
			if text(subnet, "cidrBlock") == cidr {
				zones = append(append(zones, make([]string, i-len(zones))...),
					strings.TrimPrefix(text(subnet, "availabilityZone"), region))
			}
		}
	}
	return zones
}

// madeCluster adds the settings that init.sh fixes. Before that step has succeeded there is no cluster.
func (s state) madeCluster(m config.Made) {
	for name, step := range s[typeCommand] {
		node, isInit := strings.CutSuffix(name, "-init")
		old, ok := cluster.ReadIdentity(text(step, "create"))
		if !isInit || !ok {
			continue
		}
		m["network.podCidr"], m["network.serviceCidr"] = old.Network.PodCIDR, old.Network.ServiceCIDR
		m["cluster.dnsDomain"], m["cluster.kubernetesVersion"] = old.Cluster.DNSDomain, old.Cluster.KubernetesVersion
		for _, name := range cluster.ReadControlPlanes(node, text(step, "create")) {
			m["nodes["+name+"].role"] = config.ControlPlane
		}
		if user := text(step, "connection", "user"); user != "" {
			m["image.os"] = infra.OSOfUser(user)
		}
		if old.Identity.Enabled {
			m["identity.enabled"], m["identity.issuer"] = true, old.Identity.Issuer
			if bucket := s.issuerBucket(); bucket != "" && strings.HasPrefix(old.Identity.Issuer, "https://"+bucket+".") {
				m["identity.issuer"] = "" // the bucket's own URL
			}
		}
		switch {
		case s[typeRelease]["calico"] != nil:
			m["cluster.cni"] = "calico"
		case s[typeCommand]["nodes-ready"] != nil: // nodes became Ready with another network plugin
			m["cluster.cni"] = "none"
		}
	}
}

// initialised returns the control plane with which the cluster began, or "" before the first one is initialised.
func (s state) initialised() string {
	for name := range s[typeCommand] {
		if node, isInit := strings.CutSuffix(name, "-init"); isInit {
			return node
		}
	}
	return ""
}

// left reports whether the last step init no longer names a control plane, so that it has left the cluster.
func (s state) left(name string) bool {
	first := s.initialised()
	stay := cluster.ReadControlPlanes(first, text(s[typeCommand][first+"-init"], "create"))
	return first != "" && !slices.Contains(stay, name)
}

// leaving reports whether the last update began to take a control plane out of the cluster and failed before the end of
// init.
func (s state) leaving(name string) bool {
	asked := cluster.ReadServing(text(s[typeCommand][cluster.ServingStep], "create")).ControlPlanes
	return len(asked) > 0 && !slices.Contains(asked, name) && !s.left(name)
}

// running returns the releases of Kubernetes that the nodes run, as their steps show them.
func (s state) running() map[string]cluster.Running {
	commands := map[string]string{}
	for name, step := range s[typeCommand] {
		commands[name] = text(step, "create")
	}
	return cluster.ReadRunning(commands)
}

// tokenKeys returns the keys of service-account tokens of the cluster. ok is false if it does not exist yet.
func (s state) tokenKeys() (keys cluster.TokenKeys, ok bool) {
	first := s.initialised()
	if first == "" {
		return cluster.TokenKeysOf(slices.Collect(maps.Keys(s[typeKey])))
	}
	recorded := s[typeCommand][cluster.TokenKeysStep]
	return cluster.ReadTokenKeys(text(s[typeCommand][first+"-init"], "create"), text(recorded, "create"),
		text(recorded, "stdout")), true
}

// issuerBucket returns the name of the bucket with the discovery documents, or "".
func (s state) issuerBucket() string {
	for name, bucket := range s[typeBucket] {
		if strings.HasSuffix(name, "-"+infra.IssuerBucket) {
			return text(bucket, "bucket")
		}
	}
	return ""
}

func (s state) madeNodes(m config.Made) {
	for name, machine := range s[typeInstance] {
		if typ := text(machine, "instanceType"); typ != "" {
			m["nodes["+name+"].instanceType"] = typ
		}
		if zone := text(machine, "availabilityZone"); zone != "" {
			m["nodes["+name+"].availabilityZone"] = zone
		}
		if image := text(machine, "ami"); image != "" {
			m["nodes["+name+"].ami"] = image
		}
		m["nodes["+name+"].spot"] = isSpot(machine)
		if size, ok := number(machine, "rootBlockDevice", "volumeSize"); ok {
			m["nodes["+name+"].volumeSize"] = size
		}
	}
	for step, command := range s[typeCommand] {
		name, ok := strings.CutSuffix(step, "-node")
		if !ok {
			continue
		}
		m["nodes["+name+"].role"] = cluster.ReadNode(text(command, "create")).Role
		generation, typ, id := cluster.ReadMachine(text(command, "create"))
		if generation != "" {
			m["nodes["+name+"].machineGeneration"] = generation
		}
		// An update that failed has changed the machine, and not yet the node.
		machine := s[typeInstance][name]
		m["nodes["+name+"].away"] = machine == nil || typ != "" && typ != text(machine, "instanceType") ||
			id != "" && path.Base(id) != path.Base(text(machine, "arn"))
		m["nodes["+name+"].left"] = machine != nil && m["nodes["+name+"].role"] == config.ControlPlane && s.left(name)
		m["nodes["+name+"].leaving"] = m["nodes["+name+"].role"] == config.ControlPlane && s.leaving(name)
	}
}

func (s state) madeAddons(m config.Made) {
	for _, size := range []struct {
		key string
		of  map[string]any
		at  []string
	}{
		{"addons.redis.storageGiB", s[typeRelease]["valkey"], []string{"values", "dataStorage", "requestedSize"}},
		{"addons.rabbitmq.storageGiB", s[typeRabbitMQ]["rabbitmq"], []string{"spec", "persistence", "storage"}},
		{"addons.rabbitmq.replicas", s[typeRabbitMQ]["rabbitmq"], []string{"spec", "replicas"}},
		{"addons.postgresql.storageGiB", s[typePostgres]["postgresql"], []string{"spec", "storage", "size"}},
	} {
		if n, ok := number(size.of, size.at...); ok {
			m[size.key] = n
		}
	}
	for _, volume := range config.ChartVolumes {
		if size := at(s[typeRelease][volume.Release], append([]string{"values"}, volume.Path...)); size != nil {
			m[volume.Key()] = size
		}
	}
	if generation := text(s[typePostgres]["postgresql"], "metadata", "annotations",
		addons.GenerationAnnotation); generation != "" {
		m["addons.postgresql.generation"] = generation
	}
}

// database returns what decides about the archive of PostgreSQL. If the state has the name of an archive and no
// database, the database is lost, and a new one needs another archive.
func (s state) database() addons.Database {
	running, named := s[typePostgres]["postgresql"], s[typeUUID][addons.ArchiveTime]
	found := addons.Database{
		Image:      text(running, "spec", "imageName"),
		Generation: text(running, "metadata", "annotations", addons.GenerationAnnotation),
		NotReady:   at(running, []string{"status"}) != nil && condition(running, "Ready") != "True",
	}
	if named == nil {
		found.Archive = text(running, "spec", "backup", "barmanObjectStore", "serverName")
		return found
	}
	found.Number, _ = strconv.Atoi(text(named, "keepers", addons.ArchiveNumber))
	if running == nil {
		found.Number++
	}
	return found
}

// exists returns the resources that infra compares its plan with before the first resource.
func (s state) exists() infra.Exists {
	e := infra.Exists{Machines: map[string]infra.Machine{}, Addresses: len(s[typeAddress]), Subnets: map[string]bool{}}
	vpc := s[typeVPC]["vpc"]
	e.VPC, e.Account = text(vpc, "id"), text(vpc, "ownerId")
	if at := strings.LastIndex(text(vpc, "arn"), "/"); at >= 0 {
		e.VPC = text(vpc, "arn")[at+1:]
	}
	for _, subnet := range s[typeSubnet] {
		e.Subnets[text(subnet, "availabilityZone")] = true
	}
	e.IssuerBucket = s.issuerBucket() != ""
	e.Validations = s.validations()
	e.Repositories = slices.Sorted(maps.Keys(s[typeRepository]))
	e.Records = map[string]string{}
	for name, record := range s[typeRecord] {
		e.Records[name] = text(record, "name")
	}
	old := config.Config{}
	for name, machine := range s[typeInstance] {
		zone := text(machine, "availabilityZone")
		e.Machines[name] = infra.Machine{Type: text(machine, "instanceType"), Zone: zone,
			Image: text(machine, "ami"), Spot: isSpot(machine)}
		node := cluster.ReadNode(text(s[typeCommand][name+"-node"], "create"))
		node.Zone = len(old.Network.Zones)
		old.Network.Zones = append(old.Network.Zones, zone)
		old.Nodes = append(old.Nodes, node)
	}
	e.DataZones = old.DataZones()
	return e
}

// isSpot reports whether an instance is a spot instance.
func isSpot(machine map[string]any) bool {
	return text(machine, "instanceMarketOptions", "marketType") == "spot"
}

// validations returns the TTLs of the ACM validation records, by host.
func (s state) validations() map[string]int {
	found := map[string]int{}
	for name, record := range s[typeRecord] {
		if host, ok := strings.CutPrefix(name, "validate-"); ok {
			found[host], _ = number(record, "ttl")
		}
	}
	return found
}

// text returns the string at a path of nested maps, or "".
func text(in map[string]any, path ...string) string {
	s, _ := at(in, path).(string)
	return s
}

// condition returns the status of a condition of an object: "True", "False", "Unknown" or "".
func condition(object map[string]any, name string) string {
	conditions, _ := at(object, []string{"status", "conditions"}).([]any)
	for _, c := range conditions {
		if c, _ := c.(map[string]any); text(c, "type") == name {
			return text(c, "status")
		}
	}
	return ""
}

var gibibytes = regexp.MustCompile(`^([0-9]+)(Gi)?$`)

// number returns the whole number, or the number of a quantity such as 10Gi, at a path.
func number(in map[string]any, path ...string) (int, bool) {
	switch v := at(in, path).(type) {
	case float64:
		return int(v), true
	case string:
		if parts := gibibytes.FindStringSubmatch(v); parts != nil {
			n, err := strconv.Atoi(parts[1])
			return n, err == nil
		}
	}
	return 0, false
}

func at(in map[string]any, path []string) any {
	var v any = in
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}
