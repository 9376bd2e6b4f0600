package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (v *validator) kubernetes() {
	k := v.c.Kubernetes
	table := tableOf(v.c.Cluster.KubernetesVersion)
	kubelet := configurationFile{kind: "kubelet", own: ownKubelet, rules: kubeletRules, table: table}
	proxy := configurationFile{kind: "kubeProxy", own: ownKubeProxy, rules: kubeProxyRules, table: table}
	v.fields(kubelet, "", k.Kubelet)
	v.kubelet(k.Kubelet)
	v.logging(kubelet, k.Kubelet)
	v.fields(proxy, "", k.KubeProxy)
	v.kubeProxy(k.KubeProxy)
	v.logging(proxy, k.KubeProxy)
	for _, c := range []component{
		{"apiServer", "kube-apiserver", k.APIServer, ownAPIServer},
		{"controllerManager", "kube-controller-manager", k.ControllerManager, ownControllerManager},
		{"scheduler", "kube-scheduler", k.Scheduler, ownScheduler},
	} {
		v.flags(c, table)
		v.leaderElection(c)
		v.gated(c)
	}
	v.apiServer(k.APIServer, table)
	for i, name := range k.IgnorePreflightErrors {
		path := fmt.Sprintf("kubernetes.ignorePreflightErrors[%d]", i)
		switch {
		case strings.EqualFold(name, "all"):
			v.fault(path, name, "would hide every fault of a host; name the checks that may fail", "NumCPU")
		case !preflight.MatchString(name):
			v.fault(path, name, "must be the name of a kubeadm check, as kubeadm prints it in brackets", "NumCPU")
		}
	}
	v.unique("kubernetes.ignorePreflightErrors", k.IgnorePreflightErrors)
	v.containerd(k.Containerd)
}

// configurationFile is a configuration type of a Kubernetes program whose fields the user can extend.
type configurationFile struct {
	kind       string // as in the table, and the setting below kubernetes
	own, rules map[string]string
	table      kubernetesTable
}

// fields validates the user's fields below a prefix such as "logging." by name, type and rule.
func (v *validator) fields(f configurationFile, prefix string, fields map[string]any) {
	for _, name := range sortedKeys(fields) {
		field := prefix + name
		at, value := v.fieldPath(f, field), fields[name]
		typ, known := f.table[f.kind][field]
		why, owned := f.own[field]
		switch {
		case owned:
			v.fault(at, value, "cannot be set here: it "+why, "remove it")
		case f.table != nil && !known:
			v.fault(at, value, "is not a field of "+f.kind+" in Kubernetes "+v.c.Cluster.KubernetesVersion,
				v.nearField(f, prefix, name))
		case !known || value == nil: // null selects the default of Kubernetes
		default:
			v.field(f, field, typ, value)
		}
	}
}

// fieldPath returns the setting of a field such as "logging.format" or "vmodule[].verbosity".
func (v *validator) fieldPath(f configurationFile, field string) string {
	return "kubernetes." + f.kind + "." + field
}

// nearField returns a question with the field most similar to an unknown one, or an example of a field.
func (v *validator) nearField(f configurationFile, prefix, name string) string {
	var siblings []string
	for field := range f.table[f.kind] {
		if rest, ok := strings.CutPrefix(field, prefix); ok && !strings.Contains(rest, ".") {
			siblings = append(siblings, rest)
		}
	}
	slices.Sort(siblings)
	if near := nearest(camelCase(name), siblings); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "a field of the configuration file, such as maxPods; command line flags have other names"
}

// camelCase converts the name of a flag to that of a field: max-pods to maxPods.
func camelCase(name string) string {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' })
	for i, part := range parts {
		if i > 0 {
			parts[i] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "")
}

// field validates one value and everything below an object, a mapping or a list.
func (v *validator) field(f configurationFile, field, typ string, value any) {
	at := v.fieldPath(f, field)
	item, isList := strings.CutPrefix(typ, "[]")
	element, isMap := strings.CutPrefix(typ, "map:")
	switch {
	case typ == "object" || isMap:
		object, ok := value.(map[string]any)
		if !ok {
			v.fault(at, value, "must be a mapping", last(field)+": {key: value}")
		} else if isMap {
			for _, key := range sortedKeys(object) {
				if object[key] != nil {
					v.scalar(f, field, child(at, key), element, object[key])
				}
			}
			v.namedValues(f, field, object)
		} else {
			v.fields(f, field+".", object)
		}
	case typ == "list" || isList:
		list, ok := value.([]any)
		if !ok {
			v.fault(at, value, "must be a list", fmt.Sprintf("[%v]", value))
			return
		}
		for i, one := range list {
			if object, ok := one.(map[string]any); ok && typ == "list" {
				v.fields(f, field+"[].", object)
			} else if typ == "list" {
				v.fault(fmt.Sprintf("%s[%d]", at, i), one, "must be a mapping", "{key: value}")
			} else {
				v.scalar(f, field, fmt.Sprintf("%s[%d]", at, i), item, one)
			}
		}
		v.namedItems(f, field, list)
	default:
		v.scalar(f, field, at, typ, value)
	}
}

// scalar validates a single value by its type and by the rule of its field.
func (v *validator) scalar(f configurationFile, field, at, typ string, value any) {
	read, reason, example := fieldValue(typ, value)
	if reason == "" && f.rules[field] != "" {
		reason, example = ruleFault(f.rules[field], read), "remove it to take the default"
	}
	if reason != "" {
		v.fault(at, value, reason, example)
	}
}

// component is a program of the control plane whose flags the user can extend.
type component struct {
	kind, program string // kind as in the table, and the setting below kubernetes
	flags, own    map[string]string
}

// flags validates the user's flags by name, type and rule.
func (v *validator) flags(c component, table kubernetesTable) {
	for _, name := range sortedKeys(c.flags) {
		at, value := child("kubernetes."+c.kind, name), c.flags[name]
		typ, known := table[c.kind][name]
		bare := strings.TrimLeft(name, "-")
		why := ownFlag(name, c.own)
		switch {
		case bare != name:
			v.fault(at, value, "is written without the dashes", bare+": value")
		case !flagName.MatchString(name):
			v.fault(at, value, "is not the name of a flag: lowercase letters, digits and dashes", `max-requests-inflight: "600"`)
		case why != "":
			v.fault(at, value, "cannot be set here: it "+why, "remove it")
		case table != nil && !known:
			example := "a flag that " + c.program + " --help shows"
			if near := nearest(name, sortedKeys(table[c.kind])); near != "" {
				example = fmt.Sprintf("did you mean %s?", near)
			}
			v.fault(at, value, "is not a flag of "+c.program+" in Kubernetes "+v.c.Cluster.KubernetesVersion, example)
		case known:
			v.flag(at, name, typ, value, table)
		}
	}
}

// flag validates the value of one flag.
func (v *validator) flag(at, name, typ, text string, table kubernetesTable) {
	if name == "allow-metric-labels" { // its pairs have a comma before the equals sign
		if !metricLabels.MatchString(text) {
			v.fault(at, text, "must be a metric, a label of it and its values", `"apiserver_request_total,verb=GET"`)
		}
		return
	}
	read, reason, example := flagValue(typ, text)
	rule := flagRules[name]
	if rule == "" && strings.HasPrefix(name, "concurrent-") {
		rule = concurrentRule
	}
	if rule == "" && (strings.HasSuffix(name, "sync-period") || strings.HasSuffix(name, "reconciliation-period")) {
		rule = "1s.." // a loop without a pause
	}
	if reason == "" && rule != "" {
		reason, example = ruleFault(rule, read), "remove it to take the default"
	}
	items, _ := read.([]string)
	period, _ := read.(time.Duration)
	switch {
	case reason != "":
	case period < 0:
		reason, example = "must not be negative", `"30s"`
	case name == "tls-cipher-suites":
		reason, example = cipherFault(items), "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
	case name == "feature-gates":
		reason, example = table.gatesFault(items), `"ContextualLogging=true"`
	case name == "runtime-config":
		reason, example = runtimeConfigFault(items), `"api/beta=true"`
	case name == "show-hidden-metrics-for-version":
		reason, example = v.hiddenMetricsFault(text)
	default:
		reason, example = itemsFault(name, items)
	}
	if reason != "" {
		v.fault(at, text, reason, example)
	}
}

// gatesFault returns what is wrong with the feature gates of a flag, or "".
func (t kubernetesTable) gatesFault(pairs []string) string {
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair[strings.LastIndex(pair, ":")+1:], "=")
		if value != "true" && value != "false" {
			return fmt.Sprintf("must say true or false for %s", name)
		}
		if fault := t.gateFault(name, value == "true"); fault != "" {
			return fault
		}
	}
	return ""
}

// runtimeConfigFault refuses to disable API versions that the platform may need.
func runtimeConfigFault(pairs []string) string {
	for _, pair := range pairs {
		if name, value, _ := strings.Cut(pair, "="); value != "true" && value != "false" {
			return fmt.Sprintf("must say true or false for %s", name)
		} else if !apiVersion.MatchString(name) {
			return fmt.Sprintf("names %q, which is not a group with its version", name)
		} else if value == "false" && !strings.Contains(name, "alpha") && !strings.Contains(name, "beta") {
			return fmt.Sprintf("must not switch off %s: the control plane and the add-ons need it", name)
		}
	}
	return ""
}
