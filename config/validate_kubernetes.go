package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// kubernetesValidator validates what the user adds to the configuration of Kubernetes and containerd.
type kubernetesValidator struct {
	part
	table kubernetesTable
}

func (v kubernetesValidator) validate() {
	k := v.c.Kubernetes
	kubelet := fieldsValidator{v.part, "kubelet", ownKubelet, kubeletRules, v.table}
	proxy := fieldsValidator{v.part, "kubeProxy", ownKubeProxy, kubeProxyRules, v.table}
	kubelet.validate("", k.Kubelet)
	kubeletValidator{v.part, k.Kubelet}.validate()
	kubelet.logging(k.Kubelet)
	proxy.validate("", k.KubeProxy)
	v.kubeProxy(k.KubeProxy)
	proxy.logging(k.KubeProxy)
	for _, component := range []flagsValidator{
		{v.part, "apiServer", "kube-apiserver", k.APIServer, ownAPIServer, v.table},
		{v.part, "controllerManager", "kube-controller-manager", k.ControllerManager, ownControllerManager, v.table},
		{v.part, "scheduler", "kube-scheduler", k.Scheduler, ownScheduler, v.table},
	} {
		component.validate()
		component.leaderElection()
		component.gated()
	}
	apiServerValidator{v.part, k.APIServer, v.table}.validate()
	v.preflight(k.IgnorePreflightErrors)
	containerdValidator{v.part}.validate(k.Containerd)
}

// preflightChecks are the checks of kubeadm init, join and upgrade. Others are named after a port, a path or a service.
var preflightChecks = []string{
	"ContainerRuntimeVersion", "ControlPlaneNodesReady", "CoreDNSMigration", "CoreDNSUnsupportedPlugins", "CreateJob", "CRI",
	"Firewalld", "Hostname", "HTTPProxy", "HTTPProxyCIDR", "ImagePull", "IsPrivilegedUser", "KubeletVersion",
	"KubernetesVersion", "Mem", "NumCPU", "StaticPodManifest", "Swap", "SystemVerification",
}

// isPreflight reports whether kubeadm has a check of that name. It ignores the case of letters, and unknown names.
func isPreflight(name string) bool {
	return preflight.MatchString(name) ||
		slices.ContainsFunc(preflightChecks, func(known string) bool { return strings.EqualFold(known, name) })
}

// preflight validates the names of kubeadm's checks that may fail.
func (v kubernetesValidator) preflight(names []string) {
	for i, name := range names {
		path := fmt.Sprintf("kubernetes.ignorePreflightErrors[%d]", i)
		switch {
		case strings.EqualFold(name, "all"):
			v.fault(path, name, "would hide every fault of a host; name the checks that may fail", "NumCPU")
		case !isPreflight(name):
			example := "NumCPU"
			if near := nearest(name, preflightChecks); near != "" {
				example = fmt.Sprintf("did you mean %s?", near)
			}
			v.fault(path, name, "must be the name of a kubeadm check, as kubeadm prints it in brackets", example)
		}
	}
	v.unique("kubernetes.ignorePreflightErrors", names)
}

// fieldsValidator validates a configuration file of a Kubernetes program whose fields the user can extend.
type fieldsValidator struct {
	part
	kind       string // as in the table, and the setting below kubernetes
	own, rules map[string]string
	table      kubernetesTable
}

// validate validates the user's fields below a prefix such as "logging." by name, type and rule.
func (v fieldsValidator) validate(prefix string, fields map[string]any) {
	for _, name := range sortedKeys(fields) {
		field := prefix + name
		at, value := v.path(field), fields[name]
		typ, known := v.table[v.kind][field]
		why, owned := v.own[field]
		switch {
		case owned:
			v.fault(at, value, "cannot be set here: it "+why, "remove it")
		case v.table != nil && !known:
			v.fault(at, value, "is not a field of "+v.kind+" in Kubernetes "+v.c.Cluster.KubernetesVersion,
				v.near(prefix, name))
		case !known || value == nil: // null selects the default of Kubernetes
		default:
			v.field(field, typ, value)
		}
	}
}

// path returns the setting of a field such as "logging.format" or "vmodule[].verbosity".
func (v fieldsValidator) path(field string) string {
	return "kubernetes." + v.kind + "." + field
}

// near returns a question with the field most similar to an unknown one, or an example of a field.
func (v fieldsValidator) near(prefix, name string) string {
	var siblings []string
	for field := range v.table[v.kind] {
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
func (v fieldsValidator) field(field, typ string, value any) {
	at := v.path(field)
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
					v.scalar(field, child(at, key), element, object[key])
				}
			}
			v.namedValues(field, object)
		} else {
			v.validate(field+".", object)
		}
	case typ == "list" || isList:
		list, ok := value.([]any)
		if !ok {
			v.fault(at, value, "must be a list", fmt.Sprintf("[%v]", value))
			return
		}
		for i, one := range list {
			if object, ok := one.(map[string]any); ok && typ == "list" {
				v.validate(field+"[].", object)
			} else if typ == "list" {
				v.fault(fmt.Sprintf("%s[%d]", at, i), one, "must be a mapping", "{key: value}")
			} else {
				v.scalar(field, fmt.Sprintf("%s[%d]", at, i), item, one)
			}
		}
		v.namedItems(field, list)
	default:
		v.scalar(field, at, typ, value)
	}
}

// scalar validates a single value by its type and by the rule of its field.
func (v fieldsValidator) scalar(field, at, typ string, value any) {
	read, reason, example := fieldValue(typ, value)
	if strings.HasPrefix(reason, "must be a whole number") {
		example = exampleNumber(at, example)
	}
	if reason == "" && v.rules[field] != "" {
		reason, example = ruleFault(v.rules[field], read), "remove it to take the default"
	}
	if reason != "" {
		v.fault(at, value, reason, example)
	}
}

// flagsValidator validates the flags of a program of the control plane. The user can add flags.
type flagsValidator struct {
	part
	kind, program string // kind as in the table, and the setting below kubernetes
	flags, own    map[string]string
	table         kubernetesTable
}

// validate validates the user's flags by name, type and rule.
func (v flagsValidator) validate() {
	for _, name := range sortedKeys(v.flags) {
		at, value := child("kubernetes."+v.kind, name), v.flags[name]
		typ, known := v.table[v.kind][name]
		bare := strings.TrimLeft(name, "-")
		why := ownFlag(name, v.own)
		switch {
		case bare != name:
			v.fault(at, value, "is written without the dashes", bare+": value")
		case !flagName.MatchString(name):
			v.fault(at, value, "is not the name of a flag: lowercase letters, digits and dashes", `max-requests-inflight: "600"`)
		case why != "":
			v.fault(at, value, "cannot be set here: it "+why, "remove it")
		case v.table != nil && !known:
			example := "a flag that " + v.program + " --help shows"
			if near := nearest(name, sortedKeys(v.table[v.kind])); near != "" {
				example = fmt.Sprintf("did you mean %s?", near)
			}
			v.fault(at, value, "is not a flag of "+v.program+" in Kubernetes "+v.c.Cluster.KubernetesVersion, example)
		case known:
			v.flag(at, name, typ, value)
		}
	}
}

// flag validates the value of one flag.
func (v flagsValidator) flag(at, name, typ, text string) {
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
	} else if reason != "" {
		example = fittingFlag(typ, rule, example)
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
		reason, example = v.table.gatesFault(items), `"ContextualLogging=true"`
	case name == "runtime-config":
		reason, example = runtimeConfigFault(items), `"api/beta=true"`
	case name == "show-hidden-metrics-for-version":
		reason, example = hiddenMetricsFault(text, v.c.Cluster.KubernetesVersion)
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
