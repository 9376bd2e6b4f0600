package kube

import (
	"fmt"
	"strings"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// balancers is the AWS Load Balancer Controller.
type balancers struct{ *Cluster }

// reconcile does the work of the AWS Load Balancer Controller.
func (b balancers) reconcile() {
	used := map[string]bool{}
	for _, o := range b.Where(isBalanced) {
		if !o.State.Flag("deleting") {
			used[b.balance(o)] = true
		}
	}
	for _, lb := range b.All(aws.LoadBalancerType) {
		if used[lb.ID] {
			continue
		}
		for _, o := range b.Where(func(o *store.Object) bool { return o.State.Str("madeFor") == lb.ID }) {
			b.Remove(o)
		}
		b.Remove(lb)
	}
	for _, o := range b.Where(isBalanced) {
		if o.State.Flag("deleting") {
			b.Remove(o)
		}
	}
}

// isBalanced reports whether an object gets a load balancer.
func isBalanced(o *store.Object) bool {
	return o.Type == "k8s/Ingress" || o.Type == "k8s/Service" && o.Inputs.Str("spec.type") == "LoadBalancer"
}

const albAnnotation = "alb.ingress.kubernetes.io/"

// balance creates what is missing of the load balancer of an Ingress or Service, with its target group and, unless
// the annotation names groups, a security group of its own and a rule in the nodes' group. It returns the load
// balancer's id.
func (b balancers) balance(o *store.Object) string {
	annotations := o.Inputs.Object("metadata").Object("annotations")
	note := func(key string) string { s, _ := annotations[albAnnotation+key].(string); return s }
	name := strings.ReplaceAll(o.ID, "/", "-")
	if group := note("group.name"); group != "" {
		name = group
	}
	tags := map[string]any{"elbv2.k8s.aws/cluster": b.clusterName(), "ingress.k8s.aws/stack": name}
	for k, v := range b.release(loadBalancerChart).Inputs.Object("values").StringMap("defaultTags") {
		tags[k] = v
	}
	machine, err := b.api()
	if err != nil {
		return ""
	}
	id := "k8s-" + name
	if b.Find(aws.LoadBalancerType, id) == nil {
		in := props.Map{"tags": tags, "name": id, "subnets": b.discovered(machine), "securityGroups": []any{},
			"certificateArns": []any{}}
		for _, g := range splitList(note("security-groups")) {
			in["securityGroups"] = append(in.List("securityGroups"), g)
		}
		for _, arn := range splitList(note("certificate-arn")) {
			in["certificateArns"] = append(in.List("certificateArns"), arn)
		}
		if len(in.List("securityGroups")) == 0 {
			in["securityGroups"] = []any{b.balancerGroup(id, b.VPCOf(machine), tags)}
		}
		region := strings.TrimRight(machine.Str("availabilityZone"), "abcdef")
		b.Put(&store.Object{Type: aws.LoadBalancerType, ID: id, Inputs: in, State: props.Map{
			"dnsName": fmt.Sprintf("%s-%s.%s.elb.amazonaws.com", id, b.NewID(aws.LoadBalancerType, id, 9), region),
		}})
	}
	if chosen := b.chosen(o); chosen != nil {
		lb := *b.Find(aws.LoadBalancerType, id)
		lb.Inputs = props.Clone(lb.Inputs)
		lb.Inputs["subnets"] = chosen
		b.Put(&lb)
	}
	target := "tg-" + strings.ReplaceAll(o.ID, "/", "-")
	if b.Find(aws.TargetGroupType, target) == nil {
		b.Put(&store.Object{
			Type: aws.TargetGroupType, ID: target, Inputs: props.Map{"vpcId": b.VPCOf(machine), "loadBalancer": id,
				"tags": tags},
			State: props.Map{"madeFor": id},
		})
	}
	hostname := b.Find(aws.LoadBalancerType, id).Str("dnsName")
	if b.movesOthers(o) && !authorized(b.Account, b.release(loadBalancerChart), machine, aws.SetRulePriorities) {
		return id // the controller's work on the listener ends here (FailedDeployModel)
	}
	if o.State.Str("hostname") != hostname {
		b.Change(o, func(_, state props.Map) { state["hostname"] = hostname })
	}
	return id
}

// discovered returns the subnets that a new load balancer is created in by their tag.
func (b balancers) discovered(machine *store.Object) []any {
	subnets := []any{}
	for _, s := range b.All(aws.SubnetType) {
		if _, ok := s.Tags()["kubernetes.io/role/elb"]; ok && s.Inputs.Str("vpcId") == b.VPCOf(machine) {
			subnets = append(subnets, s.ID)
		}
	}
	return subnets
}

// chosen returns the subnets in the parameters of the class of an Ingress, or nil. The load balancer follows them.
func (b balancers) chosen(o *store.Object) []any {
	class := b.object("IngressClass", "", o.Inputs.Str("spec.ingressClassName"))
	if class == nil {
		return nil
	}
	params := b.object("IngressClassParams", "", class.Inputs.Str("spec.parameters.name"))
	if params == nil {
		return nil
	}
	return params.Inputs.Object("spec").Object("subnets").List("ids")
}

// movesOthers reports whether the rules of an Ingress come before those of another one of its group that has rules
// already. The controller sorts by group.order, then by namespace and name, and has to give the others new
// priorities.
func (b balancers) movesOthers(o *store.Object) bool {
	group, order := b.groupOf(o)
	if group == "" || o.State.Str("hostname") != "" {
		return false
	}
	return len(b.Where(func(other *store.Object) bool {
		itsGroup, itsOrder := b.groupOf(other)
		return isBalanced(other) && itsGroup == group && other.State.Str("hostname") != "" && order < itsOrder
	})) > 0
}

// groupOf returns the group of an Ingress, from its annotation or its class. The Ingresses of a group share a load
// balancer. order is a text that sorts as the place of the Ingress in the group.
func (b balancers) groupOf(o *store.Object) (group, order string) {
	note := func(key string) string {
		s, _ := o.Inputs.Object("metadata").Object("annotations")[albAnnotation+key].(string)
		return s
	}
	group = note("group.name")
	for _, params := range b.All("k8s/IngressClassParams") {
		if group == "" && params.Inputs.Str("metadata.name") == o.Inputs.Str("spec.ingressClassName") {
			group = params.Inputs.Str("spec.group.name")
		}
	}
	return group, fmt.Sprintf("%5s %s", note("group.order"), o.ID)
}

// balancerGroup creates the security group that the controller creates when no annotation names one.
func (b balancers) balancerGroup(lb, vpc string, tags map[string]any) string {
	id := "sg-" + b.NewID(aws.GroupType, lb, 17)
	b.Put(&store.Object{
		Type: aws.GroupType, ID: id, Inputs: props.Map{"vpcId": vpc, "name": lb, "tags": tags},
		State: props.Map{"madeFor": lb},
	})
	for _, g := range b.All(aws.GroupType) {
		if g.Inputs.Str("vpcId") == vpc && len(aws.ClusterTags(g.Tags())) > 0 {
			b.Put(&store.Object{
				Type: aws.IngressRuleType, ID: "sgr-" + b.NewID(aws.IngressRuleType, lb, 17), State: props.Map{"madeFor": lb},
				Inputs: props.Map{
					"securityGroupId": g.ID, "referencedSecurityGroupId": id, "ipProtocol": "tcp", "fromPort": 30000.0,
					"toPort": 32767.0,
				},
			})
		}
	}
	return id
}

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
