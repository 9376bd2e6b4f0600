package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
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
		Minutes: 5,
	}, p.outlived(data))
}

// objectStore returns the location of an archive: its folder in the stack's bucket.
func (p postgreSQL) objectStore(archive string) kube.Values {
	key := func(name string) kube.Values { return kube.Values{"name": backupSecret, "key": name} }
	store := kube.Values{
		"destinationPath": pulumi.Sprintf("s3://%s/%s/postgresql", p.args.BackupBucket, p.cfg.Cluster.Name),
		"serverName":      archive,
		"s3Credentials": kube.Values{
			"accessKeyId": key("ACCESS_KEY_ID"), "secretAccessKey": key("SECRET_ACCESS_KEY"),
			"sessionToken": key("SESSION_TOKEN"), "region": key("REGION"),
		},
		"wal":  kube.Values{"compression": "gzip"},
		"data": kube.Values{"compression": "gzip"},
	}
	if p.cfg.Mirrors.S3Endpoint != "" || !p.cfg.FindsS3ByRegion() {
		store["endpointURL"] = p.cfg.S3Endpoint()
	}
	return store
}

// scheduledBackup takes a base backup immediately and then each night, at a time between most snapshots.
func scheduledBackup(cfg *config.Config) kube.ObjectArgs {
	return kube.ObjectArgs{
		APIVersion: "postgresql.cnpg.io/v1",
		Kind:       "ScheduledBackup",
		Name:       cfg.Addons.PostgreSQL.Archive(),
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
