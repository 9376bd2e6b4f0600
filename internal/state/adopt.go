package state

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Adopt returns the state without its pending operations. A pending create that has an id in ids becomes a resource,
// any other is dropped. The new resources are marked until they are read. So are the resources in again, because it
// is unknown what a run made of them. The engine updates a marked resource.
func (s State) Adopt(ids map[URN]string, again []URN) State {
	s.Resources = slices.Clone(s.Resources)
	for i, r := range s.Resources {
		if slices.Contains(again, r.URN) {
			s.Resources[i].InitErrors = []string{interruptedChange}
		}
	}
	for _, r := range s.Creating() {
		if id := ids[r.URN]; id != "" {
			s.Resources = insert(s.Resources, made(r, id))
		}
	}
	s.PendingOperations = nil
	return s
}

// made returns the resource that a pending create would have become, as far as its inputs tell.
func made(r Resource, id string) Resource {
	r.ID, r.InitErrors = resource.ID(id), []string{interruptedCreate}
	r.Outputs = withoutMarks(r.Inputs)
	if strings.HasPrefix(string(r.Type), "kubernetes:") {
		r.Outputs["__inputs"] = r.Inputs // without them, pulumi-kubernetes takes a release for one that it is to import
	}
	return r
}

// withoutMarks copies inputs without what providers record for themselves, such as which inputs they filled in.
func withoutMarks(inputs map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range inputs {
		if key != "__defaults" {
			out[key] = withoutMarksIn(value)
		}
	}
	return out
}

func withoutMarksIn(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return withoutMarks(v)
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = withoutMarksIn(element)
		}
		return out
	}
	return value
}

// insert adds a resource to the others. If its URN is taken and the inputs differ, it was going to replace the other
// one. If they are equal, it is a duplicate: a run of Pulumi by hand has created it again.
func insert(resources []Resource, r Resource) []Resource {
	at := slices.IndexFunc(resources, func(other Resource) bool { return other.URN == r.URN && !other.Delete })
	switch {
	case at < 0:
		return append(resources, r)
	case resources[at].PendingReplacement: // that one is deleted already
		resources[at] = r
		return resources
	case sameInputs(resources[at].Inputs, r.Inputs):
		r.Delete = true
		return append(resources, r)
	}
	resources[at].Delete = true
	return slices.Insert(resources, at, r)
}

var ciphertext = regexp.MustCompile(`"ciphertext":"[^"]*"`)

// sameInputs compares two sets of inputs. Secrets count as equal, because every encryption of a secret looks different.
func sameInputs(a, b map[string]any) bool {
	plain := func(v map[string]any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // it came out of JSON
		}
		return ciphertext.ReplaceAllString(string(text), "")
	}
	return plain(a) == plain(b)
}
