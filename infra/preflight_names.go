package infra

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/route53"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
	"kubeadm-aws/sweep/question"
)

// APIRecord is the logical name of the public record of the API.
const APIRecord = "api-public"

// askRecords refuses a domain in which a name of this stack is a record of something else, such as another stack with
// the same domain. AWS refuses a second record of a name, and the last of these records are created at the end of an
// up.
func (p *preflight) askRecords() {
	domain := p.cfg.DNS.Domain
	if domain == "" || p.cfg.DNS.CreateZone {
		return
	}
	wanted := map[string]bool{}
	if p.exists.Records[APIRecord] != "api."+domain {
		wanted["api."+domain] = true
	}
	for _, host := range p.publicHosts() {
		if p.exists.Records[host] == "" {
			wanted[host] = true
		}
	}
	if len(wanted) == 0 {
		return
	}
	zone, err := p.existingZone()
	if err != nil {
		return // the phase that needs the zone reports it
	}
	answer, err := route53.GetRecords(p.ctx, &route53.GetRecordsArgs{ZoneId: zone}, pulumi.Provider(p.provider))
	if !p.answered("the records of "+domain, err) {
		return
	}
	var taken []string
	for _, r := range answer.ResourceRecordSets {
		// Route 53 writes * as \052.
		name := strings.ReplaceAll(strings.TrimSuffix(r.Name, "."), `\052`, "*")
		if wanted[name] && slices.Contains([]string{"A", "AAAA", "CNAME"}, r.Type) {
			taken = append(taken, fmt.Sprintf("%s (%s)", name, r.Type))
		}
	}
	if len(taken) == 0 {
		return
	}
	slices.Sort(taken)
	p.refuse("dns.domain", fmt.Sprintf("%q", domain),
		fmt.Sprintf("has %s in its zone %s already, which this stack did not make: another stack with this domain, or "+
			"something of yours, is found there", strings.Join(taken, ", "), zone),
		"a domain for this stack alone, such as dev."+domain+" with a zone of its own; if an earlier stack left the "+
			"records, delete them")
}

// publicHosts returns the hosts whose records package addons creates.
func (p *preflight) publicHosts() []string {
	hosts := slices.Clone(p.cfg.DNS.IngressHosts)
	if p.cfg.Addons.ArgoCD.On() {
		hosts = append(hosts, "argocd."+p.cfg.DNS.Domain)
	}
	if p.cfg.Addons.Monitoring.On() {
		hosts = append(hosts, "grafana."+p.cfg.DNS.Domain)
	}
	return hosts
}

// askImage refuses a pinned image that the region does not have or that the nodes cannot boot. The id of an image is
// another one in every region.
func (m machineCheck) askImage() {
	id := m.cfg.Image.AMI
	if id == "" || !m.boots(id) {
		return
	}
	refuse := func(reason, instead string) { m.refuse("image.ami", fmt.Sprintf("%q", id), reason, instead) }
	image, err := ec2.LookupAmi(m.ctx, &ec2.LookupAmiArgs{
		Filters:           []ec2.GetAmiFilter{{Name: "image-id", Values: []string{id}}},
		IncludeDeprecated: pulumi.BoolRef(true),
	}, pulumi.Provider(m.provider))
	if err != nil && strings.Contains(err.Error(), "returned no results") {
		refuse("is not an image of "+m.cfg.Region+" that this account may use: an image has another id in every region",
			"the id in this region, or no image.ami to take the newest image of image.os; a destroy removes the images of "+
				"`image build` unless protection.images is keep")
		return
	}
	if !m.answered("the image "+id, err) {
		return
	}
	switch {
	case image.Architecture != "x86_64":
		refuse("is for "+image.Architecture+", and the control plane needs x86", "an image for x86_64")
	case image.Platform == "windows":
		refuse("is Windows, and image.os is "+m.cfg.Image.OS, "an image of "+m.cfg.Image.OS)
	case image.RootDeviceType != "ebs":
		refuse("has its root disk on an instance store", "an image with an EBS root disk")
	default:
		m.checkDisks(image)
		m.checkRelease(image)
	}
}

// checkRelease warns of an image that was prepared for another release. The step prepare then installs the packages, so
// the nodes work and only start later.
func (m machineCheck) checkRelease(image *ec2.LookupAmiResult) {
	prepared, wanted := image.Tags[question.ImageKubernetesTag], m.cfg.Cluster.KubernetesVersion
	if prepared == "" || prepared == wanted {
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.warnings = append(m.warnings, fmt.Sprintf("%s:image.ami = %q was prepared for Kubernetes %s, and "+
		"cluster.kubernetesVersion is %s: each new node installs that release, as without the image. Build another image: "+
		"kubeadm-aws image build --stack %s", config.Namespace, image.ImageId, prepared, wanted, m.cfg.Stack))
}

// boots reports whether a machine will be made from an image. Its owner may withdraw one that all nodes run already.
func (m machineCheck) boots(image string) bool {
	return len(m.newNodes()) > 0 || slices.ContainsFunc(m.cfg.Nodes, func(n config.Node) bool {
		return n.Role == config.Worker && m.exists.Machines[n.Name].Image != image
	})
}

// checkDisks refuses disks that are smaller than the snapshot of the image.
func (m machineCheck) checkDisks(image *ec2.LookupAmiResult) {
	for _, device := range image.BlockDeviceMappings {
		size, err := strconv.Atoi(device.Ebs["volume_size"])
		if device.DeviceName != image.RootDeviceName || err != nil {
			continue
		}
		for _, n := range m.cfg.Nodes {
			if n.VolumeSize < size {
				m.refuse(n.Key("volumeSize"), fmt.Sprint(n.VolumeSize),
					fmt.Sprintf("is smaller than the root disk of image.ami = %s, which has %d GiB", image.ImageId, size),
					fmt.Sprint(size))
			}
		}
	}
}
