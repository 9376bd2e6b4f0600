package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// programTables are the tables of containerd's configuration that the program writes before the user's text, without
// their values. TOML does not allow the same table twice. A test compares them with those that package cluster
// writes.
const programTables = `[plugins.'io.containerd.cri.v1.images'.pinned_images]
[plugins.'io.containerd.cri.v1.images'.registry]
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
`

var (
	// containerdTables are the top-level tables of containerd's configuration.
	containerdTables = []string{"cgroup", "debug", "grpc", "metrics", "plugins", "proxy_plugins", "stream_processors",
		"timeouts", "ttrpc"}
	// ownContainerd are settings that the program controls.
	ownContainerd = []struct {
		path []string
		why  string
	}{
		{[]string{"grpc", "address"}, "is where the kubelet looks for containerd"},
		{[]string{"plugins", "io.containerd.cri.v1.images", "registry"},
			"is written by this program; use mirrors.registries"},
		{[]string{"plugins", "io.containerd.cri.v1.images", "pinned_images"}, "is written by this program"},
		{[]string{"plugins", "io.containerd.cri.v1.runtime", "containerd", "runtimes", "runc"}, "is written by this program"},
	}
)

// containerdValidator validates what the user adds to containerd's configuration.
type containerdValidator struct{ part }

// validate checks that the text is TOML and that it is valid after the program's own text.
func (v containerdValidator) validate(text string) {
	const path, example = "kubernetes.containerd", "[debug]\n  level = \"debug\""
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] != '[' {
			v.fault(path, line,
				fmt.Sprintf("line %d stands before the first table: it would become part of the program's last one", number+1),
				example)
			return
		}
		break
	}
	var tables map[string]any
	if _, err := toml.Decode(text, &tables); err != nil {
		v.fault(path, nil, "is not TOML: "+tomlReason(err, 0), example)
		return
	}
	for _, name := range sortedKeys(tables) {
		if !slices.Contains(containerdTables, name) {
			instead := "one of " + strings.Join(containerdTables, ", ")
			if near := nearest(name, containerdTables); near != "" {
				instead = fmt.Sprintf("did you mean [%s]?", near)
			}
			v.fault(path, name, "is not a table of containerd's configuration", instead)
		}
	}
	debug, _ := tables["debug"].(map[string]any)
	for key, allowed := range map[string]string{"level": "trace|debug|info|warn|error|fatal|panic",
		"format": "text|json"} {
		if value, ok := debug[key]; ok && ruleFault(allowed, value) != "" {
			v.fault(path, value, fmt.Sprintf("%s of [debug] %s", key, ruleFault(allowed, value)), example)
		}
	}
	plugins, _ := tables["plugins"].(map[string]any)
	v.plugins(plugins)
	for _, own := range ownContainerd {
		if holds(tables, own.path) {
			v.fault(path, strings.Join(own.path, "."), "cannot be set here: it "+own.why, "remove it")
			return
		}
	}
	if _, err := toml.Decode(programTables+text, &tables); err != nil {
		v.fault(path, nil,
			"cannot stand behind the tables that this program writes: "+tomlReason(err, strings.Count(programTables, "\n")),
			example)
	}
}

// tomlReason returns a parser's message with the line number, counted from after skipped lines.
func tomlReason(err error, skipped int) string {
	var fault toml.ParseError
	if errors.As(err, &fault) {
		return fmt.Sprintf("line %d: %s", max(fault.Position.Line-skipped, 1), fault.Message)
	}
	return err.Error()
}

// holds reports whether a key is set in nested tables.
func holds(tables map[string]any, path []string) bool {
	value, ok := tables[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	below, ok := value.(map[string]any)
	return ok && holds(below, path[1:])
}
