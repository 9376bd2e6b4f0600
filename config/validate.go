package config

import (
	"fmt"
	"slices"
	"strings"
)

// faults collects what is refused in the settings of a stack.
type faults struct {
	broken Errors // found by decoding
	found  Errors
}

// part is embedded in the validator of each part of the settings. It has all settings, because a value of one part may
// contradict a value of another part.
type part struct {
	*faults
	c       *Config
	written map[string]bool // the keys that the user wrote, with their namespace
}

// validate returns what is wrong with the settings, except for what decoding refused already. get returns the value of
// a secret by its key.
func validate(c *Config, d *decoder, get func(key string) (string, bool)) Errors {
	p := part{&faults{broken: d.faults}, c, d.present}
	secrets := secretsValidator{p, get}
	secrets.passwords()
	secrets.notifications()
	secrets.repository()
	awsValidator{p}.validate()
	generalValidator{p}.validate()
	clusterValidator{p}.validate()
	networkValidator{p}.validate()
	accessValidator{p}.validate()
	imageValidator{p}.validate()
	nodesValidator{p}.validate()
	dnsValidator{p}.validate()
	identityValidator{p}.validate()
	backupValidator{p}.validate()
	repairValidator{p}.validate()
	maintenanceValidator{p}.validate()
	mirrorsValidator{p}.validate()
	kubernetesValidator{p, tableOf(c.Cluster.KubernetesVersion)}.validate()
	addonsValidator{p}.validate()
	notificationsValidator{p}.validate()
	return p.found
}

// fault records that the value at path is refused. It does nothing if decoding already refused something at, above or
// below path: the value is then not the user's, and a second message would confuse.
func (f *faults) fault(path string, value any, reason, example string) {
	f.faultAt(Namespace+":"+path, value, reason, example)
}

// faultAt is fault for a key with its namespace.
func (f *faults) faultAt(key string, value any, reason, example string) {
	if i := slices.IndexFunc(f.broken, func(b FieldError) bool { return b.Key == key && b.quotable }); i >= 0 {
		// Quotes are not enough: the text would be refused too.
		f.broken[i].Example, f.broken[i].quotable = newFault(key, value, reason, example).Example, false
	}
	if !f.isRefused(key) {
		f.found = append(f.found, newFault(key, value, reason, example))
	}
}

// isBroken reports whether decoding refused something at, above or below path.
func (f *faults) isBroken(path string) bool { return f.isRefused(Namespace + ":" + path) }

func (f *faults) isRefused(key string) bool {
	return slices.ContainsFunc(f.broken, func(b FieldError) bool { return within(key, b.Key) || within(b.Key, key) })
}

// within reports whether key is outer or a setting below it.
func within(key, outer string) bool {
	rest, ok := strings.CutPrefix(key, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// oneOf refuses a value that is not in a fixed list.
func (f *faults) oneOf(path, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	example := strings.Join(allowed, " or ")
	if near := nearest(value, allowed); near != "" {
		example = fmt.Sprintf("did you mean %s?", near)
	}
	f.fault(path, value, "must be "+strings.Join(allowed, " or "), example)
}

// bounds are the limits of a number. why explains where they come from.
type bounds struct {
	low, high int
	why       string
	example   int
}

// between refuses a number outside of its bounds.
func (f *faults) between(path string, n int, b bounds) {
	if n < b.low || n > b.high {
		f.fault(path, n, fmt.Sprintf("must be from %d to %d: %s", b.low, b.high, b.why), fmt.Sprint(b.example))
	}
}

// unique refuses the second of two equal entries of a list.
func (f *faults) unique(path string, list []string) {
	seen := map[string]int{}
	for i, item := range list {
		if first, ok := seen[item]; ok {
			f.fault(fmt.Sprintf("%s[%d]", path, i), item, fmt.Sprintf("is already at %s[%d]", path, first), "remove one of them")
			continue
		}
		seen[item] = i
	}
}

// generation validates the text whose change replaces nodes.
func (f *faults) generation(path, generation string) {
	if len(generation) > maxGeneration || generation != "" && !tagValue.MatchString(generation) {
		f.fault(path, generation,
			fmt.Sprintf("must be at most %d letters, digits, spaces or any of _.:/=+-@", maxGeneration),
			`"2026-11"`)
	}
}

const maxGeneration = 64

// generalValidator validates the settings that belong to no part.
type generalValidator struct{ part }

func (v generalValidator) validate() {
	v.oneOf("protection.volumes", v.c.Protection.Volumes, "delete", "keep")
	v.oneOf("protection.images", v.c.Protection.Images, "delete", "keep")
	v.oneOf("environment", v.c.Environment, Dev, Staging, Prod)
	if strings.HasPrefix(strings.ToLower(v.c.Owner), "aws:") {
		v.fault("owner", v.c.Owner, "must not begin with aws:, which AWS keeps for its own tags", "platform-team")
	} else if !tagValue.MatchString(v.c.Owner) {
		v.fault("owner", v.c.Owner,
			"must be 1 to 128 letters, digits, spaces or any of _.:/=+-@, because it becomes an AWS tag",
			"platform-team")
	}
}
