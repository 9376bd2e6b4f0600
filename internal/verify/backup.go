package verify

import (
	"context"
	"time"

	"kubeadm-aws/config"
)

// The annotations that cluster/scripts/etcd-snapshot.sh sets on the control plane's node after each snapshot that
// reached the bucket: the time in RFC 3339, and the key.
const (
	lastBackup    = "kubeadm-aws/last-backup"
	lastBackupKey = "kubeadm-aws/last-backup-key"
)

// backupSlack is how late a snapshot may reach the bucket before it counts as missed. The timer allows a run twenty
// minutes.
const backupSlack = time.Hour

// backupAge reads the time of the last snapshot from the nodes of the control planes: the leader of etcd takes it.
func backupAge(ctx context.Context, r *run) finding {
	const look = "on the control plane: systemctl list-timers etcd-snapshot.timer; journalctl -u etcd-snapshot; sudo " +
		"etcd-snapshot now takes one"
	var n node
	for i, plane := range config.ControlPlanes(r.Config.Nodes) {
		var other node
		if err := r.api.get(ctx, "/api/v1/nodes/"+plane.Name, &other); err != nil {
			return broken(lookAtNodes, err)
		}
		// Times in RFC 3339 and UTC are ordered as text.
		if i == 0 || other.Metadata.Annotations[lastBackup] > n.Metadata.Annotations[lastBackup] {
			n = other
		}
	}
	most := r.Config.Backup.Interval() + backupSlack
	written, there := n.Metadata.Annotations[lastBackup]
	if !there {
		// The annotation is on the node object, so a replaced control plane has to take a snapshot first as well.
		if age := r.Now().Sub(n.Metadata.CreationTimestamp); age < most {
			return skipped("none was due yet: the node is %s old, one is taken every %s", age.Round(time.Minute),
				r.Config.Backup.Interval())
		}
		return failed(look, "no snapshot has ever reached the bucket")
	}
	at, err := time.Parse(time.RFC3339, written)
	if err != nil {
		return failed(look, "node annotation %s: %v", lastBackup, err)
	}
	age := r.Now().Sub(at).Round(time.Minute)
	if age > most {
		return failed(look, "the last snapshot is %s old, and one is taken every %s: a run was missed or failed", age,
			r.Config.Backup.Interval())
	}
	return ok("the last snapshot is %s old: %s", age, n.Metadata.Annotations[lastBackupKey])
}
