package config

import (
	"strings"
	"testing"
)

func TestTheCalendarOfBackups(t *testing.T) {
	for hours, want := range map[int]string{1: "hourly", 2: "*-*-* 00/2:00:00", 6: "*-*-* 00/6:00:00",
		24: "*-*-* 03:00:00"} {
		if got := (Backup{EveryHours: hours}).Calendar(); got != want {
			t.Errorf("every %d hours is %q, want %q", hours, got, want)
		}
	}
}

func TestTheOldScheduleNamesItsHours(t *testing.T) {
	for schedule, want := range map[string]string{
		"hourly": "everyHours 1 ", "*-*-* 00/6:00:00": "everyHours 6 ", "*-*-* 03:00:00": "everyHours 24 ",
		"*-*-* 00/5:00:00": "everyHours 24 ", "weekly": "everyHours 24 ",
	} {
		_, err := loadText(t, "dev", `backup: {schedule: "`+schedule+`"}`)
		faults := faultsOf(t, err)
		if len(faults) != 1 || !strings.Contains(faults[0].Example, want) ||
			!strings.Contains(faults[0].Example, "rm --path kubeadm-aws:backup.schedule") {
			t.Errorf("%s: %v", schedule, err)
		}
	}
}
