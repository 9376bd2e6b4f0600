package aws

import (
	"slices"
	"testing"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
)

// Two stacks have networks with the same inputs. Only the tags tell them apart.
func TestFindGoesByTagsAndProperties(t *testing.T) {
	c := newClient(t)
	vpc := func(stack, cidr string) string {
		c.Configure("aws", props.Map{"region": "eu-central-1", "defaultTags": `{"tags":{"stack":"` + stack + `"}}`})
		return c.Make(VPCType, stack+cidr, props.Map{"cidrBlock": cidr, "tags": map[string]any{"Name": "vpc"}}).ID
	}
	one, two, wide := vpc("one", "10.0.0.0/16"), vpc("two", "10.0.0.0/16"), vpc("one", "10.1.0.0/16")
	for _, tt := range []struct {
		name       string
		tags       map[string]string
		properties map[string]any
		want       []string
	}{
		{"tags and range", map[string]string{"stack": "one", "Name": "vpc"}, map[string]any{"cidrBlock": "10.0.0.0/16"},
			[]string{one}},
		{"tags", map[string]string{"stack": "two"}, nil, []string{two}},
		{"range", nil, map[string]any{"cidrBlock": "10.1.0.0/16"}, []string{wide}},
		{"one tag too many", map[string]string{"stack": "one", "owner": "me"}, nil, nil},
		{"a property that it has not", map[string]string{"stack": "two"}, map[string]any{"instanceTenancy": "dedicated"},
			nil},
	} {
		if got := c.console.Find(VPCType, tt.tags, tt.properties); !slices.Equal(got, tt.want) {
			t.Errorf("%s: found %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := c.console.Find(SubnetType, nil, nil); got != nil {
		t.Errorf("found subnets %v", got)
	}
}

// A read of a resource that the engine did not see created returns everything that a create returns.
func TestReadShowsWhatCreateShows(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	for _, th := range []*sandboxtest.Resource{n.VPC, n.Subnet, n.Gateway, n.Table, n.Route, n.Group, n.SSH} {
		read := c.ReadFresh(th)
		for key, value := range th.Outputs {
			if !value.DeepEquals(read[key]) {
				t.Errorf("%s: %s is %v, was %v when it was made", th.Type, key, read[key], value)
			}
		}
	}
}
