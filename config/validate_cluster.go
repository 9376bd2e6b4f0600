package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxPatch is far above the last patch of any minor release; they get patches for fourteen months.
const maxPatch = 25

// awsNames are domains of AWS services and machines that the nodes use.
var awsNames = []string{"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.aws", "compute.internal",
	"ec2.internal"}

// maxClusterName keeps the names that begin with it within AWS's limits: 64 characters for roles, 63 for buckets.
const maxClusterName = 28

// clusterValidator validates the cluster's name, release, CNI and DNS domain.
type clusterValidator struct{ part }

func (v clusterValidator) validate() {
	c := v.c.Cluster
	switch {
	case c.Name == "":
		v.fault("cluster.name", nil, "is empty", "platform-dev")
	case len(c.Name) > maxClusterName:
		v.fault("cluster.name", c.Name,
			fmt.Sprintf("must have at most %d characters: the names of roles and buckets begin with it", maxClusterName),
			"platform-dev")
	case !clusterName.MatchString(c.Name):
		v.fault("cluster.name", c.Name,
			"must begin with a lowercase letter and go on with lowercase letters, digits and dashes, with no dash at the end",
			"platform-dev")
	case reservedPrefixOf(c.Name) != "":
		v.fault("cluster.name", c.Name,
			fmt.Sprintf("must not begin with %s, which AWS keeps for itself", reservedPrefixOf(c.Name)),
			"platform-dev")
	}
	v.version(c.KubernetesVersion)
	v.oneOf("cluster.cni", c.CNI, "calico", "none")
	if fault := domainFault(c.DNSDomain); fault != "" {
		v.fault("cluster.dnsDomain", c.DNSDomain, fault, "cluster.local")
	} else if zone := v.c.PrivateZone(); below(c.DNSDomain, zone) || below(zone, c.DNSDomain) {
		v.fault("cluster.dnsDomain", c.DNSDomain,
			fmt.Sprintf("hides the private zone %s, where the Kubernetes API has its name", zone), "cluster.local")
	} else if slices.ContainsFunc(awsNames, func(name string) bool {
		return below(c.DNSDomain, name) ||
			below(name, c.DNSDomain)
	}) {
		v.fault("cluster.dnsDomain", c.DNSDomain,
			"hides names of AWS from pods: the cluster's DNS answers for the whole domain", "cluster.local")
	} else if host := v.hiddenHost(); host != "" {
		v.fault("cluster.dnsDomain", c.DNSDomain, fmt.Sprintf(
			"hides %s from pods, which need it: the cluster's DNS answers for the whole domain", host), "cluster.local")
	} else if below(c.DNSDomain, "arpa") {
		v.fault("cluster.dnsDomain", c.DNSDomain, "is the domain of names for addresses", "cluster.local")
	}
}

// hiddenHost returns a host of the settings that pods ask and that the domain of Services would hide, or "".
func (v clusterValidator) hiddenHost() string {
	hosts := []string{v.c.Notifications.Email.Server}
	for _, address := range []string{v.c.Addons.ArgoCD.RepoURL, v.c.Addons.CertificateACME.Server} {
		if u, err := url.Parse(address); err == nil {
			hosts = append(hosts, u.Host)
		} else if _, host, ok := strings.Cut(address, "@"); ok { // git@github.com:example/platform.git
			hosts = append(hosts, host)
		}
	}
	for _, host := range hosts {
		name, _, _ := strings.Cut(host, ":")
		if name != "" && below(strings.ToLower(name), v.c.Cluster.DNSDomain) && !strings.Contains(name, ".svc.") {
			return name
		}
	}
	return ""
}

// reservedPrefixOf returns the beginning of a name that AWS refuses: S3 for buckets, EC2 for security groups.
func reservedPrefixOf(name string) string {
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-", "sg-"} {
		if strings.HasPrefix(name, prefix) {
			return prefix
		}
	}
	return ""
}

func (v clusterValidator) version(version string) {
	const path = "cluster.kubernetesVersion"
	example := fmt.Sprintf("%q", DefaultRelease().Version)
	bare := strings.TrimPrefix(version, "v")
	if !fullVersion.MatchString(bare) {
		v.fault(path, version, "must be a full release with its patch number, so that all nodes get the same one", example)
		return
	}
	if bare != version {
		v.fault(path, version, "is written without the v", fmt.Sprintf("%q", bare))
		return
	}
	minor := version[:strings.LastIndex(version, ".")]
	if patch, _ := strconv.Atoi(version[len(minor)+1:]); slices.Contains(minors(), minor) && patch > maxPatch {
		v.fault(path, version,
			fmt.Sprintf("does not exist: a minor release ends after about fifteen patches, and none reached %d", maxPatch+1),
			example)
	}
	if !slices.Contains(minors(), minor) {
		v.fault(path, version,
			fmt.Sprintf("is not supported: the add-ons of this program are made for %s", listMinors()),
			example)
	}
}

// imageValidator validates the image that the nodes start from.
type imageValidator struct{ part }

func (v imageValidator) validate() {
	i := v.c.Image
	v.oneOf("image.os", i.OS, "ubuntu-24.04", "debian-12")
	if i.AMI != "" && !imageID.MatchString(i.AMI) {
		v.fault("image.ami", i.AMI, "must be the id of an image: ami- and 8 or 17 hexadecimal digits",
			"ami-0123456789abcdef0")
	}
	v.generation("image.generation", i.Generation)
}
