package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ChartVolume is a volume without a setting for its size: the size is in a chart's values.
type ChartVolume struct {
	// addon is the add-on. part is the key in addons.<addon>.values that holds the chart's values; empty means all of
	// them.
	addon, part string
	// Release is the name of the Helm release. Path is the location of the size in its values.
	Release string
	Path    []string
	// Size is the program's default, such as 20Gi.
	Size string
	// Of is what has the volume. Selector has the labels of the claims that a StatefulSet makes; empty means that Helm
	// makes the claim and changes its size. StatefulSet is its name if Helm, and no operator, makes it.
	Of, Selector, StatefulSet string
}

// ChartVolumes are all volumes that charts create and whose sizes have no setting.
var ChartVolumes = []ChartVolume{
	{"monitoring", "", "kube-prometheus-stack", claimPath("prometheus.prometheusSpec.storageSpec"), "20Gi",
		"prometheus", "prometheus=kube-prometheus-stack-prometheus", ""},
	{"monitoring", "", "kube-prometheus-stack", claimPath("alertmanager.alertmanagerSpec.storage"), "1Gi",
		"alertmanager", "alertmanager=kube-prometheus-stack-alertmanager", ""},
	{"monitoring", "", "kube-prometheus-stack", []string{"grafana", "persistence", "size"}, "2Gi", "grafana", "", ""},
	{"logging", "loki", "loki", []string{"singleBinary", "persistence", "size"}, "10Gi",
		"loki", "app.kubernetes.io/instance=loki,app.kubernetes.io/component=single-binary", "loki"},
}

func claimPath(at string) []string {
	return append(strings.Split(at, "."), "volumeClaimTemplate", "spec", "resources", "requests", "storage")
}

// Key returns the path of the size in Made and in the settings.
func (v ChartVolume) Key() string {
	key := "addons." + v.addon + ".values."
	if v.part != "" {
		key += v.part + "."
	}
	return key + strings.Join(v.Path, ".")
}

// UserSize returns the size in the user's values, also in bytes. ok is false without one.
func (v ChartVolume) UserSize(addon Addon) (size string, bytes int64, ok bool) {
	value := sizeAt(addon.Values, v.keys(), nil)
	if value == nil {
		return "", 0, false
	}
	n, ok := bytesOf(value)
	return fmt.Sprint(value), int64(n), ok
}

// keys is the path in the add-on's values.
func (v ChartVolume) keys() []string {
	if v.part != "" {
		return append([]string{v.part}, v.Path...)
	}
	return v.Path
}

// smallerVolumes refuses sizes below those of the running stack. If the user removed a size from the values, the
// program's default applies, which may be smaller too.
func (c comparison) smallerVolumes(made Made) []FieldError {
	var faults []FieldError
	for _, v := range ChartVolumes {
		addon := c.Addons.ByKey()[v.addon]
		old, isMade := made[v.Key()]
		if !isMade || !addon.On() {
			continue
		}
		now := sizeAt(addon.Values, v.keys(), v.Size)
		before, okBefore := bytesOf(old)
		after, okAfter := bytesOf(now)
		if !okBefore || !okAfter || after >= before {
			continue
		}
		faults = append(faults, FieldError{
			Key: Namespace + ":" + v.Key(), Value: quote(now),
			Reason: fmt.Sprintf("is %s on the running stack: Kubernetes does not make a volume smaller", quote(old)),
			Example: fmt.Sprintf("%s; for a smaller one save what you need, bring the stack up with addons.%s.enabled: false, "+
				"which removes the volume, and then up again with the smaller size", quote(old), v.addon),
		})
	}
	return faults
}

// goneWithVolumes returns the keys of add-ons that are off and have volumes on the running stack.
func (c comparison) goneWithVolumes(made Made) []string {
	var gone []string
	addons := c.Addons.ByKey()
	for _, path := range sortedKeys(made) {
		parts := strings.SplitN(path, ".", 3)
		if len(parts) < 3 || parts[0] != "addons" || addons[parts[1]].On() || slices.Contains(gone, parts[1]) {
			continue
		}
		isChart := slices.ContainsFunc(ChartVolumes, func(v ChartVolume) bool { return v.Key() == path })
		if isChart || parts[2] == "storageGiB" {
			gone = append(gone, parts[1])
		}
	}
	return gone
}

// lostVolumes refuses to switch off an add-on with data on a protected stack.
func (c comparison) lostVolumes(made Made) []FieldError {
	if !*c.Protection.Protect {
		return nil
	}
	var faults []FieldError
	for _, addon := range c.goneWithVolumes(made) {
		key := "addons." + addon + ".enabled"
		faults = append(faults, FieldError{
			Key: Namespace + ":" + key, Value: "false",
			Reason: "is true on the running stack: the add-on has its data on volumes, and protection.protect is true",
			Example: fmt.Sprintf("true; to give the data up, save what you need, then: pulumi config set --path "+
				"%s:protection.protect false", Namespace),
		})
	}
	return faults
}

// ChangeWarnings returns a sentence for each change of the running stack that is allowed and loses data.
func ChangeWarnings(c *Config, made Made) []string {
	var warnings []string
	for _, addon := range (comparison{c}).goneWithVolumes(made) {
		warnings = append(warnings, fmt.Sprintf("addons.%s.enabled is false, and true on the running stack: this update removes "+
			"the add-on. %s", addon, c.Protection.RemovedVolumes()))
	}
	return warnings
}

// RemovedVolumes says what an update does to the volumes of an add-on that it removes.
func (p Protection) RemovedVolumes() string {
	if p.Volumes == "keep" {
		return "Its volumes stay in EBS with their data (protection.volumes: keep), and nothing attaches them again"
	}
	return "Its volumes are deleted with their data (protection.volumes: delete)"
}

// sizeAt returns the value at a path of the user's values. It returns own if the values have none, and nil if null
// removes it.
func sizeAt(values map[string]any, path []string, own any) any {
	var at any = values
	for _, name := range path {
		m, isMap := at.(map[string]any)
		if !isMap {
			return nil
		}
		next, set := m[name]
		if !set {
			return own
		}
		at = next
	}
	return at
}

var (
	size = regexp.MustCompile(
		`^\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([numkMGTPE]|[KMGTPE]i)?|[eE](-?[0-9]+))$`)
	multiplier = map[string]float64{
		"n": 1e-9, "u": 1e-6, "m": 1e-3,
		"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60,
	}
)

// bytesOf returns the number of bytes, or of CPUs, of a Kubernetes quantity such as 20Gi or 500m. ok is false for any
// other value.
func bytesOf(quantity any) (bytes float64, ok bool) {
	parts := size.FindStringSubmatch(fmt.Sprint(quantity))
	if parts == nil {
		return 0, false
	}
	if parts[3] != "" {
		n, err := strconv.ParseFloat(parts[1]+"e"+parts[3], 64)
		return n, err == nil
	}
	times, known := multiplier[parts[2]]
	n, err := strconv.ParseFloat(parts[1], 64)
	return n * times, err == nil && known
}
