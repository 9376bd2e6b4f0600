package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster"
)

// backup installs the timer on the control plane that copies RabbitMQ's definitions to the backup bucket, at
// the times of the etcd snapshots. The bucket keeps replaced copies as old versions.
func (r rabbitMQ) backup(servers pulumi.Resource) {
	r.step("rabbitmq-backup", cluster.Step{
		Name: "rabbitmq-backup",
		Run: cluster.Script{Name: "rabbitmq-backup", Env: map[string]pulumi.StringInput{
			"BUCKET":      r.args.BackupBucket,
			"KEY":         pulumi.String(r.cfg.Cluster.Name + "/rabbitmq/definitions.json"),
			"AWS_REGION":  pulumi.String(r.cfg.Region),
			"S3_ENDPOINT": pulumi.String(r.cfg.S3Endpoint()),
			"SCHEDULE":    pulumi.String(r.cfg.Backup.Calendar()),
			// A new machine with the same address gets the timer too.
			"MACHINE": r.args.Cluster.MachineID,
		}},
		Delete: &cluster.Script{
			Name: "rabbitmq-backup", Env: map[string]pulumi.StringInput{"ACTION": pulumi.String("remove")},
		},
		Minutes: 5,
	}, r.outlived(servers))
}
