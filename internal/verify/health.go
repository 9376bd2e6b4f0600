package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"time"

	"kubeadm-aws/cluster/kubeapi"
)

// Annotations of a node that keep a repair away from it.
const (
	// repairAnnotation is set to off by an operator who works on the node.
	repairAnnotation = "kubeadm-aws/repair"
	// upgradeAnnotation records that an upgrade has taken the node out of service.
	upgradeAnnotation = "kubeadm-aws/upgrade"
)

// NodeHealth is what the API says about the health of a node.
type NodeHealth struct {
	Name string
	// Instance is the id of the machine that the node runs on.
	Instance string
	Ready    bool
	// Since is when the node became Ready or stopped being so. Message says why it is not.
	Since   time.Time
	Message string
	// Zone is the availability zone.
	Zone string
	// Off reports whether an operator keeps repairs away from the node, and Upgrading whether an upgrade is under way.
	Off, Upgrading bool
	// UpgradingSince is when the upgrade took the node out of service, or zero if that is unknown.
	UpgradingSince time.Time
}

// Health returns the health of every node of the cluster.
func Health(ctx context.Context, api *API) ([]NodeHealth, error) {
	nodes, err := (&run{api: api}).nodes(ctx)
	if err != nil {
		return nil, err
	}
	var all []NodeHealth
	for _, n := range nodes {
		ready, is := is(n.Status.Conditions, "Ready", "True")
		h := NodeHealth{
			Name: n.Metadata.Name, Instance: path.Base(n.Spec.ProviderID), Ready: is, Since: ready.LastTransitionTime,
			Message: ready.Message, Zone: n.Metadata.Labels["topology.kubernetes.io/zone"],
			Off:       n.Metadata.Annotations[repairAnnotation] == "off",
			Upgrading: n.Metadata.Annotations[upgradeAnnotation] != "",
		}
		if h.Upgrading {
			h.UpgradingSince = n.Metadata.annotated(upgradeAnnotation)
		}
		if h.Since.IsZero() { // the kubelet has never reported
			h.Since = n.Metadata.CreationTimestamp
		}
		all = append(all, h)
	}
	return all, nil
}

// volume is the part of a PersistentVolume that says where its data is.
type volume struct {
	Spec struct {
		Local    *struct{} `json:"local"`
		HostPath *struct{} `json:"hostPath"`
		Affinity struct {
			Required struct {
				Terms []struct {
					Expressions []struct {
						Key    string   `json:"key"`
						Values []string `json:"values"`
					} `json:"matchExpressions"`
				} `json:"nodeSelectorTerms"`
			} `json:"required"`
		} `json:"nodeAffinity"`
	} `json:"spec"`
}

// zones returns the zones that the volume can be attached in, or nil for every zone.
func (v volume) zones() (zones []string) {
	for _, term := range v.Spec.Affinity.Required.Terms {
		for _, e := range term.Expressions {
			if e.Key == "topology.kubernetes.io/zone" || e.Key == "topology.ebs.csi.aws.com/zone" {
				zones = append(zones, e.Values...)
			}
		}
	}
	return zones
}

// podOnNode is a pod with its volumes.
type podOnNode struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		Volumes []struct {
			Claim *struct {
				Name string `json:"claimName"`
			} `json:"persistentVolumeClaim"`
		} `json:"volumes"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

func (p podOnNode) String() string { return "pod " + p.Metadata.Namespace + "/" + p.Metadata.Name }

// leaves reports whether a drain moves the pod: it runs, and the node alone does not own it.
func (p podOnNode) leaves() bool {
	_, mirror := p.Metadata.Annotations["kubernetes.io/config.mirror"]
	daemon := slices.ContainsFunc(p.Metadata.OwnerReferences, func(o owner) bool { return o.Kind == "DaemonSet" })
	return !mirror && !daemon && p.Status.Phase != "Succeeded" && p.Status.Phase != "Failed"
}

// KeptOn returns what would be lost or could not run if the machine of a node was replaced by one in a zone: pods that
// no controller creates again, data on the disk of the machine, and volumes of a zone that no other node is in. On a
// node that is Ready it also returns the pods that their disruption budget holds there.
func KeptOn(ctx context.Context, api *API, node NodeHealth, zone string, nodes []NodeHealth) ([]string, error) {
	var pods list[podOnNode]
	selector := url.QueryEscape("spec.nodeName=" + node.Name)
	if err := api.get(ctx, "/api/v1/pods?fieldSelector="+selector, &pods); err != nil {
		return nil, err
	}
	var kept []string
	for _, p := range pods.Items {
		if !p.leaves() {
			continue
		}
		if !hasController(p.Metadata) && p.Metadata.DeletionTimestamp == nil {
			kept = append(kept, fmt.Sprintf("%s has no controller that would create it again", p))
			continue
		}
		why, err := keptVolume(ctx, api, p, func(zones []string) bool { return reachable(zones, zone, node, nodes) })
		if err == nil && why == "" && node.Ready {
			why, err = keptByBudget(ctx, api, p)
		}
		if err != nil {
			return nil, err
		}
		if why != "" {
			kept = append(kept, why)
		}
	}
	return kept, nil
}

func hasController(m meta) bool {
	return slices.ContainsFunc(m.OwnerReferences, func(o owner) bool { return o.Controller })
}

// reachable reports whether the new machine, or another node that is Ready, is in one of the zones.
func reachable(zones []string, zone string, node NodeHealth, nodes []NodeHealth) bool {
	return len(zones) == 0 || slices.Contains(zones, zone) || slices.ContainsFunc(nodes, func(n NodeHealth) bool {
		return n.Name != node.Name && n.Ready && slices.Contains(zones, n.Zone)
	})
}

// keptVolume returns which volume of a pod would be lost or out of reach, or "".
func keptVolume(ctx context.Context, api *API, p podOnNode, reachable func(zones []string) bool) (string, error) {
	for _, v := range p.Spec.Volumes {
		if v.Claim == nil {
			continue
		}
		var of claim
		err := api.get(ctx, "/api/v1/namespaces/"+p.Metadata.Namespace+"/persistentvolumeclaims/"+v.Claim.Name, &of)
		if notFound(err) || err == nil && of.Spec.VolumeName == "" {
			continue
		}
		var found volume
		if err == nil {
			err = api.get(ctx, "/api/v1/persistentvolumes/"+of.Spec.VolumeName, &found)
		}
		switch {
		case notFound(err):
		case err != nil:
			return "", err
		case found.Spec.Local != nil || found.Spec.HostPath != nil:
			return fmt.Sprintf("%s has its data on the disk of the machine (volume %s)", p, of.Spec.VolumeName), nil
		case !reachable(found.zones()):
			return fmt.Sprintf("%s has a volume of another zone than the new machine (%s in %v)", p, of.Spec.VolumeName,
				found.zones()), nil
		}
	}
	return "", nil
}

// keptByBudget asks the API whether a pod may be evicted, without evicting it.
func keptByBudget(ctx context.Context, api *API, p podOnNode) (string, error) {
	err := api.create(ctx, "/api/v1/namespaces/"+p.Metadata.Namespace+"/pods/"+p.Metadata.Name+"/eviction", map[string]any{
		"apiVersion": "policy/v1", "kind": "Eviction",
		"metadata":      map[string]any{"name": p.Metadata.Name, "namespace": p.Metadata.Namespace},
		"deleteOptions": map[string]any{"dryRun": []string{"All"}},
	})
	var refused *kubeapi.StatusError
	switch {
	case kubeapi.IsStatus(err, http.StatusTooManyRequests):
		return fmt.Sprintf("%s is held by its disruption budget: too few other replicas are ready", p), nil
	case notFound(err):
		return "", nil
	case errors.As(err, &refused): // as for a pod with two budgets
		return fmt.Sprintf("%s cannot be evicted: %s", p, refused.Message), nil
	}
	return "", err
}
