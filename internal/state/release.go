package state

import "strings"

// ReleaseType is the type of a Helm release.
const ReleaseType = "kubernetes:helm.sh/v3:Release"

// Release names a Helm release.
type Release struct{ Namespace, Name string }

func (r Release) String() string { return r.Namespace + "/" + r.Name }

// ReleaseIn returns the name of a release from the inputs of its resource.
func ReleaseIn(inputs map[string]any) Release {
	name, _ := inputs["name"].(string)
	namespace, _ := inputs["namespace"].(string)
	return Release{namespace, name}
}

// ReleaseStatus returns the status of a release in Helm's words, such as "deployed"; empty for any other resource.
func ReleaseStatus(r Resource) string {
	if r.Type != ReleaseType {
		return ""
	}
	status, _ := r.Outputs["status"].(map[string]any)
	text, _ := status["status"].(string)
	return text
}

// IsTerminating reports whether the cluster is deleting an object.
func IsTerminating(r Resource) bool {
	metadata, _ := r.Outputs["metadata"].(map[string]any)
	return strings.HasPrefix(string(r.Type), "kubernetes:") && metadata["deletionTimestamp"] != nil
}
