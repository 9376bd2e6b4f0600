package config

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxRetention = 3650
	maxObjectKey = 1024
	// minPause keeps one snapshot from starting before the last is uploaded.
	minPause = 5 * time.Minute
)

func (v *validator) backup() {
	b := v.c.Backup
	const example = `"*-*-* 00/6:00:00"`
	v.between("backup.retentionDays", b.RetentionDays, bounds{1, maxRetention, "days that a snapshot is kept", 14})
	schedule, err := parseCalendar(b.Schedule)
	switch {
	case err != nil:
		v.fault("backup.schedule", b.Schedule, fmt.Sprintf("is not a systemd calendar expression: %s", err), example)
	case schedule.shortestPause() < minPause:
		v.fault("backup.schedule", b.Schedule, fmt.Sprintf("comes twice within %d minutes, and a snapshot may take minutes: at most every %d minutes",
			int(schedule.shortestPause().Minutes()), int(minPause.Minutes())), example)
	default:
		gap, ever := schedule.longestGap()
		if !ever {
			v.fault("backup.schedule", b.Schedule, "never comes: no day of the calendar matches", example)
		} else if gap > b.RetentionDays && b.RetentionDays > 0 {
			v.fault("backup.schedule", b.Schedule,
				fmt.Sprintf("leaves %d days between two snapshots, and backup.retentionDays = %d deletes the last one before", gap, b.RetentionDays),
				example)
		}
	}
	v.restoreFrom(b.RestoreFrom)
}

func (v *validator) restoreFrom(key string) {
	const path = "backup.restoreFrom"
	example := "latest, or a key from `aws s3 ls --recursive s3://$(pulumi stack output backupBucket)`"
	switch {
	case key == "" || key == "latest":
	case strings.HasPrefix(key, "s3://"):
		v.fault(path, key, "must be a key without the bucket: the bucket is the stack's own", example)
	case strings.EqualFold(key, "latest"):
		v.fault(path, key, "is written in lowercase letters", "latest")
	case len(key) > maxObjectKey || !objectKey.MatchString(key) || strings.Contains(key, ".."):
		v.fault(path, key, "is not the key of an object in S3", example)
	case !strings.HasSuffix(key, ".db"):
		v.fault(path, key, "is not the key of a snapshot, which ends in .db", example)
	}
}

func (v *validator) protection() {
	v.oneOf("protection.volumes", v.c.Protection.Volumes, "delete", "keep")
}
