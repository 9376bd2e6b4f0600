package config

import (
	"fmt"
	"strings"
	"time"
)

// containerdKeys are the keys and types of containerd's two CRI plugins, from internal/cri/config of containerd 2.2.
// A key with a wrong type stops the plugin. containerd ignores unknown keys.
var containerdKeys = map[string]map[string]string{
	"io.containerd.cri.v1.images": {
		"concurrent_layer_fetch_buffer": "int", "disable_snapshot_annotations": "bool", "discard_unpacked_layers": "bool",
		"image_decryption": "table", "image_pull_progress_timeout": "duration", "image_pull_with_sync_fs": "bool",
		"max_concurrent_downloads": "int", "pinned_images": "table", "registry": "table", "runtime_platforms": "table",
		"snapshotter": "string", "stats_collect_period": "int", "use_local_image_pull": "bool",
	},
	"io.containerd.cri.v1.runtime": {
		"cdi_spec_dirs": "list", "cni": "table", "containerd": "table", "device_ownership_from_security_context": "bool",
		"disable_apparmor": "bool", "disable_hugetlb_controller": "bool", "disable_proc_mount": "bool",
		"drain_exec_sync_io_timeout": "duration", "enable_cdi": "bool", "enable_selinux": "bool",
		"enable_unprivileged_icmp": "bool", "enable_unprivileged_ports": "bool", "ignore_deprecation_warnings": "list",
		"ignore_image_defined_volumes": "bool", "max_container_log_line_size": "int", "netns_mounts_under_state_dir": "bool",
		"restrict_oom_score_adj": "bool", "selinux_category_range": "int", "tolerate_missing_hugetlb_controller": "bool",
		"unset_seccomp_profile": "string",
	},
}

// plugins validates keys and types in the tables of the CRI plugins.
func (v containerdValidator) plugins(plugins map[string]any) {
	const path = "kubernetes.containerd"
	for _, name := range sortedKeys(plugins) {
		keys, known := containerdKeys[name]
		table, isTable := plugins[name].(map[string]any)
		if !known && strings.HasPrefix(name, "io.containerd.grpc.v1.cri") {
			v.fault(path, name, "is the plugin of containerd 1; the nodes have containerd 2",
				"[plugins.'io.containerd.cri.v1.runtime']")
		}
		if !known || !isTable {
			continue
		}
		for _, key := range sortedKeys(table) {
			typ, ok := keys[key]
			if !ok {
				example := "remove it"
				if near := nearest(key, sortedKeys(keys)); near != "" {
					example = fmt.Sprintf("did you mean %s?", near)
				}
				v.fault(path, key, "is not a key of "+name, example)
			} else if what := tomlTypeFault(typ, table[key]); what != "" {
				v.fault(path, fmt.Sprintf("%s = %v", key, table[key]), "must be "+what, "remove it to take the default")
			}
		}
	}
}

// tomlTypeFault returns the type that a value should have, or "" if it has that type.
func tomlTypeFault(typ string, value any) string {
	switch typ {
	case "bool":
		if _, ok := value.(bool); !ok {
			return "true or false, without quotes"
		}
	case "int":
		if _, ok := value.(int64); !ok {
			return "a whole number, without quotes"
		}
	case "list":
		if _, ok := value.([]any); !ok {
			return "a list"
		}
	case "table":
		if _, ok := value.(map[string]any); !ok {
			return "a table"
		}
	case "string", "duration":
		text, ok := value.(string)
		if !ok {
			return "text in quotes"
		}
		if _, err := time.ParseDuration(text); typ == "duration" && err != nil {
			return `a duration in quotes, such as "5m"`
		}
	}
	return ""
}
