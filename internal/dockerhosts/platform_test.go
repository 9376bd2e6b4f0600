package dockerhosts

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func TestTheModelAnswersForWhatIsRecorded(t *testing.T) {
	p := platform{Releases: []string{"prometheus-operator-crds", "rabbitmq-cluster-operator"}}
	for of, modelled := range map[string]bool{
		"helm.sh/v3:Release::rabbitmq-cluster-operator":          false,
		"helm.sh/v3:Release::argo-cd":                            true,
		"rabbitmq.com/v1beta1:RabbitmqCluster::rabbitmq":         false,
		"argoproj.io/v1alpha1:Application::root":                 true,
		"monitoring.coreos.com/v1:ServiceMonitor::any":           false,
		"elbv2.k8s.aws/v1beta1:IngressClassParams::alb":          true,
		"networking.k8s.io/v1:Ingress::front":                    true,
		"apps/v1:Deployment::snapshot-controller":                true,
		"apps/v1:DaemonSet::aws-node-termination-handler":        true,
		"core/v1:Secret::rabbitmq-credentials":                   false,
		"snapshot.storage.k8s.io/v1:VolumeSnapshotClass::anyone": false,
	} {
		urn := resource.URN("urn:pulumi:dev::project::kubeadm-aws:addons:Platform$kubernetes:" + of)
		if got := p.Models(urn); got != modelled {
			t.Errorf("%s: answered by the model is %v, want %v", of, got, modelled)
		}
	}
	if p.Models("urn:pulumi:dev::project::pulumi:providers:kubernetes::dev") {
		t.Error("the model answers for the provider itself")
	}
}
