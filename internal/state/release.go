package state

import "strings"

// ReleaseType is the type of a Helm release.
const ReleaseType = "kubernetes:helm.sh/v3:Release"

// Release names a Helm release.
type Release struct{ Namespace, Name string }

func (r Release) String() string { return r.Namespace + "/" + r.Name }

// Release is the name of a release in the state.
func (r Resource) Release() Release {
	name, _ := r.Inputs["name"].(string)
	namespace, _ := r.Inputs["namespace"].(string)
	return Release{namespace, name}
}

// Status is that of a Helm release, in Helm's words.
func (r Resource) Status() string {
	if r.Type != ReleaseType {
		return ""
	}
	status, _ := r.Outputs["status"].(map[string]any)
	text, _ := status["status"].(string)
	return text
}

// Terminating reports whether the cluster is deleting an object.
func (r Resource) Terminating() bool {
	metadata, _ := r.Outputs["metadata"].(map[string]any)
	return strings.HasPrefix(r.Type, "kubernetes:") && metadata["deletionTimestamp"] != nil
}
