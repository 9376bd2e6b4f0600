package aws

import (
	"context"
	"slices"
	"testing"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/props"
)

// zone is a backend that only keeps records.
type zone struct {
	backend.Backend
	records map[string][]string
}

func (z *zone) SetRecord(_ context.Context, name string, addresses []string) error {
	z.records[name] = addresses
	return nil
}
func (z *zone) Leftovers(context.Context) ([]string, error) { return nil, nil }

// A control plane that gets another address changes the record of its API in place.
func TestHostsSeeRecordsThatChange(t *testing.T) {
	backend := &zone{records: map[string][]string{}}
	c := startClient(t, "", backend)
	vpc := c.Make(VPCType, "vpc", props.Map{"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": true,
		"enableDnsSupport": true})
	private := c.Make(zoneType, "zone", props.Map{"name": "dev.internal", "vpcs": []any{map[string]any{"vpcId": vpc.ID}}})
	in := func(address string) props.Map {
		return props.Map{"zoneId": private.ID, "name": "api.dev.internal", "type": "A", "ttl": 60, "records": []any{address}}
	}
	record := c.Make(recordType, "api", in("10.0.1.10"))
	for _, address := range []string{"10.0.1.10", "10.0.1.11"} {
		if _, err := c.Update(record, in(address), false); err != nil {
			t.Fatal(err)
		}
		if got := backend.records["api.dev.internal"]; !slices.Equal(got, []string{address}) {
			t.Errorf("hosts know %v, want %s", got, address)
		}
	}
}
