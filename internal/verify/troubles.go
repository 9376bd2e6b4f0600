package verify

import (
	"context"
	"fmt"
	"slices"
)

// mostEvents limits the events that Troubles returns.
const mostEvents = 5

// NotReady returns the nodes that are not Ready, each as "NAME is not Ready: REASON".
func NotReady(ctx context.Context, api *API) ([]string, error) {
	nodes, err := (&run{api: api}).nodes(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, n := range nodes {
		if c, ready := is(n.Status.Conditions, "Ready", "True"); !ready {
			all = append(all, fmt.Sprintf("%s is not Ready: %s", n.Metadata.Name, c.Message))
		}
	}
	return all, nil
}

// Troubles returns the pods of a namespace that are not ready, each with the reason, and its last warnings, one line
// each.
func Troubles(ctx context.Context, api *API, namespace string) ([]string, error) {
	var pods list[pod]
	if err := api.get(ctx, "/api/v1/namespaces/"+namespace+"/pods", &pods); err != nil {
		return nil, err
	}
	var lines []string
	for _, p := range pods.Items {
		if fault := podFault(p); fault != "" {
			lines = append(lines, fmt.Sprintf("pod %s: %s", p.Metadata.Name, fault))
		}
	}
	var events list[struct {
		Metadata       meta   `json:"metadata"`
		Reason         string `json:"reason"`
		Message        string `json:"message"`
		LastTimestamp  string `json:"lastTimestamp"`
		InvolvedObject struct {
			Kind, Name string
		} `json:"involvedObject"`
	}]
	if err := api.get(ctx, "/api/v1/namespaces/"+namespace+"/events?fieldSelector=type%3DWarning", &events); err != nil {
		return nil, err
	}
	var warnings []string
	for _, e := range events.Items {
		line := fmt.Sprintf("%s %s %s: %s: %s", e.LastTimestamp, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason,
			e.Message)
		warnings = append(warnings, line)
	}
	slices.Sort(warnings)
	return append(lines, warnings[max(0, len(warnings)-mostEvents):]...), nil
}
