package state

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Marks of resources in the state that have not been read since a run was killed. The engine updates what is marked.
const (
	// InterruptedCreate marks a resource that was taken over into the state.
	InterruptedCreate = "its making was cut off"
	// interruptedChange marks a resource that a run had begun to change or to delete.
	interruptedChange = "a change of it was cut off"
)

// Creating are the resources that a run which was killed had begun to make, each once.
func (d State) Creating() []Resource {
	var all []Resource
	for _, op := range d.Pending {
		if op.Type == "creating" && !slices.ContainsFunc(all, func(r Resource) bool { return r.URN == op.Resource.URN }) {
			all = append(all, op.Resource)
		}
	}
	return all
}

// Changing are the resources that such a run had begun to change or to delete, and that a provider can read: whether it did
// is not known.
func (d State) Changing() []string {
	return d.begun(func(r Resource) bool {
		return strings.HasPrefix(r.Type, "aws:") || strings.HasPrefix(r.Type, "kubernetes:")
	})
}

// BegunSteps are the steps on hosts that such a run had begun to change or to take back. Running them again is how to find out.
func (d State) BegunSteps() []string {
	return d.begun(func(r Resource) bool { return strings.HasPrefix(r.Type, "command:") })
}

// Unregistered are the join steps of workers whose node step was deleted, or may be. That delete takes the Node out of the
// cluster, and a kubelet that goes on running registers its Node only when it starts. The join step restarts it.
func (d State) Unregistered() []string {
	registered := map[string]bool{}
	begun := d.BegunSteps()
	for _, r := range d.Resources {
		node, step, ok := HostStep(r.URN, r.Inputs)
		if ok && step == "node" && !r.Delete && !r.PendingReplacement && !slices.Contains(begun, r.URN) {
			registered[node] = true
		}
	}
	var urns []string
	for _, r := range d.Resources {
		node, step, ok := HostStep(r.URN, r.Inputs)
		if ok && step == "join" && !r.Delete && !registered[node] {
			urns = append(urns, r.URN)
		}
	}
	return urns
}

func (d State) begun(of func(Resource) bool) []string {
	var urns []string
	for _, op := range d.Pending {
		exists := slices.ContainsFunc(d.Resources, func(r Resource) bool { return r.URN == op.Resource.URN })
		if op.Type != "creating" && exists && of(op.Resource) && !slices.Contains(urns, op.Resource.URN) {
			urns = append(urns, op.Resource.URN)
		}
	}
	return urns
}

// Unread are the resources that an earlier run took over and did not get to read.
func (d State) Unread() []string {
	var urns []string
	for _, r := range d.Resources {
		interrupted := slices.Contains(r.InitErrors, InterruptedCreate) || slices.Contains(r.InitErrors, interruptedChange)
		if interrupted && !strings.HasPrefix(r.Type, "command:") {
			urns = append(urns, r.URN)
		}
	}
	return urns
}

// Knows reports whether the state has a thing of this type and id.
func (d State) Knows(typ, id string) bool {
	return slices.ContainsFunc(d.Resources, func(r Resource) bool { return r.Type == typ && r.ID == id })
}

// Adopt makes resources in the state of creates that were cut off and have an id in ids, by URN, and drops all such creates.
// What the account shows of the resources has to be read afterwards; until then they are marked, and so are the resources in
// again, of which it is not known what a run made of them: the engine updates what is marked. The notes of the run go.
func Adopt(exported []byte, ids map[string]string, again []string) ([]byte, error) {
	state, err := decode(exported)
	if err != nil {
		return nil, err
	}
	State, _ := state["deployment"].(map[string]any)
	resources, _ := State["resources"].([]any)
	pending, _ := State["pending_operations"].([]any)
	for _, entry := range resources {
		if r, _ := entry.(map[string]any); slices.Contains(again, fmt.Sprint(r["urn"])) {
			r["initErrors"] = []any{interruptedChange}
		}
	}
	placed := map[string]bool{}
	for _, entry := range pending {
		op, _ := entry.(map[string]any)
		r, _ := op["resource"].(map[string]any)
		urn, _ := r["urn"].(string)
		if id := ids[urn]; id != "" && op["type"] == "creating" && !placed[urn] {
			placed[urn] = true
			resources = insert(resources, made(r, id))
		}
	}
	State["resources"] = resources
	delete(State, "pending_operations")
	return json.Marshal(state)
}

// made is the resource that a pending create would have become, as far as its inputs tell.
func made(r map[string]any, id string) map[string]any {
	inputs, _ := r["inputs"].(map[string]any)
	outputs := withoutMarks(inputs).(map[string]any)
	if typ, _ := r["type"].(string); strings.HasPrefix(typ, "kubernetes:") {
		outputs["__inputs"] = inputs // pulumi-kubernetes takes a release without them for one that it is to import
	}
	r["id"], r["outputs"], r["initErrors"] = id, outputs, []any{InterruptedCreate}
	return r
}

// withoutMarks copies a value without what providers note for themselves, such as which inputs they filled in.
func withoutMarks(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, element := range v {
			if key != "__defaults" {
				out[key] = withoutMarks(element)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = withoutMarks(element)
		}
		return out
	}
	return value
}

// insert puts a resource among the others. Where its URN is taken, it was to replace the other one, if that differs; else it is one
// too many, made by somebody who ran Pulumi again by hand.
func insert(resources []any, r map[string]any) []any {
	at := slices.IndexFunc(resources, func(entry any) bool {
		other, _ := entry.(map[string]any)
		return other["urn"] == r["urn"] && other["delete"] != true
	})
	if at < 0 {
		return append(resources, r)
	}
	other, _ := resources[at].(map[string]any)
	switch {
	case other["pendingReplacement"] == true: // that one is deleted already
		resources[at] = r
		return resources
	case sameInputs(other["inputs"], r["inputs"]):
		r["delete"] = true
		return append(resources, r)
	}
	other["delete"] = true
	return slices.Insert(resources, at, any(r))
}

var ciphertext = regexp.MustCompile(`"ciphertext":"[^"]*"`)

// sameInputs compares two sets of inputs. Secrets count as equal: each encryption of one looks different.
func sameInputs(a, b any) bool {
	plain := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // it came out of JSON
		}
		return ciphertext.ReplaceAllString(string(text), "")
	}
	return plain(a) == plain(b)
}
