package aws

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net/netip"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/sandbox/props"
)

// This file has the outputs that a template cannot express.

func fingerprintOfKeyPair(c *call) any {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(c.Inputs.Str("publicKey")))
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(ssh.FingerprintSHA256(key), "SHA256:")
}

// spread returns an address of a range: the one at the hash of who, or the next that is not taken. So a program gets
// the same addresses in whatever order its resources are created.
func spread(base netip.Addr, size int, who string, taken func(string) bool) string {
	start := int(crc32.ChecksumIEEE([]byte(who)) % uint32(size))
	for i := range size {
		b := base.As4()
		n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		n += uint32((start + i) % size)
		text := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
		if !taken(text) {
			return text
		}
	}
	return ""
}

func (a *Account) inUse(typ, field string) func(string) bool {
	used := map[string]bool{}
	for _, o := range a.All(typ) {
		used[o.Str(field)] = true
	}
	return func(text string) bool { return used[text] }
}

func drawPrivateIP(c *call) any {
	if ip := c.Inputs.Str("privateIp"); ip != "" {
		return ip
	}
	subnet := c.Find(SubnetType, c.Inputs.Str("subnetId"))
	p, err := cidr(subnet.Str("cidrBlock"))
	if err != nil {
		return ""
	}
	// AWS reserves the first four addresses of a subnet and the last one.
	first := p.Addr()
	for range 4 {
		first = first.Next()
	}
	return spread(first, 1<<(32-p.Bits())-5, c.URN, c.inUse(InstanceType, "privateIp"))
}

// benchmarkRange begins 198.18.0.0/15, which is reserved for benchmarks and which no network routes.
var benchmarkRange = netip.MustParseAddr("198.18.0.1")

func drawPublicIP(c *call) any {
	subnet := c.Find(SubnetType, c.Inputs.Str("subnetId"))
	wanted := subnet.Inputs.Flag("mapPublicIpOnLaunch")
	if c.Inputs.Has("associatePublicIpAddress") {
		wanted = c.Inputs.Flag("associatePublicIpAddress")
	}
	if !wanted {
		return ""
	}
	return spread(benchmarkRange, 1<<16, c.URN, c.inUse(InstanceType, "publicIp"))
}

func drawElasticIP(c *call) any {
	return spread(netip.MustParseAddr("203.0.113.1"), 254, c.URN, c.inUse(EIPType, "publicIp"))
}

func zoneOfInstance(c *call) any {
	return c.Find(SubnetType, c.Inputs.Str("subnetId")).Str("availabilityZone")
}

func privateDNS(c *call) any {
	ip, _ := drawPrivateIP(c).(string)
	return "ip-" + strings.ReplaceAll(ip, ".", "-") + "." + c.region() + ".compute.internal"
}

func addressOfAssociation(c *call) any {
	return c.Find(EIPType, c.Inputs.Str("allocationId")).Str("publicIp")
}

// hostKeyBlock is a private key in PEM inside a cloud-init document, however it is indented.
var hostKeyBlock = regexp.MustCompile(`(?s)-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`)

// drawHostKey stores the public half of the SSH host key that the user data installs. The machine presents this key.
func drawHostKey(c *call) {
	if key := hostKeyOf(userDataOf(c.Inputs)); key != "" {
		c.object.State["hostKey"] = key
	}
}

// userDataOf returns the cloud-init document as plain text.
func userDataOf(in props.Map) string {
	text := in.Str("userData")
	if encoded := in.Str("userDataBase64"); encoded != "" {
		text = encoded
	}
	if plain, err := base64.StdEncoding.DecodeString(text); err == nil && len(plain) > 0 {
		return string(plain)
	}
	return text
}

func hostKeyOf(userData string) string {
	block := hostKeyBlock.FindString(strings.ReplaceAll(userData, `\n`, "\n"))
	lines := strings.Split(block, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	key, err := ssh.ParsePrivateKey([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		return ""
	}
	return string(ssh.MarshalAuthorizedKey(key.PublicKey()))
}

func nameServers(c *call) any {
	var out []any
	for i := range 4 {
		out = append(out, fmt.Sprintf("ns-%d.awsdns-%02d.example.", 100+i, i))
	}
	return out
}

func recordName(c *call) any {
	return recordIn(c.Find(zoneType, c.Inputs.Str("zoneId")), c.Inputs.Str("name"))
}

// validationOptions returns the DNS records that prove a certificate's names. A wildcard has the record of its parent.
func validationOptions(c *call) any {
	var out []any
	for _, name := range append(c.Inputs.Strings("domainName"), c.Inputs.Strings("subjectAlternativeNames")...) {
		if name == c.Inputs.Str("domainName") && len(out) > 0 {
			continue
		}
		parent := strings.TrimPrefix(name, "*.")
		token := fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(parent)))
		out = append(out, map[string]any{
			"domainName": name, "resourceRecordName": "_" + token + "." + parent + ".", "resourceRecordType": "CNAME",
			"resourceRecordValue": "_" + token + ".acm-validations.aws.",
		})
	}
	return out
}
