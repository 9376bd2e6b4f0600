package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// itemRule is the pattern that every item of a list in a flag must match.
type itemRule struct {
	pattern         *regexp.Regexp
	reason, example string
}

// itemRules are the rules of lists by the name of the flag, in every component.
var itemRules = map[string]itemRule{
	"disabled-metrics": {regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`), "must be full names of metrics",
		`"apiserver_request_total"`},
	"strict-transport-security-directives": {regexp.MustCompile(`^(max-age=[0-9]+|includeSubDomains|preload)$`),
		"must be max-age with seconds, includeSubDomains or preload", `"max-age=31536000,includeSubDomains"`},
	"watch-cache-sizes": {regexp.MustCompile(`^[a-z0-9.-]+#[0-9]+$`), "must be resources with a size each",
		`"pods#1000,events#100"`},
}

// itemsFault returns which rule an item violates, or "".
func itemsFault(flag string, items []string) (reason, example string) {
	rule, ok := itemRules[flag]
	if ok && slices.ContainsFunc(items, func(item string) bool { return !rule.pattern.MatchString(item) }) {
		return rule.reason, rule.example
	}
	return "", ""
}

// metricLabels matches a metric, a label of it and the label's allowed values.
var metricLabels = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*,[a-zA-Z_][a-zA-Z0-9_]*=.*$`)

// apiVersion matches a key of runtime-config: a group and version, with a resource if it has one.
var apiVersion = regexp.MustCompile(`^[a-z0-9.-]+/[a-z0-9]+(/[a-z]+)?$`)

// hiddenMetricsFault refuses any release but the one before the cluster's: only its metrics can be shown again.
func hiddenMetricsFault(text, version string) (reason, example string) {
	numbers := releaseNumbers(version)
	before := fmt.Sprintf("%d.%d", numbers[0], numbers[1]-1)
	return reasonIf(numbers[1] > 0 && text != "" && text != before, "must be the release before the cluster's, "+before),
		strconv.Quote(before)
}

// logging refuses settings of logs that the kubelet and kube-proxy refuse when they start.
func (v fieldsValidator) logging(fields map[string]any) {
	logging, _ := fields["logging"].(map[string]any)
	gates, _ := fields["featureGates"].(map[string]any)
	if options, ok := logging["options"].(map[string]any); ok && len(options) > 0 && gates[alphaLogs] != true {
		v.fault(v.path("logging.options"), options, "needs the feature gate "+alphaLogs,
			fmt.Sprintf("featureGates: {%s: true} with it", alphaLogs))
	}
	list, _ := logging["vmodule"].([]any)
	for i, item := range list {
		object, _ := item.(map[string]any)
		pattern, _ := object["filePattern"].(string)
		at := fmt.Sprintf("%s[%d]", v.path("logging.vmodule"), i)
		switch {
		case pattern == "" || strings.ContainsAny(pattern, "=,"):
			v.fault(at, item, "needs a filePattern without an equals sign and without a comma",
				`filePattern: "kubelet*"`)
		case logging["format"] == "json":
			v.fault(at, item, "works with logging.format: text only", "remove it")
		}
	}
	if text, ok := fields["showHiddenMetricsForVersion"].(string); ok {
		if reason, example := hiddenMetricsFault(text, v.c.Cluster.KubernetesVersion); reason != "" {
			v.fault(v.path("showHiddenMetricsForVersion"), text, reason, example)
		}
	}
}

// alphaLogs is the feature gate of flags and fields about the streams of logs.
const alphaLogs = "LoggingAlphaOptions"

// alphaLogFlag reports whether a flag needs that gate.
func alphaLogFlag(name string) bool {
	return strings.HasPrefix(name, "log-json-") || strings.HasPrefix(name, "log-text-")
}

// gated refuses flags whose feature gate is not on.
func (v flagsValidator) gated() {
	for _, name := range sortedKeys(v.flags) {
		if alphaLogFlag(name) && !slices.Contains(csvItems(v.flags["feature-gates"]), alphaLogs+"=true") {
			v.fault(child("kubernetes."+v.kind, name), v.flags[name], "needs the feature gate "+alphaLogs,
				fmt.Sprintf(`feature-gates: "%s=true" with it`, alphaLogs))
		}
	}
}

// gatedFields are fields of the kubelet that need a feature gate. The gate is on by default from the minor release.
var gatedFields = []struct {
	field string
	free  any // the value that needs no gate
	gate  string
	since int
}{
	{"cpuCFSQuotaPeriod", "100ms", "CustomCPUCFSQuotaPeriod", 36},
	{"enableSystemLogQuery", false, "NodeLogQuery", 36},
}

// gated refuses fields whose feature gate is off in the cluster's release.
func (v kubeletValidator) gated() {
	k := v.fields
	minor := releaseNumbers(v.c.Cluster.KubernetesVersion)[1]
	for _, f := range gatedFields {
		on, set := k.mapping("featureGates")[f.gate].(bool)
		if !set {
			on = minor >= f.since
		}
		if value := k[f.field]; value != nil && value != f.free && !on {
			v.fault("kubernetes.kubelet."+f.field, value, "needs the feature gate "+f.gate,
				fmt.Sprintf("featureGates: {%s: true} with it", f.gate))
		}
	}
}

// releaseNumbers returns the three numbers of a release such as 1.36.3; zeros for a text that is not one.
func releaseNumbers(version string) []int {
	numbers := make([]int, 3)
	if parts := strings.SplitN(version, ".", len(numbers)); len(parts) == len(numbers) {
		for i, text := range parts {
			numbers[i], _ = strconv.Atoi(text)
		}
	}
	return numbers
}

// idsUnit is the smallest range of user ids of a pod, and every range is a multiple of it.
const idsUnit = 65536

// rareFields checks fields of the kubelet whose rule is not a range and not a list.
func (v kubeletValidator) rareFields() {
	k := v.fields
	const at = "kubernetes.kubelet."
	if n, ok := k.mapping("userNamespaces")["idsPerPod"].(int); ok && (n < idsUnit || n%idsUnit != 0 || n >= 1<<32) {
		v.fault(at+"userNamespaces.idsPerPod", n, fmt.Sprintf("must be a multiple of %d", idsUnit), strconv.Itoa(idsUnit))
	}
	const never = "NeverVerifyAllowlistedImages"
	if len(k.list("preloadedImagesVerificationAllowlist")) > 0 &&
		k.text("imagePullCredentialsVerificationPolicy") != never {
		v.fault(at+"preloadedImagesVerificationAllowlist", k["preloadedImagesVerificationAllowlist"],
			"needs imagePullCredentialsVerificationPolicy: "+never, "that policy with it")
	}
	if endpoint, ok := k.mapping("tracing")["endpoint"].(string); ok {
		whole := endpoint
		if !strings.Contains(whole, "//") {
			whole = "dns://" + whole
		}
		u, err := url.Parse(whole)
		if err != nil || !slices.Contains([]string{"dns", "unix", "unix-abstract"}, u.Scheme) {
			v.fault(at+"tracing.endpoint", endpoint, "must be a host and a port, or begin with dns:// or unix://",
				"localhost:4317")
		}
	}
}
