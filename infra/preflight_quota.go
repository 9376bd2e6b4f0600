package infra

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/servicequotas"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// quota identifies a limit of an account in one region by its codes in Service Quotas.
type quota struct{ service, code string }

var (
	standardVCPUs = quota{"ec2", "L-1216C47A"} // Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances
	spotVCPUs     = quota{"ec2", "L-34B43A08"} // the same families, All Standard Spot Instance Requests
	elasticIPs    = quota{"ec2", "L-0263D0A3"}
	vpcs          = quota{"vpc", "L-F678F1CE"}
)

// The minimum of a machine, equal to the rules of config for the types that config knows by name.
const (
	minMemoryMiB             = 2 << 10
	minControlPlaneMemoryMiB = 4 << 10
	minControlPlaneVCPUs     = 2
)

// machineCheck asks about the machines of the nodes: their types, their memory and their image.
type machineCheck struct{ *preflight }

// newNodes returns the positions of nodes whose machine does not exist, or has another type, zone or market.
func (m machineCheck) newNodes() []int {
	var positions []int
	for i, n := range m.cfg.Nodes {
		machine := m.exists.Machines[n.Name]
		if machine.Type != n.InstanceType || machine.Zone != m.cfg.AvailabilityZone(n.Zone) || machine.Spot != n.Spot {
			positions = append(positions, i)
		}
	}
	return positions
}

// askMachines refuses instance types that a zone does not offer, that are too small or have another processor
// architecture. It also refuses more vCPUs than the account may run.
func (m machineCheck) askMachines() {
	positions := m.newNodes()
	if len(positions) == 0 {
		return
	}
	var types []string
	for _, i := range positions {
		types = append(types, m.cfg.Nodes[i].InstanceType)
	}
	slices.Sort(types)
	answer, err := ec2.GetInstanceTypeOfferings(m.ctx, &ec2.GetInstanceTypeOfferingsArgs{
		LocationType: pulumi.StringRef("availability-zone"),
		Filters:      []ec2.GetInstanceTypeOfferingsFilter{{Name: "instance-type", Values: slices.Compact(types)}},
	}, pulumi.Provider(m.provider))
	if !m.answered("the instance types", err) {
		return
	}
	offered := map[string][]string{}
	for i, name := range answer.InstanceTypes {
		offered[name] = append(offered[name], answer.Locations[i])
	}
	complete := true
	for _, i := range positions {
		complete = m.isOffered(i, offered[m.cfg.Nodes[i].InstanceType]) && complete
	}
	if complete {
		m.askTypes(positions)
	}
}

func (m machineCheck) isOffered(i int, zones []string) bool {
	n := m.cfg.Nodes[i]
	zone := m.cfg.AvailabilityZone(n.Zone)
	if slices.Contains(zones, zone) {
		return true
	}
	key, value := n.Key("instanceType"), fmt.Sprintf("%q", n.InstanceType)
	if len(zones) == 0 {
		m.refuse(key, value, "is not offered in "+m.cfg.Region,
			"a type that is: aws ec2 describe-instance-type-offerings --region "+m.cfg.Region)
		return false
	}
	slices.Sort(zones)
	m.refuse(key, value, "is not offered in "+zone, "another type, or a zone of "+strings.Join(zones, ", "))
	return false
}

// askTypes checks the properties of the types and adds up their vCPUs.
func (m machineCheck) askTypes(positions []int) {
	types := map[string]*ec2.GetInstanceTypeResult{}
	total := map[quota]int{}
	for i, n := range m.cfg.Nodes {
		if types[n.InstanceType] == nil {
			answer, err := ec2.GetInstanceType(m.ctx, &ec2.GetInstanceTypeArgs{InstanceType: n.InstanceType},
				pulumi.Provider(m.provider))
			if !m.answered("the instance type "+n.InstanceType, err) {
				return
			}
			types[n.InstanceType] = answer
		}
		if slices.Contains(positions, i) {
			m.checkType(i, types[n.InstanceType])
		}
		if isStandard(n.InstanceType) {
			q := standardVCPUs
			if n.Spot {
				q = spotVCPUs
			}
			total[q] += types[n.InstanceType].DefaultVcpus
		}
	}
	for q, count := range total {
		limit, ok := m.limit(q)
		if !ok || float64(count) <= limit {
			continue
		}
		spot := ""
		if q == spotVCPUs {
			spot = " of spot instances"
		}
		m.refuseQuota("nodes", fmt.Sprintf("need %d vCPUs%s, and this account may run %.0f in %s", count, spot, limit,
			m.cfg.Region), q, count)
	}
}

func (m machineCheck) checkType(i int, t *ec2.GetInstanceTypeResult) {
	n := m.cfg.Nodes[i]
	needs, architecture, example := minMemoryMiB, "x86_64", "t3.large"
	if n.Architecture() == config.ARM64 {
		architecture, example = config.ARM64, "t4g.large"
	}
	if n.Role == config.ControlPlane {
		needs = minControlPlaneMemoryMiB
	}
	reason := ""
	switch {
	case !slices.Contains(t.SupportedArchitectures, architecture):
		reason = fmt.Sprintf("is for %s, and the program takes it for %s by its name",
			strings.Join(t.SupportedArchitectures, " and "), architecture)
	case t.MemorySize < needs:
		reason = fmt.Sprintf("has %d MiB of memory, and a %s needs %d", t.MemorySize, n.Role, needs)
	case n.Role == config.ControlPlane && t.DefaultVcpus < minControlPlaneVCPUs:
		reason = fmt.Sprintf("has %d vCPU, and kubeadm wants %d for a control plane", t.DefaultVcpus, minControlPlaneVCPUs)
	default:
		return
	}
	m.refuse(n.Key("instanceType"), fmt.Sprintf("%q", n.InstanceType), reason, example)
}

// isStandard reports whether a type counts towards the quota of standard instances.
func isStandard(instanceType string) bool {
	letters := instanceType[:strings.IndexAny(instanceType+"0", "0123456789")]
	return len(letters) > 0 && strings.ContainsAny(letters[:1], "acdhimrtz") &&
		!slices.Contains([]string{"dl", "hpc", "inf", "mac", "trn"}, letters)
}

// askAddresses refuses a control plane if the account has no Elastic IP left for it.
func (p *preflight) askAddresses() {
	needs := -p.exists.Addresses
	for _, n := range p.cfg.Nodes {
		if n.Role == config.ControlPlane {
			needs++
		}
	}
	if needs <= 0 {
		return
	}
	answer, err := ec2.GetEips(p.ctx, &ec2.GetEipsArgs{}, pulumi.Provider(p.provider))
	if !p.answered("Elastic IPs", err) {
		return
	}
	has := max(len(answer.AllocationIds), len(answer.PublicIps))
	limit, ok := p.limit(elasticIPs)
	if ok && float64(has+needs) > limit {
		p.refuseQuota("nodes",
			fmt.Sprintf(
				"need %d Elastic IP for the control plane, and %d of the %.0f that this account may have in %s are taken",
				needs, has, limit, p.cfg.Region), elasticIPs, has+needs)
	}
}

// askVPCs refuses a new stack if the account has no VPC left for it.
func (p *preflight) askVPCs() {
	if p.exists.VPC != "" {
		return
	}
	answer, err := ec2.GetVpcs(p.ctx, &ec2.GetVpcsArgs{}, pulumi.Provider(p.provider))
	if !p.answered("VPCs", err) {
		return
	}
	limit, ok := p.limit(vpcs)
	if has := len(answer.Ids); ok && float64(has+1) > limit {
		p.refuseQuota("network.vpcCidr", fmt.Sprintf("needs a VPC, and %d of the %.0f that this account may have in %s "+
			"are taken", has, limit, p.cfg.Region), vpcs, has+1)
	}
}

// limit returns a quota. Any failure is a warning: Service Quotas is a separate service, and the caller may lack
// permission for it.
func (p *preflight) limit(q quota) (float64, bool) {
	answer, err := servicequotas.LookupServiceQuota(p.ctx, &servicequotas.LookupServiceQuotaArgs{
		ServiceCode: q.service, QuotaCode: &q.code,
	}, pulumi.Provider(p.provider))
	if err != nil {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.warnings = append(p.warnings, fmt.Sprintf("the quota %s of %s could not be checked ahead: %v", q.code, q.service,
			err))
		return 0, false
	}
	return answer.Value, true
}

func (p *preflight) refuseQuota(key, reason string, q quota, wanted int) {
	p.refuse(key, "", reason,
		fmt.Sprintf("release what is not needed, or ask for more: aws service-quotas request-service-quota-increase "+
			"--region %s --service-code %s --quota-code %s --desired-value %d", p.cfg.Region, q.service, q.code, wanted))
}
