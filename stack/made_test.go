package stack

import (
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/infra"
)

// The public zone counts once a certificate was validated: before that the domain may be wrong.
func TestMadeHoldsTheZone(t *testing.T) {
	s := state{typeRecord: {infra.APIRecord: {"name": "api.dev.example.com"}}, typeZone: {"private": {}}}
	if made := s.made(); made["dns.domain"] != nil {
		t.Errorf("without a certificate: %v", made)
	}
	s[typeValidation] = map[string]map[string]any{"ingress": {}}
	for _, created := range []bool{false, true} {
		if created {
			s[typeZone]["public"] = map[string]any{}
		}
		if made := s.made(); made["dns.domain"] != "dev.example.com" || made["dns.createZone"] != created {
			t.Errorf("created %v: %v", created, made)
		}
	}
}

// Sizes of volumes that only values contain are read from the releases in the state.
func TestMadeHoldsTheVolumesOfCharts(t *testing.T) {
	s := state{typeRelease: {}}
	for i, v := range config.ChartVolumes {
		if s[typeRelease][v.Release] == nil {
			s[typeRelease][v.Release] = map[string]any{"values": map[string]any{}}
		}
		values := s[typeRelease][v.Release]["values"].(map[string]any)
		for _, name := range v.Path[:len(v.Path)-1] {
			if values[name] == nil {
				values[name] = map[string]any{}
			}
			values = values[name].(map[string]any)
		}
		values[v.Path[len(v.Path)-1]] = strings.Repeat("1", i+1) + "Gi"
	}
	made := s.made()
	for i, v := range config.ChartVolumes {
		if want := strings.Repeat("1", i+1) + "Gi"; made[v.Key()] != want {
			t.Errorf("%s is %v, want %s", v.Key(), made[v.Key()], want)
		}
	}
}
