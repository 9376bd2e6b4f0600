package cluster

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// reboots builds the step with which nodes reboot for updates, one after the other.
type reboots struct{ steps }

// install installs the timer that gives nodes their turn. Its delete returns a node that has its turn to service.
func (s reboots) install(h Host) Step {
	m := s.cfg.Maintenance
	return Step{
		Name: "reboots", Node: h.Name, Minutes: 5,
		Run: Script{Name: "reboots", Env: map[string]pulumi.StringInput{
			// A replaced control plane has no timer yet.
			"MACHINE":     h.ProviderID,
			"REBOOT_TURN": pulumi.String(s.scripts.path("reboot-turn")),
			"DAYS":        pulumi.String(spaced(m.Weekdays())),
			"START":       pulumi.Sprintf("%d", m.StartMinute()),
			"END":         pulumi.Sprintf("%d", m.EndMinute()),
			"TIME_ZONE":   pulumi.String(m.TimeZone),
		}},
		Delete: &Script{Name: "reboots-stop"},
	}
}
