package infra

import (
	"net/netip"
	"regexp"
	"testing"
)

func TestSubnetsLieApartInTheVPC(t *testing.T) {
	w := deploy(t, "dev", settings{"network": `{"vpcCidr":"10.20.0.0/20"}`})
	vpc := netip.MustParsePrefix(w.one("Vpc", "vpc").at("cidrBlock").StringValue())
	seen := map[string]netip.Prefix{}
	for name, s := range w.all("Subnet") {
		r := netip.MustParsePrefix(s.at("cidrBlock").StringValue())
		if !vpc.Contains(r.Addr()) || r.Bits() <= vpc.Bits() {
			t.Errorf("subnet %s %s is not in %s", name, r, vpc)
		}
		for other, o := range seen {
			if o.Overlaps(r) {
				t.Errorf("subnets %s and %s overlap", name, other)
			}
		}
		seen[name] = r
		if got := s.at("availabilityZone").StringValue(); "public-"+got[len("eu-central-1"):] != name {
			t.Errorf("subnet %s is in %s", name, got)
		}
		for tag, want := range map[string]string{"kubernetes.io/role/elb": "1", "kubernetes.io/cluster/dev": "owned"} {
			if got := s.at("tags", tag); !got.IsString() || got.StringValue() != want {
				t.Errorf("subnet %s: tag %s = %v, without which no load balancer finds it", name, tag, got)
			}
		}
		if got := w.one("RouteTableAssociation", name).at("routeTableId").StringValue(); got != "public-id" {
			t.Errorf("subnet %s has the routes of %s", name, got)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d subnets, want 3", len(seen))
	}
}

func TestVPCResolvesNames(t *testing.T) {
	vpc := deploy(t, "dev", nil).one("Vpc", "vpc")
	if !vpc.at("enableDnsSupport").BoolValue() || !vpc.at("enableDnsHostnames").BoolValue() {
		t.Error("the private zone does not resolve in this VPC")
	}
}

func TestS3StaysInTheVPC(t *testing.T) {
	e := deploy(t, "dev", nil).one("VpcEndpoint", "s3")
	if got := e.at("serviceName").StringValue(); got != "com.amazonaws.eu-central-1.s3" {
		t.Errorf("service %s", got)
	}
	china := deploy(t, "dev", settings{"aws:region": "cn-north-1"}).one("VpcEndpoint", "s3")
	if got := china.at("serviceName").StringValue(); got != "com.amazonaws.cn-north-1.s3" {
		t.Errorf("service %s: only interface endpoints begin with cn in China", got)
	}
	if got := e.at("vpcEndpointType").StringValue(); got != "Gateway" {
		t.Errorf("type %s, which costs by the hour", got)
	}
}

// In China, ARNs and most service names differ. A name of the wrong partition would fail in the middle of an up.
func TestNamesFollowThePartition(t *testing.T) {
	commercial := regexp.MustCompile(`arn:aws:|[^"]*amazonaws\.com(\.cn)?`)
	same := regexp.MustCompile(
		`^(com\.amazonaws\.cn-north-1\.s3|elasticloadbalancing\.amazonaws\.com|.*/elasticloadbalancing\.amazonaws\.com)$`)
	w := deploy(t, "staging", settings{"environment": "staging", "aws:region": "cn-north-1"})
	for _, r := range w.resources {
		text := r.at().String()
		for _, found := range commercial.FindAllStringSubmatch(text, -1) {
			if found[1] != ".cn" && !same.MatchString(found[0]) {
				t.Errorf("%s says %s in China", r, found[0])
			}
		}
	}
}
