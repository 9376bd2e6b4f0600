package dockerhosts

import (
	"reflect"
	"testing"
)

func TestObjectsWithoutPods(t *testing.T) {
	type o = map[string]any
	daemons := func(selector string) o {
		return o{"kind": "DaemonSet", "spec": o{"template": o{"spec": o{"nodeSelector": o{selector: "true"}}}}}
	}
	for name, c := range map[string]struct{ object, want o }{
		"a Deployment": {o{"kind": "Deployment", "spec": o{"replicas": 2}},
			o{"kind": "Deployment", "spec": o{"replicas": 0}}},
		"a DaemonSet": {daemons("spot"), daemons("kubeadm-aws/none")},
		"a Secret":    {o{"kind": "Secret"}, o{"kind": "Secret"}},
		"an Ingress":  {o{"kind": "Ingress", "spec": o{"replicas": 2}}, o{"kind": "Ingress", "spec": o{"replicas": 2}}},
	} {
		before := reflect.ValueOf(c.object).Len()
		if got := withoutPods(c.object); !reflect.DeepEqual(got, c.want) || before != len(c.object) {
			t.Errorf("%s becomes %v, want %v", name, got, c.want)
		}
	}
	object := daemons("spot")
	withoutPods(object)
	if !reflect.DeepEqual(object, daemons("spot")) {
		t.Errorf("the original is changed: %v", object)
	}
}
