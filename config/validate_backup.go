package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	maxRetention = 3650
	maxObjectKey = 1024
)

// backupHours are the intervals that divide a day.
var backupHours = []int{1, 2, 3, 4, 6, 8, 12, 24}

// Interval returns the time between two snapshots.
func (b Backup) Interval() time.Duration { return time.Duration(b.EveryHours) * time.Hour }

// Calendar returns the systemd calendar expression of the snapshots, in UTC. The texts equal those of stacks created
// before everyHours existed, so that their timers do not change.
func (b Backup) Calendar() string {
	switch b.EveryHours {
	case 1:
		return "hourly"
	case 24:
		return "*-*-* 03:00:00"
	}
	return fmt.Sprintf("*-*-* 00/%d:00:00", b.EveryHours)
}

// backupValidator validates the snapshots of etcd and the one to restore.
type backupValidator struct{ part }

func (v backupValidator) validate() {
	b := v.c.Backup
	v.between("backup.retentionDays", b.RetentionDays, bounds{1, maxRetention, "days that a snapshot is kept", 14})
	if !slices.Contains(backupHours, b.EveryHours) {
		v.fault("backup.everyHours", b.EveryHours,
			"must be 1, 2, 3, 4, 6, 8, 12 or 24, so that every day has its snapshots at the same hours", "6")
	}
	v.restoreFrom(b.RestoreFrom)
}

func (v backupValidator) restoreFrom(key string) {
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
