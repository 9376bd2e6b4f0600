package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster"
)

// rabbitmqBackup installs the timer on the control plane that copies RabbitMQ's definitions to the backup bucket, at
// the times of the etcd snapshots. The bucket keeps replaced copies as old versions.
func (b *builder) rabbitmqBackup(servers pulumi.Resource) {
	b.step("rabbitmq-backup", cluster.Step{
		Name: "rabbitmq-backup",
		Run: cluster.Script{Name: "rabbitmq-backup", Env: map[string]pulumi.StringInput{
			"BUCKET":      b.args.BackupBucket,
			"KEY":         pulumi.String(b.cfg.Cluster.Name + "/rabbitmq/definitions.json"),
			"AWS_REGION":  pulumi.String(b.cfg.Region),
			"S3_ENDPOINT": pulumi.String(b.cfg.S3Endpoint()),
			"SCHEDULE":    pulumi.String(b.cfg.Backup.Calendar()),
			// A new machine with the same address gets the timer too.
			"MACHINE": b.args.Cluster.MachineID,
		}},
		Delete: &cluster.Script{
			Name: "rabbitmq-backup", Env: map[string]pulumi.StringInput{"ACTION": pulumi.String("remove")},
		},
		Minutes: 5,
	}, b.outlived(servers))
}
