package config

import (
	"slices"
	"strconv"
	"strings"
)

// valkeyDirectives are the directives that the program and its chart decide. tls- stands for all that begin with it.
var valkeyDirectives = []struct {
	names        []string
	why, instead string
}{
	{[]string{"maxmemory"}, "is decided by addons.redis.maxMemoryMiB, and the pod's limit follows that",
		"no such line, and addons.redis.maxMemoryMiB: 512"},
	{[]string{"appendonly"}, "is set by the program: without the log on disk a crash loses up to an hour",
		"no such line; appendfsync may be set"},
	{[]string{"appendfilename", "appenddirname", "dbfilename", "dir"},
		"would let the server start without the data on its volume", "no such line"},
	{[]string{"requirepass", "user", "aclfile"}, "would contradict the user that the program creates",
		"redisPassword; for more users auth.aclUsers"},
	{[]string{"port", "bind", "unixsocket", "protected-mode", "tls-"},
		"would close the port on which the program and its checks connect", "no such line"},
	{[]string{"replicaof", "slaveof", "cluster-enabled"}, "makes another server than the one that the program checks",
		"no such line; for replicas install a chart of your own"},
	{[]string{"daemonize", "supervised"}, "would end the container", "no such line"},
	{[]string{"rename-command"}, "would hide commands from the password step and the metrics",
		"no such line; auth.aclUsers limits users"},
}

// valkeyUnits are the units of an amount of memory in bytes.
var valkeyUnits = map[string]uint64{"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9,
	"gb": 1 << 30}

// isProgramsLine reports whether a line sets a directive, in lowercase, to the value of the program.
func isProgramsLine(name, value string, maxMemoryMiB int) bool {
	switch name {
	case "appendonly":
		return value == "yes"
	case "maxmemory":
		digits := strings.TrimRight(value, "bgkm")
		amount, err := strconv.ParseUint(digits, 10, 64)
		unit, want := valkeyUnits[value[len(digits):]], uint64(maxMemoryMiB)<<20
		return err == nil && unit > 0 && want%unit == 0 && amount == want/unit
	}
	return false
}

// valkeyConfig refuses lines of the user's configuration that would undo the program's, which stands before it. The
// value of a line may be secret, so no message has it.
func (v addonsValidator) valkeyConfig(redis Addon) {
	const path = "addons.redis.values.valkeyConfig"
	given := redis.Values["valkeyConfig"]
	if !redis.On() || given == nil {
		return
	}
	text, isText := given.(string)
	if !isText {
		v.fault(path, nil, "must be text with one directive on each line", "|\n  maxmemory-policy allkeys-lru")
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		name := strings.ToLower(strings.Trim(words[0], `"'`))
		value := strings.ToLower(strings.Trim(words[len(words)-1], `"'`))
		if len(words) == 2 && isProgramsLine(name, value, v.c.Addons.Redis.MaxMemoryMiB) {
			continue
		}
		for _, d := range valkeyDirectives {
			if slices.Contains(d.names, name) || strings.HasPrefix(name, "tls-") && slices.Contains(d.names, "tls-") {
				v.fault(path, name, d.why, d.instead)
			}
		}
	}
}
