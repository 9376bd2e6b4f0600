package verify

import (
	"cmp"
	"strings"
	"time"
)

// The parts of Kubernetes objects that the checks read.

type list[T any] struct {
	Items []T `json:"items"`
}

type meta struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	CreationTimestamp time.Time         `json:"creationTimestamp"`
	DeletionTimestamp *time.Time        `json:"deletionTimestamp"`
	OwnerReferences   []owner           `json:"ownerReferences"`
	// ManagedFields say when a program last changed the fields that it owns.
	ManagedFields []managed `json:"managedFields"`
}

type managed struct {
	Time   time.Time `json:"time"`
	Fields struct {
		Metadata struct {
			Annotations map[string]any `json:"f:annotations"`
		} `json:"f:metadata"`
	} `json:"fieldsV1"`
}

// annotated returns when an annotation was set, or zero if the API server does not say.
func (m meta) annotated(key string) (at time.Time) {
	for _, f := range m.ManagedFields {
		if _, owns := f.Fields.Metadata.Annotations["f:"+key]; owns && f.Time.After(at) {
			at = f.Time
		}
	}
	return at
}

type owner struct {
	Kind       string `json:"kind"`
	Controller bool   `json:"controller"`
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`

	LastTransitionTime time.Time `json:"lastTransitionTime"`
}

type taint struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Effect string `json:"effect"`
}

type node struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		ProviderID    string  `json:"providerID"`
		Unschedulable bool    `json:"unschedulable"`
		Taints        []taint `json:"taints"`
	} `json:"spec"`
	Status struct {
		Conditions []condition `json:"conditions"`
		NodeInfo   struct {
			KubeletVersion string `json:"kubeletVersion"`
		} `json:"nodeInfo"`
	} `json:"status"`
}

type pod struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		NodeName   string      `json:"nodeName"`
		Containers []container `json:"containers"`
	} `json:"spec"`
	Status struct {
		Phase             string            `json:"phase"`
		Reason            string            `json:"reason"`
		Message           string            `json:"message"`
		Conditions        []condition       `json:"conditions"`
		ContainerStatuses []containerStatus `json:"containerStatuses"`
		InitStatuses      []containerStatus `json:"initContainerStatuses"`
	} `json:"status"`
}

type claim struct {
	Spec struct {
		VolumeName string `json:"volumeName"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

type container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

type containerStatus struct {
	Name         string `json:"name"`
	Ready        bool   `json:"ready"`
	RestartCount int    `json:"restartCount"`
	State        struct {
		Waiting    *stateReason `json:"waiting"`
		Terminated *stateReason `json:"terminated"`
	} `json:"state"`
}

type stateReason struct {
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	ExitCode int    `json:"exitCode"`
}

// workload is a Deployment, a StatefulSet or a DaemonSet.
type workload struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		Replicas *int `json:"replicas"`
		Template struct {
			Spec struct {
				Containers []container `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration     int64       `json:"observedGeneration"`
		ReadyReplicas          int         `json:"readyReplicas"`
		AvailableReplicas      int         `json:"availableReplicas"`
		DesiredNumberScheduled int         `json:"desiredNumberScheduled"`
		NumberReady            int         `json:"numberReady"`
		Conditions             []condition `json:"conditions"`
	} `json:"status"`
}

// conditioned is any object that reports its status as conditions.
type conditioned struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		// Service is the server of an APIService.
		Service struct {
			Namespace string `json:"namespace"`
		} `json:"service"`
	} `json:"spec"`
	Status struct {
		Conditions []condition `json:"conditions"`
		NotAfter   *time.Time  `json:"notAfter"`
	} `json:"status"`
}

// of returns the namespace that decides whether the object belongs to the platform. A ClusterIssuer is in no namespace,
// and the platform has one.
func (c conditioned) of(path string) string {
	if strings.HasSuffix(path, "/clusterissuers") && c.Metadata.Name != platformIssuer {
		return "ClusterIssuer " + c.Metadata.Name
	}
	return cmp.Or(c.Metadata.Namespace, c.Spec.Service.Namespace)
}

// platformIssuer is the name of the platform's ClusterIssuer.
const platformIssuer = "letsencrypt"

// is reports whether a condition has a status, and returns the condition.
func is(conditions []condition, typ, status string) (condition, bool) {
	for _, c := range conditions {
		if c.Type == typ {
			return c, c.Status == status
		}
	}
	return condition{Type: typ, Status: "missing"}, false
}
