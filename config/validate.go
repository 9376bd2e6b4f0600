package config

import (
	"fmt"
	"slices"
	"strings"
)

// validator collects the faults of a decoded configuration. It has one method for each part.
type validator struct {
	c       *Config
	present map[string]bool
	broken  Errors // faults found by decoding
	faults  Errors
}

func (v *validator) all() {
	v.aws()
	v.general()
	v.cluster()
	v.network()
	v.access()
	v.image()
	v.nodes()
	v.dns()
	v.identity()
	v.backup()
	v.protection()
	v.mirrors()
	v.kubernetes()
	v.addons()
	v.notifications()
}

// fault records that the value at path is refused. It does nothing if decoding already refused something at, above or
// below path: the value is then not the user's, and a second message would confuse.
func (v *validator) fault(path string, value any, reason, example string) {
	v.faultAt(Namespace+":"+path, value, reason, example)
}

// faultAt is fault for a key with its namespace.
func (v *validator) faultAt(key string, value any, reason, example string) {
	if !v.isRefused(key) {
		v.faults = append(v.faults, newFault(key, value, reason, example))
	}
}

// isBroken reports whether decoding refused something at, above or below path.
func (v *validator) isBroken(path string) bool { return v.isRefused(Namespace + ":" + path) }

func (v *validator) isRefused(key string) bool {
	return slices.ContainsFunc(v.broken, func(b FieldError) bool { return within(key, b.Key) || within(b.Key, key) })
}

// within reports whether key is outer or a setting below it.
func within(key, outer string) bool {
	rest, ok := strings.CutPrefix(key, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// oneOf refuses a value that is not in a fixed list.
func (v *validator) oneOf(path, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	example := strings.Join(allowed, " or ")
	if near := nearest(value, allowed); near != "" {
		example = fmt.Sprintf("did you mean %s?", near)
	}
	v.fault(path, value, "must be "+strings.Join(allowed, " or "), example)
}

// bounds are the limits of a number. why explains where they come from.
type bounds struct {
	low, high int
	why       string
	example   int
}

// between refuses a number outside of its bounds.
func (v *validator) between(path string, n int, b bounds) {
	if n < b.low || n > b.high {
		v.fault(path, n, fmt.Sprintf("must be from %d to %d: %s", b.low, b.high, b.why), fmt.Sprint(b.example))
	}
}

// unique refuses the second of two equal entries of a list.
func (v *validator) unique(path string, list []string) {
	seen := map[string]int{}
	for i, item := range list {
		if first, ok := seen[item]; ok {
			v.fault(fmt.Sprintf("%s[%d]", path, i), item, fmt.Sprintf("is already at %s[%d]", path, first), "remove one of them")
			continue
		}
		seen[item] = i
	}
}

// general validates the settings that belong to no part.
func (v *validator) general() {
	v.oneOf("environment", v.c.Environment, Dev, Staging, Prod)
	if strings.HasPrefix(strings.ToLower(v.c.Owner), "aws:") {
		v.fault("owner", v.c.Owner, "must not begin with aws:, which AWS keeps for its own tags", "platform-team")
	} else if !tagValue.MatchString(v.c.Owner) {
		v.fault("owner", v.c.Owner,
			"must be 1 to 128 letters, digits, spaces or any of _.:/=+-@, because it becomes an AWS tag",
			"platform-team")
	}
}
