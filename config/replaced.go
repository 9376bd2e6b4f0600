package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// replaced maps the settings of earlier versions to why they are refused and to what to write for a value.
var replaced = map[string]struct {
	reason  string
	instead func(value any) string
}{
	Namespace + ":registry": {
		"was replaced by the image registry of the account, which outlives clusters (docs/bootstrap.md): repositories that " +
			"the stack has stay, with their images",
		func(any) string { return fmt.Sprintf("pulumi config rm %s:registry", Namespace) },
	},
	Namespace + ":backup.schedule": {
		"was replaced by backup.everyHours, a number of hours: 1, 2, 3, 4, 6, 8, 12 or 24",
		func(value any) string {
			return fmt.Sprintf("pulumi config set --path %[1]s:backup.everyHours %[2]d && pulumi config rm --path "+
				"%[1]s:backup.schedule",
				Namespace, hoursOf(value))
		},
	},
}

var hoursOfDay = regexp.MustCompile(`^\*-\*-\* 0{1,2}/([0-9]+):00(:00)?( UTC)?$`)

// hoursOf returns the hours of a systemd calendar expression in the form that this program used to set. It returns 24
// for any other.
func hoursOf(schedule any) int {
	switch text := fmt.Sprint(schedule); {
	case text == "hourly":
		return 1
	case hoursOfDay.MatchString(text):
		if n, _ := strconv.Atoi(hoursOfDay.FindStringSubmatch(text)[1]); slices.Contains(backupHours, n) {
			return n
		}
	}
	return 24
}
