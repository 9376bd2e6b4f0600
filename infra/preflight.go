package infra

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ebs"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Exists holds the facts about the account that the stack's state records. The plan is compared with it before the
// first resource.
type Exists struct {
	// VPC and Account are empty before the VPC exists.
	VPC, Account string
	// Machines are the instances by node name.
	Machines map[string]Machine
	// Addresses is the number of Elastic IPs.
	Addresses int
	// Subnets are the availability zones that have a subnet.
	Subnets map[string]bool
	// Records are the names of the DNS records by their logical names.
	Records map[string]string
	// Validations are the TTLs, in seconds, of the validation records by host.
	Validations map[string]int
	// IssuerBucket reports whether the bucket with the discovery documents exists.
	IssuerBucket bool
	// Repositories are the logical names of the ECR repositories that an earlier version created.
	Repositories []string
	// DataZones are the availability zones whose nodes host pods with volumes.
	DataZones []string
}

// Machine is an instance's type, availability zone and image, and whether it is a spot instance.
type Machine struct {
	Type, Zone, Image string
	Spot              bool
}

// OSOfUser returns the value of image.os whose image installs the key pair for this account, or "".
func OSOfUser(user string) string {
	for name, image := range images {
		if image.user == user {
			return name
		}
	}
	return ""
}

// preflight asks AWS, before the first resource, about everything that AWS would otherwise refuse half way through an
// up.
type preflight struct {
	*deployer
	exists Exists

	mutex    sync.Mutex
	faults   []config.FieldError
	warnings []string
	err      error
}

// preflight returns the refusals as one error. It sends all requests at once. It does not ask about resources that
// exist already, so an up without new machines only looks for clusters of the same name.
func (s *deployer) preflight(exists Exists) error {
	p := &preflight{deployer: s, exists: exists}
	machines := machineCheck{p}
	var asked sync.WaitGroup
	for _, ask := range []func(){p.askZones, machines.askMachines, p.askNamesakes, p.askVolumes, p.askAddresses,
		p.askVPCs, p.askMemory, machines.askReserves, p.askRecords, machines.askImage, p.askPublicBucket,
		p.checkPolicies} {
		asked.Go(ask)
	}
	asked.Wait()
	// A question about something that is refused, such as a type that does not exist, also ends with an error.
	if p.err != nil && len(p.faults) == 0 {
		return p.err
	}
	slices.Sort(p.warnings)
	for _, w := range p.warnings {
		if err := s.ctx.Log.Warn(w, nil); err != nil {
			return err
		}
	}
	return refusals(exists, p.faults)
}

// refusals returns sorted faults as an error, or nil.
func refusals(exists Exists, faults []config.FieldError) error {
	slices.SortFunc(faults, func(a, b config.FieldError) int { return strings.Compare(a.Key+a.Value, b.Key+b.Value) })
	switch {
	case len(faults) == 0:
		return nil
	case exists.VPC == "":
		return config.Errors(faults)
	}
	return config.Changes(faults)
}

func (p *preflight) refuse(key, value, reason, instead string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	fault := config.FieldError{Key: config.Namespace + ":" + key, Value: value, Reason: reason, Example: instead}
	// The nodes of one entry in the settings have the same faults.
	if !slices.Contains(p.faults, fault) {
		p.faults = append(p.faults, fault)
	}
}

// answered reports whether AWS answered. A missing permission is a warning, because the check is optional.
func (p *preflight) answered(what string, err error) bool {
	if err == nil {
		return true
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if isDenied(err) {
		p.warnings = append(p.warnings, fmt.Sprintf("%s could not be checked ahead: %v", what, err))
	} else if p.err == nil {
		p.err = fmt.Errorf("check %s before the first resource: %w", what, err)
	}
	return false
}

// isDenied recognises the error codes of AWS services for a missing permission.
func isDenied(err error) bool {
	return slices.ContainsFunc([]string{"UnauthorizedOperation", "AccessDenied", "not authorized"},
		func(code string) bool {
			return strings.Contains(err.Error(), code)
		})
}

// askZones refuses zones that the account does not have. The letters of an account depend on its age.
func (p *preflight) askZones() {
	zones := p.cfg.Network.Zones
	if !slices.ContainsFunc(zones, func(z string) bool { return !p.exists.Subnets[p.cfg.Region+z] }) {
		return
	}
	answer, err := aws.GetAvailabilityZones(p.ctx, &aws.GetAvailabilityZonesArgs{
		State:   pulumi.StringRef("available"),
		Filters: []aws.GetAvailabilityZonesFilter{{Name: "zone-type", Values: []string{"availability-zone"}}},
	}, pulumi.Provider(p.provider))
	if !p.answered("the availability zones", err) {
		return
	}
	var letters []string
	for _, name := range answer.Names {
		letters = append(letters, strings.TrimPrefix(name, p.cfg.Region))
	}
	for i, zone := range zones {
		if !p.exists.Subnets[p.cfg.Region+zone] && !slices.Contains(letters, zone) {
			p.refuse(fmt.Sprintf("network.zones[%d]", i), fmt.Sprintf("%q", zone),
				fmt.Sprintf("this account has no zone %s that is available", p.cfg.Region+zone),
				"two or more of "+strings.Join(letters, ", "))
		}
	}
}

// askNamesakes refuses a cluster name that machines in another VPC use. Controllers, policies and the sweep find
// their resources by that name.
func (p *preflight) askNamesakes() {
	const what = "other clusters of this name"
	all, err := p.machinesOfName()
	if !p.answered(what, err) || len(all) == 0 {
		return
	}
	if p.exists.VPC != "" {
		own, err := p.machinesOfName(ec2.GetInstancesFilter{Name: "vpc-id", Values: []string{p.exists.VPC}})
		if !p.answered(what, err) {
			return
		}
		all = slices.DeleteFunc(all, func(id string) bool { return slices.Contains(own, id) })
	}
	if len(all) == 0 {
		return
	}
	vpc, err := p.vpcOf(all[0])
	if !p.answered(what, err) {
		return
	}
	slices.Sort(all)
	own, instead := "the VPC of this stack does not exist yet", "another cluster.name"
	if p.exists.VPC != "" {
		own, instead = "this stack is in "+p.exists.VPC,
			"destroy one of the two clusters, or make it again under another name"
	}
	p.refuse("cluster.name", fmt.Sprintf("%q", p.cfg.Cluster.Name),
		fmt.Sprintf("is the name of a cluster in %s (%s), and %s: each cluster would take load balancers and volumes of "+
			"the other for its own", vpc, strings.Join(all, ", "), own),
		fmt.Sprintf("%s; if %s was left by an earlier stack, remove it first", instead, vpc))
}

// machinesOfName returns the ids of instances with the cluster's tag that are not terminated.
func (p *preflight) machinesOfName(more ...ec2.GetInstancesFilter) ([]string, error) {
	answer, err := ec2.GetInstances(p.ctx, &ec2.GetInstancesArgs{
		InstanceStateNames: []string{"pending", "running", "stopping", "stopped"},
		Filters:            append(more, ec2.GetInstancesFilter{Name: "tag-key", Values: []string{p.clusterTag()}}),
	}, pulumi.Provider(p.provider))
	if err != nil {
		return nil, err
	}
	return answer.Ids, nil
}

func (p *preflight) vpcOf(instance string) (string, error) {
	machine, err := ec2.LookupInstance(p.ctx, &ec2.LookupInstanceArgs{InstanceId: &instance}, pulumi.Provider(p.provider))
	if err != nil {
		return "", err
	}
	subnet, err := ec2.LookupSubnet(p.ctx, &ec2.LookupSubnetArgs{Id: &machine.SubnetId}, pulumi.Provider(p.provider))
	if err != nil {
		return "", err
	}
	return subnet.VpcId, nil
}

// askVolumes refuses changes that leave volumes in a zone without a node for the pods that use them.
func (p *preflight) askVolumes() {
	var keeps, left []string
	for _, letter := range p.cfg.DataZones() {
		keeps = append(keeps, p.cfg.Region+letter)
	}
	for _, zone := range p.exists.DataZones {
		if !slices.Contains(keeps, zone) {
			left = append(left, zone)
		}
	}
	if len(left) == 0 {
		return
	}
	ids, err := p.ownVolumes(left)
	if !p.answered("volumes of the cluster", err) || len(ids) == 0 {
		return
	}
	zones := strings.Join(left, ", ")
	p.refuse("nodes", "",
		fmt.Sprintf("leave no node for pods with volumes in %s, and %s cannot leave that zone: the pods would stay Pending",
			zones, strings.Join(ids, ", ")),
		fmt.Sprintf("keep a worker there, with the label workload=storage if any node has it; to move the data, back it up, "+
			"switch off the add-ons that use it, and bring them up again in the new zone (volumes in %s)", zones))
}

// ownVolumes returns the volumes of claims in the zones: those with the tag of the stack's VPC, and those created
// before volumes had that tag. A volume of an earlier cluster with this name has the tag of another VPC.
func (p *preflight) ownVolumes(zones []string) ([]string, error) {
	claims := []ebs.GetEbsVolumesFilter{
		{Name: "availability-zone", Values: zones},
		{Name: "tag-key", Values: []string{p.clusterTag()}},
		{Name: "tag-key", Values: []string{"kubernetes.io/created-for/pvc/name"}},
	}
	var found [3][]string
	for i, more := range [][]ebs.GetEbsVolumesFilter{
		nil,
		{{Name: "tag-key", Values: []string{config.TagVPC}}},
		{{Name: "tag:" + config.TagVPC, Values: []string{p.exists.VPC}}},
	} {
		answer, err := ebs.GetEbsVolumes(p.ctx, &ebs.GetEbsVolumesArgs{Filters: slices.Concat(claims, more)},
			pulumi.Provider(p.provider))
		if err != nil {
			return nil, err
		}
		found[i] = answer.Ids
	}
	all, named, own := found[0], found[1], found[2]
	foreign := func(id string) bool { return slices.Contains(named, id) && !slices.Contains(own, id) }
	ids := slices.DeleteFunc(all, foreign)
	slices.Sort(ids)
	return ids, nil
}
