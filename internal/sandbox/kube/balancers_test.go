package kube

import (
	"strings"
	"testing"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// A controller that may not reorder rules leaves an Ingress without an address when it sorts before another of its
// group.
func TestReorderingRulesNeedsAStatementWithoutCondition(t *testing.T) {
	for name, condition := range map[string]struct {
		text   string
		served bool
	}{
		"with a condition":    {`,"Condition":{"StringEquals":{"aws:ResourceTag/elbv2.k8s.aws/cluster":"dev"}}`, false},
		"without a condition": {"", true},
	} {
		t.Run(name, func(t *testing.T) {
			u := newTestCluster(t)
			u.Put(&store.Object{Type: "aws:iam/rolePolicy:RolePolicy", ID: "all", Inputs: props.Map{
				"role": "role", "policy": `{"Statement":[{"Effect":"Allow","Action":["ec2:*","elasticloadbalancing:*"]` +
					condition.text + `}]}`,
			}})
			shared := props.Map{"spec": map[string]any{"ingressClassName": "alb"}}
			for _, id := range []string{"monitoring/grafana", "apps/api"} {
				namespace, ingress, _ := strings.Cut(id, "/")
				in := props.Map{"spec": shared["spec"], "metadata": map[string]any{
					"name": ingress, "namespace": namespace, "annotations": map[string]any{albAnnotation + "group.name": "platform"},
				}}
				if err := u.admin.kubectl("Ingress", namespace, ingress, in, ""); err != nil {
					t.Fatal(err)
				}
			}
			if u.Find("k8s/Ingress", "monitoring/grafana").Str("hostname") == "" {
				t.Error("the first Ingress of the group has no address")
			}
			if got := u.Find("k8s/Ingress", "apps/api").Str("hostname") != ""; got != condition.served {
				t.Errorf("the Ingress that sorts before it is served: %v, want %v", got, condition.served)
			}
		})
	}
}
