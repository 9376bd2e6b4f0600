package infra

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// awsName is AWS's limit for the name of a resource: its pattern and its largest length, from the API models.
type awsName struct {
	property string // of the inputs; if absent, Pulumi names it after the resource, with a random suffix
	suffix   int    // of that name
	pattern  *regexp.Regexp
	most     int
}

var awsNames = map[string]awsName{
	"aws:iam/role:Role":                       {"name", 8, regexp.MustCompile(`^[\w+=,.@-]+$`), 64},
	"aws:iam/rolePolicy:RolePolicy":           {"name", 8, regexp.MustCompile(`^[\w+=,.@-]+$`), 128},
	"aws:iam/instanceProfile:InstanceProfile": {"name", 8, regexp.MustCompile(`^[\w+=,.@-]+$`), 128},
	"aws:s3/bucketV2:BucketV2":                {"bucket", 8, regexp.MustCompile(`^[a-z0-9][a-z0-9.-]+[a-z0-9]$`), 63},
	"aws:ec2/securityGroup:SecurityGroup": {"name", 8, regexp.MustCompile(`^[a-zA-Z0-9. _:/()#,@\[\]+=&;{}!$*-]+$`),
		255},
	"aws:ec2/keyPair:KeyPair": {"keyName", 8, regexp.MustCompile(`^[ -~]+$`), 255},
	"aws:ecr/repository:Repository": {
		"name", 8, regexp.MustCompile(`^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$`), 256,
	},
	"aws:route53/zone:Zone":     {"name", 0, regexp.MustCompile(`^([a-z0-9_*-]{1,63}\.)*[a-z0-9_*-]{1,63}$`), 253},
	"aws:route53/record:Record": {"name", 0, regexp.MustCompile(`^([a-z0-9_*-]{1,63}\.)*[a-z0-9_*-]{1,63}$`), 253},
	"aws:acm/certificate:Certificate": {"domainName", 0,
		regexp.MustCompile(`^(\*\.)?(([a-z0-9-]{0,62}[a-z0-9])\.)+([a-z0-9-]{0,62}[a-z0-9])$`), 64},
}

var (
	tagKey   = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$`)
	tagValue = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$`)
)

// rulesQuota is AWS's default limit of rules in one direction of a security group. controllerRules is the number that
// the load balancer controller adds to the nodes' group.
const rulesQuota, controllerRules = 60, 2

// TestNamesOfExtremeSettings checks that the longest and largest accepted settings give names, tags and numbers of
// rules that AWS accepts.
func TestNamesOfExtremeSettings(t *testing.T) {
	label := strings.Repeat("d", 26)
	domain := label + "." + label + ".de" // 56 of 57 characters
	var ranges, hosts []string
	for i := range 50 {
		ranges = append(ranges, fmt.Sprintf("%q", fmt.Sprintf("9.9.%d.9/32", i)))
	}
	for i := range 8 {
		hosts = append(hosts, fmt.Sprintf("%q", strings.Repeat(string(rune('a'+i)), 63)+"."+strings.Repeat("h", 63)+"."+
			domain))
	}
	w := deploy(t, "prod", settings{
		"environment": "prod",
		"owner":       "Änderung " + strings.Repeat("o", 110) + " /=+-@",
		"cluster":     `{"name":"a` + strings.Repeat("b", 27) + `"}`,
		"access":      `{"adminCidrs":[` + strings.Join(ranges, ",") + `]}`,
		"nodes": fmt.Sprintf(
			`[{"name":"m%s","role":"control-plane"},{"name":"w%s"},{"name":"s","labels":{"workload":"storage"}}]`,
			strings.Repeat("n", 39), strings.Repeat("n", 39)),
		"registry": `{"repositories":["` + strings.Repeat("r", 200) + `","a/b_c.d-e"]}`,
		"dns":      `{"domain":"` + domain + `","createZone":true,"ingressHosts":[` + strings.Join(hosts, ",") + `]}`,
		"addons":   acme,
		"identity": `{"enabled":true,"serviceAccounts":[{"namespace":"` + strings.Repeat("a", 63) + `","name":"` +
			strings.Repeat("b", 63) + `","policy":"arn:aws:iam::aws:policy/ReadOnlyAccess"}]}`,
	})
	rules := map[string]int{}
	for _, r := range w.resources {
		checkName(t, r)
		checkTags(t, r)
		if strings.Contains(r.TypeToken, "IngressRule") {
			rules[r.Inputs["securityGroupId"].String()]++
		}
	}
	if len(rules) == 0 {
		t.Error("no rules of security groups are seen")
	}
	for group, n := range rules {
		if n > rulesQuota-controllerRules {
			t.Errorf("%s has %d rules", group, n)
		}
	}
}

func checkName(t *testing.T, r registered) {
	t.Helper()
	rule, ok := awsNames[r.TypeToken]
	if !ok {
		return
	}
	name, extra := r.Name, rule.suffix
	if v := r.Inputs[resource.PropertyKey(rule.property)]; v.IsString() {
		name, extra = v.StringValue(), 0
	}
	if len(name)+extra > rule.most || !rule.pattern.MatchString(name) {
		t.Errorf("%s: AWS refuses the name %q (%d characters and %d of a suffix)", r, name, len(name), extra)
	}
	for _, prefix := range []string{"sg-", "xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) && r.TypeToken != "aws:route53/record:Record" {
			t.Errorf("%s: AWS keeps the prefix %s", r, prefix)
		}
	}
}

func checkTags(t *testing.T, r registered) {
	t.Helper()
	tags := r.Inputs["tags"]
	if !tags.IsObject() {
		return
	}
	if len(tags.ObjectValue()) > 45 { // five are default tags
		t.Errorf("%s has %d tags", r, len(tags.ObjectValue()))
	}
	for key, value := range tags.ObjectValue() {
		if !tagKey.MatchString(string(key)) || strings.HasPrefix(string(key), "aws:") || value.IsString() &&
			!tagValue.MatchString(value.StringValue()) {
			t.Errorf("%s: AWS refuses the tag %s=%s", r, key, value)
		}
	}
}
