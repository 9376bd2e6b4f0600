package addons

import (
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/cluster"
)

// backupSecret holds the temporary keys of the backups. The control plane writes it, so no state contains it.
const backupSecret = "postgresql-backup"

// backupCredentials installs the timer on the control plane that renews the keys. It returns nil if there are no
// backups.
func (p postgreSQL) backupCredentials(data pulumi.Resource) pulumi.Resource {
	if !p.cfg.Addons.PostgreSQL.BacksUp() {
		return nil
	}
	return p.step("postgresql-backup-credentials", cluster.Step{
		Name: "backup-credentials",
		Run: cluster.Script{Name: "backup-credentials", Env: map[string]pulumi.StringInput{
			"ROLE_ARN":     p.args.DatabaseBackupRole,
			"AWS_REGION":   pulumi.String(p.cfg.Region),
			"STS_ENDPOINT": pulumi.String("https://sts." + p.cfg.Region + "." + p.cfg.DNSSuffix()),
			// A new machine with the same address gets the timer too.
			"MACHINE": p.args.Cluster.MachineID,
		}},
		Delete: &cluster.Script{
			Name: "backup-credentials", Env: map[string]pulumi.StringInput{"ACTION": pulumi.String("remove")},
		},
		Minutes: 5,
	}, p.outlived(data))
}

// objectStore returns the location of an archive: its folder in the stack's bucket.
func (p postgreSQL) objectStore(archive pulumi.StringInput) kube.Values {
	key := func(name string) kube.Values { return kube.Values{"name": backupSecret, "key": name} }
	store := kube.Values{
		"destinationPath": pulumi.Sprintf("s3://%s/%s/postgresql", p.args.BackupBucket, p.cfg.Cluster.Name),
		"serverName":      archive,
		"s3Credentials": kube.Values{
			"accessKeyId": key("ACCESS_KEY_ID"), "secretAccessKey": key("SECRET_ACCESS_KEY"),
			"sessionToken": key("SESSION_TOKEN"), "region": key("REGION"),
		},
		// A base backup and a restore have to end while their keys are valid. gzip takes 15 times as long.
		"wal":  kube.Values{"compression": "snappy", "maxParallel": 4},
		"data": kube.Values{"compression": "snappy"},
	}
	if p.cfg.Mirrors.S3Endpoint != "" || !p.cfg.FindsS3ByRegion() {
		store["endpointURL"] = p.cfg.S3Endpoint()
	}
	return store
}

// Database is what the state of a stack shows of PostgreSQL.
type Database struct {
	// Archive is the archive of a database that an older program created. Its name has no time.
	Archive string
	// Number counts the databases of a generation that were lost without a change of the settings.
	Number int
	// Image is the image that the database runs, or "".
	Image string
	// Generation is addons.postgresql.generation with which it was created.
	Generation string
	// NotReady reports whether the operator had not finished it when an update last read it.
	NotReady bool
}

const (
	// ArchiveTime is the name of the resource whose creation time is in the name of the archive.
	ArchiveTime = "postgresql-archive"
	// ArchiveNumber is the keeper of that resource with Database.Number.
	ArchiveNumber = "number"
)

// archive returns the name of the database's archive. Each database has an archive of its own, because
// CloudNativePG neither restores nor archives into one that is not empty. The resource with the time goes with the
// add-on, so a database that is switched off and on again gets another archive.
func (p postgreSQL) archive() pulumi.StringInput {
	prefix, number := p.cfg.Addons.PostgreSQL.ArchivePrefix(), p.args.Database.Number
	if p.args.Database.Archive == prefix || p.err != nil {
		return pulumi.String(prefix)
	}
	created, err := random.NewRandomUuid7(p.ctx, ArchiveTime, &random.RandomUuid7Args{Keepers: pulumi.StringMap{
		"generation": pulumi.String(p.cfg.Addons.PostgreSQL.Generation), ArchiveNumber: pulumi.String(strconv.Itoa(number)),
	}}, pulumi.Parent(p.root), pulumi.Provider(p.random))
	if err != nil {
		p.failed(fmt.Errorf("name of the archive of postgresql: %w", err))
		return pulumi.String("")
	}
	return created.Result.ApplyT(func(uuid string) (string, error) {
		at, err := timeOfUUID(uuid)
		return prefix + "-" + at.Format("20060102t150405"), err
	}).(pulumi.StringOutput)
}

// scheduledBackup takes a base backup immediately and then each night, at a time between most snapshots. Another
// archive has another object, because only a new object takes a backup immediately.
func (p postgreSQL) scheduledBackup() kube.ObjectArgs {
	name := p.cfg.Addons.PostgreSQL.ArchivePrefix()
	if number := p.args.Database.Number; number > 0 {
		name += fmt.Sprintf(".%d", number)
	}
	return kube.ObjectArgs{
		APIVersion: "postgresql.cnpg.io/v1",
		Kind:       "ScheduledBackup",
		Name:       name,
		Namespace:  dataNamespace,
		Fields: kube.Values{"spec": kube.Values{
			// The schedule has six fields; the first is seconds.
			"schedule":  "0 30 1 * * *",
			"immediate": true,
			"cluster":   kube.Values{"name": "postgresql"},
			"method":    "barmanObjectStore",
			// A Backup is deleted with its cluster, and its data stays in the bucket.
			"backupOwnerReference": "cluster",
		}},
	}
}
