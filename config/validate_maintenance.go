package config

import (
	"regexp"
	"slices"
	"strconv"
	"time"
	_ "time/tzdata" // The names do not depend on the machine that runs the program.
)

// weekdays are the names of the days, from Monday.
var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

const minutesPerDay = 24 * 60

// minWindow is the number of minutes in which one node can be drained and reboot.
const minWindow = 30

var (
	timeOfDay = regexp.MustCompile(`^(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)$`)
	// cityZone matches names of time zones by region and city. Ubuntu 24.04 knows others, such as US/Pacific, only with
	// the package tzdata-legacy.
	cityZone = regexp.MustCompile(`^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/`)
)

// Weekdays returns the numbers of the days, from 1 for Monday.
func (m Maintenance) Weekdays() []int {
	var days []int
	for i, day := range weekdays {
		if slices.Contains(m.Days, day) {
			days = append(days, i+1)
		}
	}
	return days
}

// StartMinute and EndMinute return the minutes from midnight to the start and the end of the hours.
func (m Maintenance) StartMinute() int { return minuteOf(m.Start) }
func (m Maintenance) EndMinute() int   { return minuteOf(m.End) }

// minuteOf returns the minutes from midnight to a time of day, or -1 if the text is not one.
func minuteOf(text string) int {
	parts := timeOfDay.FindStringSubmatch(text)
	if parts == nil {
		return -1
	}
	if parts[1] == "" {
		return minutesPerDay
	}
	hour, _ := strconv.Atoi(parts[1])
	minute, _ := strconv.Atoi(parts[2])
	return hour*60 + minute
}

// maintenanceValidator validates when nodes reboot.
type maintenanceValidator struct{ part }

func (v maintenanceValidator) validate() {
	m := v.c.Maintenance
	if !m.Reboots {
		for _, name := range []string{"days", "start", "end", "timeZone"} {
			if v.written[Namespace+":maintenance."+name] {
				v.fault("maintenance."+name, nil, "has no effect without maintenance.reboots: no node reboots",
					"maintenance.reboots: true, or remove it")
			}
		}
	}
	v.days(m.Days)
	v.hours(m)
	if m.TimeZone == "UTC" {
		return
	}
	if _, err := time.LoadLocation(m.TimeZone); err != nil || !cityZone.MatchString(m.TimeZone) {
		v.fault("maintenance.timeZone", m.TimeZone, "is not UTC or a time zone by region and city",
			"Europe/Berlin; `timedatectl list-timezones` lists them")
	}
}

func (v maintenanceValidator) days(days []string) {
	const path = "maintenance.days"
	if len(days) == 0 {
		v.fault(path, days, "is empty, so no node would ever reboot", "[sat, sun], or maintenance.reboots: false")
	}
	for i, day := range days {
		v.oneOf(path+"["+strconv.Itoa(i)+"]", day, weekdays...)
	}
	v.unique(path, days)
}

func (v maintenanceValidator) hours(m Maintenance) {
	start, end := m.StartMinute(), m.EndMinute()
	if start < 0 || start == minutesPerDay {
		v.fault("maintenance.start", m.Start, "must be a time from 00:00 to 23:59, in quotes", `"02:00"`)
	}
	if end < 0 {
		v.fault("maintenance.end", m.End, "must be a time from 00:00 to 24:00, in quotes", `"05:00"`)
	}
	if start < 0 || start == minutesPerDay || end < 0 {
		return
	}
	if end <= start {
		end += minutesPerDay
	}
	if minutes := end - start; minutes < minWindow || m.Start == m.End {
		v.fault("maintenance.end", m.End, "must be at least 30 minutes after maintenance.start ("+m.Start+
			"): a node is drained and reboots in that time", `"05:00"; for the whole day start: "00:00" and end: "24:00"`)
	}
}
