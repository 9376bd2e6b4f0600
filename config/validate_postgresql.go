package config

import (
	"fmt"
	"regexp"
	"time"
)

var (
	databaseGeneration = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)
	databaseArchive    = regexp.MustCompile(`^postgresql(-[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?)?$`)
)

// postgresqlValidator validates the database and its restore.
type postgresqlValidator struct{ part }

// validate refuses a restore that would create an empty database or could not read its archive.
func (v postgresqlValidator) validate(p PostgreSQL) {
	const path = "addons.postgresql."
	v.between(path+"backup.retentionDays", p.Backup.RetentionDays,
		bounds{1, maxRetention, "days that a restore can go back", 14})
	if p.Generation != "" && !databaseGeneration.MatchString(p.Generation) {
		v.fault(path+"generation", p.Generation, "must be at most 20 lower-case letters, digits and dashes", `"2"`)
	}
	switch {
	case p.Generation != "" && p.Restore.From == "":
		v.fault(path+"restore.from", p.Restore.From,
			fmt.Sprintf("is needed by %sgeneration: without it the new database would be empty", path), "postgresql")
	case p.Restore.From == "":
	case p.Generation == "":
		v.fault(path+"generation", p.Generation,
			fmt.Sprintf("is needed by %srestore.from: a restore is a new generation of the database", path), `"2"`)
	case !databaseArchive.MatchString(p.Restore.From):
		v.fault(path+"restore.from", p.Restore.From, "is not the archive of a database",
			"what `pulumi stack output postgresqlArchive` showed before the restore, such as postgresql-20261125t013000")
	case p.Backup.Enabled != nil && !*p.Backup.Enabled:
		v.fault(path+"backup.enabled", false, fmt.Sprintf("%srestore.from needs it: the credentials for the bucket are "+
			"those of the backups", path), "true")
	}
	v.restoreTarget(path+"restore.targetTime", p.Restore)
}

func (v postgresqlValidator) restoreTarget(path string, r PostgreSQLRestore) {
	if r.TargetTime == "" {
		return
	}
	const example = "2026-11-25T01:30:00Z"
	if target, err := time.Parse(time.RFC3339, r.TargetTime); err != nil {
		v.fault(path, r.TargetTime, "is not a time with a time zone as in RFC 3339", example)
	} else if now := time.Now(); target.After(now) {
		v.fault(path, r.TargetTime, "has not come yet: PostgreSQL refuses a restore that does not reach its target",
			now.UTC().Truncate(time.Minute).Add(-time.Hour).Format(time.RFC3339)+", or none to restore all that was archived")
	} else if r.From == "" {
		v.fault(path, r.TargetTime, "needs addons.postgresql.restore.from", "postgresql")
	}
}
