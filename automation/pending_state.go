package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// cutOff marks a resource that was taken over into the state and not yet read from the account.
const cutOff = "its making was cut off"

// creating are the resources that a run which was killed had begun to make, each once.
func (d deployment) creating() []stateResource {
	var all []stateResource
	for _, op := range d.Pending {
		if op.Type == "creating" && !slices.ContainsFunc(all, func(r stateResource) bool { return r.URN == op.Resource.URN }) {
			all = append(all, op.Resource)
		}
	}
	return all
}

// changing are the resources in AWS that such a run had begun to change or to delete: nobody knows whether it did.
func (d deployment) changing() []string {
	var urns []string
	for _, op := range d.Pending {
		exists := slices.ContainsFunc(d.Resources, func(r stateResource) bool { return r.URN == op.Resource.URN })
		if op.Type != "creating" && exists && strings.HasPrefix(op.Resource.Type, "aws:") && !slices.Contains(urns, op.Resource.URN) {
			urns = append(urns, op.Resource.URN)
		}
	}
	return urns
}

// unread are the resources that an earlier run took over and did not get to read.
func (d deployment) unread() []string {
	var urns []string
	for _, r := range d.Resources {
		if slices.Contains(r.InitErrors, cutOff) {
			urns = append(urns, r.URN)
		}
	}
	return urns
}

// knows reports whether the state has a thing of this type and id.
func (d deployment) knows(typ, id string) bool {
	return slices.ContainsFunc(d.Resources, func(r stateResource) bool { return r.Type == typ && r.ID == id })
}

// adopt makes resources in the state of creates that were cut off and have an id in ids, by URN, and drops all such creates.
// What the account shows of the resources has to be read afterwards; until then they are marked. What else was begun is in the
// state as it was before, and only noted; the notes go.
func adopt(exported []byte, ids map[string]string) ([]byte, error) {
	state, err := decodeState(exported)
	if err != nil {
		return nil, err
	}
	deployment, _ := state["deployment"].(map[string]any)
	resources, _ := deployment["resources"].([]any)
	pending, _ := deployment["pending_operations"].([]any)
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
	deployment["resources"] = resources
	delete(deployment, "pending_operations")
	return json.Marshal(state)
}

// made is the resource that a pending create would have become, as far as its inputs tell.
func made(r map[string]any, id string) map[string]any {
	inputs, _ := r["inputs"].(map[string]any)
	outputs := withoutMarks(inputs).(map[string]any)
	if typ, _ := r["type"].(string); strings.HasPrefix(typ, "kubernetes:") {
		outputs["__inputs"] = inputs // pulumi-kubernetes takes a release without them for one that it is to import
	}
	r["id"], r["outputs"], r["initErrors"] = id, outputs, []any{cutOff}
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
