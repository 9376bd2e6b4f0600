package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// programKubelet are the program's values of kubelet fields that the user's fields can contradict. A test compares
// them with those that package cluster writes.
var programKubelet = map[string]any{
	"maxParallelImagePulls": 4, "serializeImagePulls": false, "shutdownGracePeriod": "45s",
	"shutdownGracePeriodCriticalPods": "15s",
	"systemReserved":                  map[string]any{"cpu": "100m", "memory": "256Mi"},
}

// kubeletDefaults are the kubelet's defaults of such fields.
var kubeletDefaults = map[string]any{
	"imageGCHighThresholdPercent": 85, "imageGCLowThresholdPercent": 80, "imageMinimumGCAge": "2m",
	"imageMaximumGCAge": "0s",
	"cgroupsPerQOS":     true, "enableSystemLogHandler": true,
}

// kubeletFields are the user's fields. Its methods read them as the kubelet does: the user's value, else the program's,
// else the default.
type kubeletFields map[string]any

func (k kubeletFields) value(name string) any {
	if v, ok := k[name]; ok && v != nil {
		return v
	}
	if v, ok := programKubelet[name]; ok && !k.removed(name) {
		return v
	}
	return kubeletDefaults[name]
}

// removed reports whether the user removed one of the program's fields with null.
func (k kubeletFields) removed(name string) bool {
	v, ok := k[name]
	return ok && v == nil
}

func (k kubeletFields) duration(name string) time.Duration {
	text, _ := k.value(name).(string)
	d, _ := time.ParseDuration(text)
	return d
}

func (k kubeletFields) number(name string) int {
	n, _ := k.value(name).(int)
	return n
}

func (k kubeletFields) text(name string) string {
	s, _ := k.value(name).(string)
	return s
}

func (k kubeletFields) mapping(name string) map[string]any {
	m, _ := k[name].(map[string]any)
	return m
}

func (k kubeletFields) list(name string) []any {
	l, _ := k[name].([]any)
	return l
}

// kubeletValidator validates fields of the kubelet that depend on each other.
type kubeletValidator struct {
	part
	fields kubeletFields
}

// validate refuses fields that contradict each other. The kubelet would not start with them.
func (v kubeletValidator) validate() {
	k := v.fields
	refuse := func(field, reason, example string) {
		v.fault("kubernetes.kubelet."+field, k[field], reason, example)
	}
	if k.number("imageGCLowThresholdPercent") >= k.number("imageGCHighThresholdPercent") {
		refuse(k.written("imageGCLowThresholdPercent", "imageGCHighThresholdPercent"),
			fmt.Sprintf("must leave imageGCLowThresholdPercent, %d, below imageGCHighThresholdPercent, %d",
				k.number("imageGCLowThresholdPercent"), k.number("imageGCHighThresholdPercent")), "80 and 85")
	}
	if maximum := k.duration("imageMaximumGCAge"); maximum > 0 && maximum <= k.duration("imageMinimumGCAge") {
		refuse(k.written("imageMaximumGCAge", "imageMinimumGCAge"),
			"must leave imageMaximumGCAge longer than imageMinimumGCAge, "+k.duration("imageMinimumGCAge").String(),
			"24h and 2m")
	}
	if k.value("serializeImagePulls") == true && k.number("maxParallelImagePulls") > 1 {
		refuse(k.written("serializeImagePulls", "maxParallelImagePulls"),
			fmt.Sprintf("contradicts maxParallelImagePulls, which is %d", k.number("maxParallelImagePulls")),
			"maxParallelImagePulls: 1 with it")
	}
	if size := k.text("containerLogMaxSize"); size != "" && !quantity.MatchString(size) {
		refuse("containerLogMaxSize", "must be an amount such as 20Mi", `"20Mi"`)
	}
	if cpus := k.text("reservedSystemCPUs"); cpus != "" {
		if _, count := cpusOf(cpus); count == 0 {
			refuse("reservedSystemCPUs", "must be numbers of CPUs and ranges of them", `"0-1,4"`)
		}
	}
	v.shutdown()
	v.soft()
	v.nodeMonitor()
	v.reserved()
	v.keptDisk()
	v.pods()
	v.rareFields()
	v.gated()
	if k.text("systemCgroups") != "" {
		refuse("systemCgroups", "needs cgroupRoot, which systemd makes", "remove it")
	}
	if options := k.mapping("cpuManagerPolicyOptions"); len(options) > 0 && k.text("cpuManagerPolicy") != "static" {
		refuse("cpuManagerPolicyOptions", "needs cpuManagerPolicy: static", "cpuManagerPolicy: static with it")
	}
	if k.value("enableSystemLogQuery") == true && k.value("enableSystemLogHandler") != true {
		refuse("enableSystemLogQuery", "needs enableSystemLogHandler", "enableSystemLogHandler: true with it")
	}
}

const (
	// minNodePods is more than the platform runs on a node: the control plane has about twenty pods.
	minNodePods = 25
	// minPodPIDs is the number of processes that an agent of the platform needs.
	minPodPIDs = 256
)

// pods checks the number of pods on a node, and of processes in a pod.
func (v kubeletValidator) pods() {
	k := v.fields
	if n, ok := k["maxPods"].(int); ok && n < minNodePods && v.c.Cluster.CNI == "calico" {
		v.fault("kubernetes.kubelet.maxPods", n,
			fmt.Sprintf("must be %d or more: the pods of the platform need a place on every node", minNodePods), "110")
	}
	if n, ok := k["podPidsLimit"].(int); ok && n > 0 && n < minPodPIDs {
		v.fault("kubernetes.kubelet.podPidsLimit", n,
			fmt.Sprintf("must be %d or more, or -1 for no limit: a pod with fewer processes does not start", minPodPIDs), "4096")
	}
}

// nodeMonitor checks that a node reports more than once before the controller manager considers it lost.
func (v kubeletValidator) nodeMonitor() {
	k := v.fields
	const path = "kubernetes.controllerManager.node-monitor-grace-period"
	flags := v.c.Kubernetes.ControllerManager
	grace := periodOf(any(flags["node-monitor-grace-period"]), 50*time.Second)
	period := periodOf(any(flags["node-monitor-period"]), 5*time.Second)
	report := periodOf(k["nodeStatusUpdateFrequency"], 10*time.Second)
	if flags["node-monitor-grace-period"] != "" || flags["node-monitor-period"] != "" ||
		k["nodeStatusUpdateFrequency"] != nil {
		if grace < 2*report || grace <= period {
			v.fault(path, flags["node-monitor-grace-period"], fmt.Sprintf(
				"is %s: it must be twice the kubelet's nodeStatusUpdateFrequency (%s) or more, and longer than "+
					"node-monitor-period (%s), or running nodes are considered lost",
				grace, report, period), max(4*report, 2*period).String())
		}
	}
}

// written returns the one of two fields that the user set, or the first if both are set.
func (k kubeletFields) written(first, second string) string {
	if _, ok := k[first]; ok {
		return first
	}
	return second
}

// shutdown checks the grace periods of a node's shutdown.
func (v kubeletValidator) shutdown() {
	k := v.fields
	const all, critical, byPriority = "shutdownGracePeriod", "shutdownGracePeriodCriticalPods",
		"shutdownGracePeriodByPodPriority"
	for _, name := range []string{all, critical} {
		if d := k.duration(name); d > 0 && d < time.Second {
			v.fault("kubernetes.kubelet."+name, k[name], "must be 0s or at least 1s", `"45s"`)
		}
	}
	if k.duration(critical) > k.duration(all) {
		v.fault("kubernetes.kubelet."+k.written(all, critical), k[k.written(all, critical)],
			fmt.Sprintf("must leave %s, %s, within %s, %s", critical, k.duration(critical), all, k.duration(all)),
			`shutdownGracePeriod: "45s" and shutdownGracePeriodCriticalPods: "15s"`)
	}
	if len(k.list(byPriority)) > 0 && (k.duration(all) > 0 || k.duration(critical) > 0) {
		v.fault("kubernetes.kubelet."+byPriority, k[byPriority], "contradicts "+all+", which the program sets",
			`shutdownGracePeriod: "0s" and shutdownGracePeriodCriticalPods: "0s" with it`)
	}
}

// soft checks that every soft threshold has a grace period.
func (v kubeletValidator) soft() {
	k := v.fields
	grace := k.mapping("evictionSoftGracePeriod")
	for _, signal := range sortedKeys(k.mapping("evictionSoft")) {
		if _, ok := grace[signal]; !ok {
			v.fault(child("kubernetes.kubelet.evictionSoft", signal), k.mapping("evictionSoft")[signal],
				"has no grace period, and the kubelet does not start without one",
				fmt.Sprintf(`evictionSoftGracePeriod: {%s: "90s"} with it`, signal))
		}
	}
}

// reserved checks the resources reserved for the system.
func (v kubeletValidator) reserved() {
	k := v.fields
	fault := func(field, reason, example string) {
		v.fault("kubernetes.kubelet."+field, k[field], reason, example)
	}
	if k.text("cpuManagerPolicy") == "static" && k.text("reservedSystemCPUs") == "" && !k.reserves("cpu") {
		fault("cpuManagerPolicy",
			"needs CPUs that are reserved, and systemReserved.cpu, kubeReserved.cpu and reservedSystemCPUs have none",
			`systemReserved: {cpu: "500m"} with it`)
	}
	if k.text("memoryManagerPolicy") == "Static" && len(k.list("reservedMemory")) == 0 {
		fault("memoryManagerPolicy", "needs reservedMemory for each NUMA node, as much as is reserved and evicted at", "None")
	}
	if k.text("memoryManagerPolicy") != "Static" && len(k.list("reservedMemory")) > 0 {
		fault("reservedMemory", "needs memoryManagerPolicy: Static", "remove it")
	}
	if k.text("reservedSystemCPUs") != "" && (k.text("systemReservedCgroup") != "" || k.text("kubeReservedCgroup") != "") {
		fault("reservedSystemCPUs", "contradicts systemReservedCgroup and kubeReservedCgroup", "remove one of the two")
	}
	enforce := k.list("enforceNodeAllocatable")
	for _, e := range []struct{ item, cgroup string }{{"system-reserved", "systemReservedCgroup"},
		{"kube-reserved", "kubeReservedCgroup"}} {
		full, compressible := slices.Contains(enforce, any(e.item)), slices.Contains(enforce, any(e.item+"-compressible"))
		if (full || compressible) && k.text(e.cgroup) == "" {
			fault("enforceNodeAllocatable", fmt.Sprintf("holds %s, which needs %s", e.item, e.cgroup), "[pods]")
		} else if full && compressible {
			fault("enforceNodeAllocatable",
				fmt.Sprintf("holds %s and %s-compressible, which exclude each other", e.item, e.item), "[pods]")
		}
	}
	if len(enforce) > 0 && !slices.Contains(enforce, "none") && k.value("cgroupsPerQOS") != true {
		fault("enforceNodeAllocatable", "needs cgroupsPerQOS: true", "[none]")
	}
	if _, ok := k["enforceNodeAllocatable"]; !ok && k.value("cgroupsPerQOS") != true {
		fault("cgroupsPerQOS", "must be true while enforceNodeAllocatable is not [none]",
			"enforceNodeAllocatable: [none] with it")
	}
}

// reserves reports whether any amount of a resource is reserved for the system or Kubernetes.
func (k kubeletFields) reserves(resource string) bool {
	for _, field := range []string{"systemReserved", "kubeReserved"} {
		amounts := map[string]any{}
		if own, ok := programKubelet[field].(map[string]any); ok && !k.removed(field) {
			amounts[resource] = own[resource]
		}
		if written, ok := k.mapping(field)[resource]; ok {
			amounts[resource] = written
		}
		if text := fmt.Sprint(amounts[resource]); amounts[resource] != nil && strings.Trim(text, "0m.") != "" {
			return true
		}
	}
	return false
}

// keysOf are the keys that a mapping of the kubelet may have, by field.
var keysOf = func() map[string][]string {
	signals := []string{
		"memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
		"containerfs.available", "containerfs.inodesFree", "allocatableMemory.available", "pid.available",
	}
	resources := []string{"cpu", "memory", "ephemeral-storage", "pid"}
	return map[string][]string{
		"evictionHard": signals, "evictionSoft": signals, "evictionSoftGracePeriod": signals,
		"evictionMinimumReclaim": signals,
		"systemReserved":         resources, "kubeReserved": resources, "qosReserved": {"memory"},
		"cpuManagerPolicyOptions": {
			"full-pcpus-only", "distribute-cpus-across-numa", "align-by-socket", "distribute-cpus-across-cores",
			"strict-cpu-reservation", "prefer-align-cpus-by-uncorecache",
		},
		"topologyManagerPolicyOptions": {"prefer-closest-numa-nodes", "max-allowable-numa-nodes"},
	}
}()

var percentage = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?)%$`)

// namedValues validates names and values of mappings: feature gates, eviction thresholds, reserved resources.
func (v fieldsValidator) namedValues(field string, object map[string]any) {
	at := v.path(field)
	for _, name := range sortedKeys(object) {
		value := object[name]
		if on, ok := value.(bool); ok && field == "featureGates" && v.table != nil {
			if fault := v.table.gateFault(name, on); fault != "" {
				v.fault(child(at, name), value, fault, "remove it")
			}
		}
		known, limited := keysOf[field]
		text, isText := value.(string)
		if !limited || v.kind != "kubelet" {
			continue
		}
		if !slices.Contains(known, name) {
			example := "one of " + strings.Join(known, ", ")
			if near := nearest(name, known); near != "" {
				example = fmt.Sprintf("did you mean %s?", near)
			}
			v.fault(child(at, name), value, "is not a name that the kubelet knows there", example)
			continue
		}
		if reason, example := amountFault(field, text); isText && reason != "" {
			v.fault(child(at, name), value, reason, example)
		}
	}
}

// amountFault returns what is wrong with a threshold, a grace period or a reserved amount.
func amountFault(field, text string) (reason, example string) {
	percent := percentage.FindStringSubmatch(text)
	isQuantity := quantity.MatchString(text) && !strings.HasPrefix(text, "-")
	switch field {
	case "evictionHard", "evictionSoft", "evictionMinimumReclaim":
		if percent != nil {
			n, _ := strconv.ParseFloat(percent[1], 64)
			return reasonIf(n > 100 || n == 0 && field != "evictionHard", "must be a part from 0% to 100%"), `"5%"`
		}
		if zero := strings.Trim(strings.TrimRight(text, "numkKMGTPEi"), "0.") == ""; isQuantity && zero &&
			field != "evictionMinimumReclaim" {
			return "must be more than 0: the kubelet does not start with it", `"0%", which switches the threshold off`
		}
		return reasonIf(!isQuantity, "must be an amount such as 200Mi or a part such as 5%"), `"5%"`
	case "evictionSoftGracePeriod":
		d, err := time.ParseDuration(text)
		return reasonIf(err != nil || d < 0, "must be a duration with its unit"), `"90s"`
	case "systemReserved", "kubeReserved":
		return reasonIf(!isQuantity, "must be an amount such as 500m or 256Mi"), `"256Mi"`
	case "qosReserved":
		return reasonIf(percent == nil, "must be a part such as 50%"), `"50%"`
	}
	return "", ""
}

// namedItems validates the items of lists.
func (v fieldsValidator) namedItems(field string, list []any) {
	at := v.path(field)
	var names []string
	for _, item := range list {
		if text, ok := item.(string); ok {
			names = append(names, text)
		}
	}
	switch field {
	case "tlsCipherSuites":
		if fault := cipherFault(names); fault != "" {
			v.fault(at, list, fault, "[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]")
		}
	case "allowedUnsafeSysctls":
		for i, name := range names {
			if !namespacedSysctl.MatchString(name) {
				v.fault(fmt.Sprintf("%s[%d]", at, i), name, "is not a sysctl that a pod can have of its own, and the kubelet does not "+
					"start with it", "net.core.somaxconn, net.ipv4.*, fs.mqueue.*, kernel.shm*, kernel.msg* or kernel.sem")
			}
		}
	case "enforceNodeAllocatable":
		allowed := []string{"pods", "system-reserved", "system-reserved-compressible", "kube-reserved",
			"kube-reserved-compressible", "none"}
		for i, name := range names {
			if !slices.Contains(allowed, name) {
				v.fault(fmt.Sprintf("%s[%d]", at, i), name, "must be one of "+strings.Join(allowed, ", "), "pods")
			}
		}
		if slices.Contains(names, "none") && len(names) > 1 {
			v.fault(at, list, "must not combine none with other values", "[none]")
		}
		v.unique(at, names)
	case "nodePortAddresses", "ipvs.excludeCIDRs":
		before := len(v.found)
		for i, name := range names {
			if _, fault := ipv4Range(name); fault != "" &&
				!(name == "primary" && field == "nodePortAddresses" && len(names) == 1) {
				v.fault(fmt.Sprintf("%s[%d]", at, i), name, fault, "10.0.0.0/16")
			}
		}
		if field == "nodePortAddresses" && len(names) > 0 && len(v.found) == before && !v.reachNodes(names) {
			v.fault(at, list, "closes the ports of Services on the nodes' addresses, on which load balancers reach them",
				fmt.Sprintf("[%s], which is network.vpcCidr, or [primary]", v.c.Network.VPCCIDR))
		}
	}
}
