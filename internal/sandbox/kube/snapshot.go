package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// This file models the snapshots of etcd that cluster/scripts/etcd-snapshot.sh stores. The newest snapshot of the model
// is always current: it holds the objects that the cluster had when its control plane ended.

// marker returns the object in the bucket that records that a cluster has run, or nil.
func (s *step) marker() *store.Object {
	return s.Find(aws.BucketObjectType, s.env["BUCKET"]+"/"+s.env["PREFIX"]+"/initialised")
}

// mark records that the cluster of this machine runs. timer is whether snapshots of it are taken from now on.
func (s *step) mark(timer bool) {
	key := s.env["PREFIX"] + "/initialised"
	s.Put(&store.Object{
		Type: aws.BucketObjectType, ID: s.env["BUCKET"] + "/" + key, Inputs: props.Map{"bucket": s.env["BUCKET"], "key": key},
		State: props.Map{"authorities": s.host().State.Str("authorities"), "machine": s.machine.ID, "snapshots": timer},
	})
}

// recover decides what a new control plane starts with, as fetch_snapshot in cluster/scripts/init.sh does. It restores
// the objects of the snapshot that the settings name. Without one it starts empty, if the bucket has no cluster of the
// same authorities.
func (s *step) recover(authorities string) error {
	marker := s.marker()
	known := marker != nil && marker.State.Str("authorities") == authorities
	saved := s.Where(func(o *store.Object) bool { return strings.HasPrefix(o.Type, aws.SnapshotPrefix) })
	bucket, prefix := s.env["BUCKET"], s.env["PREFIX"]
	switch from := s.env["RESTORE_FROM"]; {
	case from != "" && len(saved) == 0:
		return fmt.Errorf("init: no cluster has been made from this snapshot: s3://%s/%s does not hold %q. Set "+
			"backup.restoreFrom to one that exists and is whole, "+
			"or remove it to begin with an empty cluster", bucket, prefix, from)
	case from != "" && !known:
		return errors.New("init: the snapshot is of another cluster, with another identity and another key for its Secrets")
	case from != "":
		for _, o := range saved {
			s.Remove(o)
			if !o.State.Flag("controlPlane") { // a control plane is the node of the old machine
				restored := *o
				restored.Type = strings.TrimPrefix(o.Type, aws.SnapshotPrefix)
				s.Put(&restored)
			}
		}
	case known && len(saved) > 0:
		return fmt.Errorf(
			`init: this cluster has run before, and the bucket %s has its snapshot. Set backup.restoreFrom to "latest" to bring it back`, bucket)
	case known:
		return fmt.Errorf("init: this cluster has run before, and the bucket %s has no snapshot of it. An empty control "+
			"plane would delete what runs on its workers", bucket)
	}
	return nil
}

// backup installs the timer of the snapshots.
func (s *step) backup() (string, error) {
	bucket := s.env["BUCKET"]
	if s.Find(aws.BucketType, bucket) == nil {
		return "", fmt.Errorf("NoSuchBucket: %s", bucket)
	}
	// The timer of a control plane that joined does not begin another cluster.
	if cluster := s.Find(clusterType, "cluster"); cluster == nil || members(cluster)[0] == s.machine.ID {
		s.mark(true)
	}
	return "scheduled", nil
}

// backupStop records that the cluster is destroyed on purpose. The command does not name the bucket, so the objects of
// this machine are changed in every bucket.
func (s *step) backupStop() (string, error) {
	for _, o := range s.All(aws.BucketObjectType) {
		if o.State.Str("machine") == s.machine.ID {
			s.Change(o, func(_, state props.Map) { state["authorities"], state["snapshots"] = "", false })
		}
	}
	return "snapshots are stopped", nil
}

// clusterLost removes the objects of a cluster whose control plane has ended. The objects of which snapshots were
// taken stay in the bucket.
func (c *Cluster) clusterLost(machine string, cluster *store.Object) {
	machines, snapshots := []string{machine}, false
	if cluster != nil {
		machines = members(cluster)
	}
	for _, o := range c.All(aws.BucketObjectType) {
		snapshots = snapshots || slices.Contains(machines, o.State.Str("machine")) && o.State.Flag("snapshots")
	}
	if snapshots {
		c.SnapshotGone()
	}
	for _, o := range c.Where(func(o *store.Object) bool { return strings.HasPrefix(o.Type, "k8s/") }) {
		c.Remove(o)
		if snapshots {
			saved := *o
			saved.Type = aws.SnapshotPrefix + o.Type
			c.Put(&saved)
		}
	}
}
