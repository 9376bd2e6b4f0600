package state

import "testing"

const (
	vpc     = prefix + "kubeadm-aws:infra:Infra$kubeadm-aws:infra:Network$aws:ec2/vpc:Vpc::dev"
	join    = prefix + "kubeadm-aws:cluster:Cluster$command:remote:Command::worker-1-join"
	release = prefix + "kubeadm-aws:addons:Platform$kubernetes:helm.sh/v3:Release::cert-manager"
)

func TestPhasesComeFromTheComponents(t *testing.T) {
	for urn, want := range map[URN]string{
		vpc: PhaseInfra, join: PhaseCluster, release: PhaseAddons,
		prefix + "aws:s3/bucket:Bucket::loose":           PhaseInfra,
		prefix + "random:index/randomId:RandomId::loose": PhaseOther,
		"not a urn": PhaseOther,
	} {
		if got := PhaseOf(urn); got != want {
			t.Errorf("phase of %s is %s, want %s", urn, got, want)
		}
	}
}
