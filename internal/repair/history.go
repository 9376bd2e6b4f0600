package repair

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/internal/report"
)

// The limits of repeated replacements. A fault that a new machine does not cure would otherwise replace it forever.
const (
	// coolDown is the time between two replacements of one worker.
	coolDown = time.Hour
	// mostRepairs is how often a worker is replaced within the time that is remembered.
	mostRepairs = 2
	remembered  = 24 * time.Hour
)

// History is when workers were replaced. It is in the cluster, because it has to outlive machines, nodes, checkouts and
// interrupted runs.
type History struct {
	// Began are the times at which replacements began, by the name of the worker.
	Began map[string][]time.Time
	// Unfinished has the workers whose replacement began and has not ended. The value is the id of the machine that the
	// worker had when it began.
	Unfinished map[string]string

	// version is that of the object that was read, or "" if there was none.
	version string
}

// refuse returns why a worker may not be replaced again yet, or "".
func (h History) refuse(name string, now time.Time) string {
	began := recent(h.Began[name], now)
	if len(began) == 0 {
		return ""
	}
	last := slices.MaxFunc(began, time.Time.Compare)
	switch {
	case len(began) >= mostRepairs:
		return fmt.Sprintf("it was replaced %d times within %s, last at %s, and a new machine does not help", len(began),
			"a day", stamp(last))
	case now.Sub(last) < coolDown:
		return fmt.Sprintf("it was replaced at %s and is not replaced again before %s", stamp(last),
			stamp(last.Add(coolDown)))
	}
	return ""
}

// recent returns the times that still count.
func recent(times []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return now.Sub(t) >= remembered })
}

// goesOn reports whether the replacement of a worker was interrupted before its machine ended.
func (h History) goesOn(name, machine string) bool {
	had, ok := h.Unfinished[name]
	return ok && had == machine
}

// Begin returns the history in which a replacement has begun. One that goes on is not counted again. The others that
// are unfinished stay: the state does not tell a worker without machine and steps from one that was never created.
func (h History) Begin(p FailedWorker, now time.Time) History {
	all := map[string][]time.Time{}
	for worker, times := range h.Began {
		if kept := recent(times, now); len(kept) > 0 {
			all[worker] = kept
		}
	}
	unfinished := map[string]string{}
	maps.Copy(unfinished, h.Unfinished)
	if !h.goesOn(p.Name, p.Machine) && p.URN != "" {
		all[p.Name] = append(all[p.Name], now)
		unfinished[p.Name] = p.Machine
	}
	h.Began, h.Unfinished = all, unfinished
	return h
}

// End returns the history in which the replacement of a worker has ended.
func (h History) End(name string) History {
	h.Unfinished = maps.Clone(h.Unfinished)
	delete(h.Unfinished, name)
	return h
}

// The object in the cluster that holds the history: for each worker the times, and in an annotation those that are
// unfinished, as "worker machine, worker machine".
const (
	historyName          = "kubeadm-aws-repairs"
	historyPath          = "/api/v1/namespaces/kube-system/configmaps"
	unfinishedAnnotation = "kubeadm-aws/unfinished"
)

type configMap struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   configMapMeta     `json:"metadata"`
	Data       map[string]string `json:"data"`
}

type configMapMeta struct {
	Name            string            `json:"name"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

// format returns the object with the history.
func (h History) format() configMap {
	m := configMap{APIVersion: "v1", Kind: "ConfigMap", Data: map[string]string{},
		Metadata: configMapMeta{Name: historyName, ResourceVersion: h.version}}
	var unfinished []string
	for _, name := range slices.Sorted(maps.Keys(h.Unfinished)) {
		unfinished = append(unfinished, name+" "+h.Unfinished[name])
	}
	if len(unfinished) > 0 {
		m.Metadata.Annotations = map[string]string{unfinishedAnnotation: strings.Join(unfinished, ", ")}
	}
	for _, name := range slices.Sorted(maps.Keys(h.Began)) {
		var times []string
		for _, t := range h.Began[name] {
			times = append(times, stamp(t))
		}
		m.Data[name] = strings.Join(times, " ")
	}
	return m
}

// parse reads the object. A time that cannot be read counts as none.
func parse(m configMap) History {
	h := History{Began: map[string][]time.Time{}, Unfinished: map[string]string{}, version: m.Metadata.ResourceVersion}
	for entry := range strings.SplitSeq(m.Metadata.Annotations[unfinishedAnnotation], ",") {
		if name, machine, _ := strings.Cut(strings.TrimSpace(entry), " "); name != "" {
			h.Unfinished[name] = machine
		}
	}
	for name, text := range m.Data {
		for _, field := range strings.Fields(text) {
			if t, err := time.Parse(time.RFC3339, field); err == nil {
				h.Began[name] = append(h.Began[name], t)
			}
		}
	}
	return h
}

// readHistory reads the history from the cluster.
func readHistory(ctx context.Context, api *kubeapi.Client) (History, error) {
	var m configMap
	err := api.Call(ctx, kubeapi.Get, historyPath+"/"+historyName, nil, &m)
	if kubeapi.IsStatus(err, http.StatusNotFound) {
		return History{}, nil
	}
	return parse(m), err
}

// writeHistory writes the history, and fails if another run has written it since it was read.
func writeHistory(ctx context.Context, api *kubeapi.Client, h History) (History, error) {
	var m configMap
	verb, path := put, historyPath+"/"+historyName
	if h.version == "" {
		verb, path = kubeapi.Post, historyPath
	}
	err := api.Call(ctx, verb, path, h.format(), &m)
	if kubeapi.IsStatus(err, http.StatusConflict) {
		return h, report.Fail(report.ExitLocked, "Wait for that run, then run this again.",
			"another repair of the cluster has begun; nothing was changed")
	}
	return parse(m), err
}

// put replaces an object. The API refuses it if the object has another version than the body names.
var put = kubeapi.Verb{Method: http.MethodPut, ContentType: "application/json"}
