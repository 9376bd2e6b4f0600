package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// TokenKeys are the keys of service-account tokens, each by its number in identity.rotate. A rotation has three stages:
// the new key is accepted, it signs, and the former key is dropped. Each stage is an update.
type TokenKeys struct {
	// Accepted are the keys whose tokens the API servers accept and the issuer publishes, sorted.
	Accepted []int
	// Signing is the key that signs new tokens.
	Signing int
	// Target is the only key after the last stage.
	Target int
	// Rotated is false for a cluster that has always had the key 0. Its key has kubeadm's file names.
	Rotated bool
	// Since is when the last control plane had these keys. It is zero before that.
	Since time.Time
}

// tokenKeyFile is the path of a key on a control plane, without its extension. The number keeps the former key in place
// until the API server has the flags of the new one.
const tokenKeyFile = "/etc/kubernetes/pki/sa-%d"

// ReadTokenKeys returns the keys of a running cluster. initCommand is the text of the step init. command and output
// are the text and the output of the step token-keys. Each is "" if the step does not exist.
func ReadTokenKeys(initCommand, command, output string) TokenKeys {
	keys := TokenKeys{Accepted: []int{0}}
	line, _ := stepline.Parse(initCommand)
	var accepted []int
	for _, flag := range readAPIServerFlags(line.Env["KUBEADM_CONFIG"]) {
		var n int
		if _, err := fmt.Sscanf(flag.Value, tokenKeyFile, &n); err != nil {
			continue
		}
		switch flag.Name {
		case keyFlag:
			accepted = append(accepted, n)
		case signingKeyFlag:
			keys.Signing, keys.Target, keys.Rotated = n, n, true
		}
	}
	if keys.Rotated {
		keys.Accepted = accepted
	}
	line, err := stepline.Parse(command)
	if err != nil || line.Name == "" {
		return keys
	}
	// This step shows the last stage that every control plane has reached.
	keys = TokenKeys{Rotated: true}
	for _, text := range strings.Fields(line.Env["ACCEPTS"]) {
		n, _ := strconv.Atoi(text)
		keys.Accepted = append(keys.Accepted, n)
	}
	keys.Signing, _ = strconv.Atoi(line.Env["SIGNS"])
	keys.Target, _ = strconv.Atoi(line.Env["ENDS"])
	if _, since, ok := strings.Cut(output, " since "); ok {
		keys.Since, _ = time.Parse(time.RFC3339, strings.TrimSpace(since))
	}
	return keys
}

// TokenKeysOf returns the keys of a cluster of which the state has nothing but the keys, by the names of their
// resources. Its machines may run, because a destroy deletes them after the steps. ok is false if it has no key.
func TokenKeysOf(names []string) (keys TokenKeys, ok bool) {
	for _, name := range names {
		var n int
		_, err := fmt.Sscanf(name, tokenKeyName(0)+"-%d", &n)
		if err == nil || name == tokenKeyName(0) {
			keys.Accepted = append(keys.Accepted, n)
		}
	}
	if len(keys.Accepted) == 0 {
		return keys, false
	}
	slices.Sort(keys.Accepted)
	keys.Signing, keys.Target = keys.Accepted[0], keys.Accepted[0]
	keys.Rotated = !slices.Equal(keys.Accepted, []int{0})
	return keys, true
}

// NewTokenKeys returns the keys of a cluster that does not exist yet.
func NewTokenKeys(cfg *config.Config) TokenKeys {
	n := cfg.Identity.Rotate
	return TokenKeys{Accepted: []int{n}, Signing: n, Target: n, Rotated: n != 0}
}

// PlanTokenKeys returns the keys after this update, and what a person has to know about it or "". A stage begins when
// the wait after the last one is over: consumers of the published keys may cache them, and kubelets renew a token
// within a day. The new key signs only after every API server accepts it.
func PlanTokenKeys(cfg *config.Config, has TokenKeys, now time.Time) (TokenKeys, string) {
	target, wait := cfg.Identity.Rotate, time.Duration(cfg.Identity.RotateHours)*time.Hour
	former := slices.DeleteFunc(slices.Clone(has.Accepted), func(n int) bool { return n == target })
	if len(former) == 0 {
		has.Target = target
		return has, ""
	}
	next, begins := has, has.Since.Add(wait)
	next.Target, next.Rotated = target, true
	says := fmt.Sprintf("The key of service-account tokens becomes %d (identity.rotate). ", target)
	signs, drops := fmt.Sprintf("signs with key %d.", target), fmt.Sprintf("drops key %s.", spaced(former))
	later := fmt.Sprintf("An update %d hours later ", cfg.Identity.RotateHours)
	switch {
	case wait == 0:
		next.Accepted, next.Signing = []int{target}, target
		return next, says + "identity.rotateHours is 0, so this update " + drops + " Its tokens are refused until they " +
			"are renewed: see docs/recovery.md."
	case has.Target != target:
		next.Accepted = slices.Sorted(slices.Values(append(former, target)))
		return next, says + "Stage 1 of 3: it is published, and every API server accepts it. " + later + signs
	case has.Since.IsZero():
		return next, says + "This update repeats the stage that was interrupted."
	case now.Before(begins) && has.Signing != target:
		return next, says + "It waits: an update after " + moment(begins) + " " + signs
	case now.Before(begins):
		return next, says + "It waits: an update after " + moment(begins) + " " + drops
	case has.Signing != target:
		next.Signing = target
		return next, says + "Stage 2 of 3: this update " + signs + " " + later + drops
	}
	next.Accepted = []int{target}
	return next, says + "Stage 3 of 3: this update " + drops + " Its tokens are refused from now on."
}

// Hold returns the keys of an update that upgrades Kubernetes. No stage begins in it.
func (k TokenKeys) Hold(cfg *config.Config) (TokenKeys, string) {
	if slices.Equal(k.Accepted, []int{cfg.Identity.Rotate}) {
		return k, ""
	}
	return k, "The key of service-account tokens stays as it is in an upgrade of Kubernetes. The next update goes on with it."
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// TokenKeysStep is the name of the step that records the keys of a cluster with a rotation.
const TokenKeysStep = "token-keys"

const (
	keyFlag        = "service-account-key-file"
	signingKeyFlag = "service-account-signing-key-file"
)

// tokenKeyName returns the name of a key's resource. The first key has the name that it had before rotations.
func tokenKeyName(n int) string {
	if n == 0 {
		return "service-account"
	}
	return fmt.Sprintf("service-account-%d", n)
}

func tokenKeyPath(n int, extension string) string { return fmt.Sprintf(tokenKeyFile, n) + extension }

// apiServerFlags returns the flags of the API server. kubeadm has the flags of a plain cluster.
func (k TokenKeys) apiServerFlags() []any {
	if !k.Rotated {
		return nil
	}
	var list []any
	for _, n := range k.Accepted {
		list = append(list, object{"name": keyFlag, "value": tokenKeyPath(n, ".pub")})
	}
	return append(list, object{"name": signingKeyFlag, "value": tokenKeyPath(k.Signing, ".key")})
}

// controllerManagerFlags returns the flags of the controller manager, which signs the tokens in Secrets.
func (k TokenKeys) controllerManagerFlags() []any {
	if !k.Rotated {
		return nil
	}
	return []any{object{"name": "service-account-private-key-file", "value": tokenKeyPath(k.Signing, ".key")}}
}

// step waits until every API server accepts and signs with the keys, and records since when.
func (k TokenKeys) step(s steps) Step {
	return Step{Name: TokenKeysStep, Node: s.controlPlanes[0].Name, Minutes: 10,
		Run: Script{Name: "token-keys", Env: map[string]pulumi.StringInput{
			"ACCEPTS": pulumi.String(spaced(k.Accepted)), "SIGNS": pulumi.String(strconv.Itoa(k.Signing)),
			"ENDS": pulumi.String(strconv.Itoa(k.Target)), "ADDRESSES": addressesOf(s.controlPlanes),
		}}}
}
