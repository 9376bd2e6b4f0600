package stack

import (
	"strings"
	"testing"

	"kubeadm-aws/config"
)

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
