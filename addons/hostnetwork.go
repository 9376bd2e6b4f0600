package addons

import "strings"

// onHostNetwork returns a priority class name that puts a pod on its host's network. Some charts have no setting for
// that, but a pod that uses the instance's role needs it: the metadata service answers within one hop only. Those
// charts write the class into the pod without quoting, so the lines after it become fields of the pod. indent is the
// column of priorityClassName in the chart's template.
func onHostNetwork(class string, indent int) string {
	margin := "\n" + strings.Repeat(" ", indent)
	return class + margin + "hostNetwork: true" + margin + "dnsPolicy: ClusterFirstWithHostNet"
}
