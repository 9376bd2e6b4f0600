package cluster

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// rotating returns settings with the number of a key, and its wait.
func rotating(n, hours int) *config.Config {
	cfg := settings()
	cfg.Identity.Rotate, cfg.Identity.RotateHours = n, hours
	return cfg
}

// keysFrom are the keys with an accepted list, the one that signs, and the one that a rotation ends with.
func keysFrom(since time.Time, signing, target int, accepted ...int) TokenKeys {
	return TokenKeys{Accepted: accepted, Signing: signing, Target: target, Rotated: true, Since: since}
}

// TestStagesOfARotation moves a cluster from its first key to another.
func TestStagesOfARotation(t *testing.T) {
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	plain := ReadTokenKeys("", "", "")
	cfg := rotating(1, 25)
	for _, c := range []struct {
		name string
		has  TokenKeys
		at   time.Time
		want TokenKeys
		says string
	}{
		{"accept", plain, now, keysFrom(time.Time{}, 0, 1, 0, 1), "An update 25 hours later signs with key 1."},
		{"accept again", keysFrom(time.Time{}, 0, 0, 0, 1), now, keysFrom(time.Time{}, 0, 1, 0, 1), "Stage 1 of 3"},
		{"wait", keysFrom(now, 0, 1, 0, 1), now.Add(25*time.Hour - 1), keysFrom(now, 0, 1, 0, 1),
			"It waits: an update after 2026-12-01 10:00 UTC signs with key 1."},
		{"sign", keysFrom(now, 0, 1, 0, 1), now.Add(25 * time.Hour), keysFrom(now, 1, 1, 0, 1),
			"An update 25 hours later drops key 0."},
		{"wait again", keysFrom(now, 1, 1, 0, 1), now.Add(time.Hour), keysFrom(now, 1, 1, 0, 1),
			"It waits: an update after 2026-12-01 10:00 UTC drops key 0."},
		{"drop", keysFrom(now, 1, 1, 0, 1), now.Add(26 * time.Hour), keysFrom(now, 1, 1, 1), "its tokens are refused"},
		{"done", keysFrom(now, 1, 1, 1), now, keysFrom(now, 1, 1, 1), ""},
		{"without a record", keysFrom(time.Time{}, 1, 1, 0, 1), now, keysFrom(time.Time{}, 1, 1, 0, 1), "interrupted"},
		{"a third key", keysFrom(now, 1, 2, 0, 1), now, keysFrom(now, 1, 1, 0, 1), "Stage 1 of 3"},
	} {
		got, says := PlanTokenKeys(cfg, c.has, c.at)
		if !reflect.DeepEqual(got, c.want) || !strings.Contains(strings.ToLower(says), strings.ToLower(c.says)) ||
			(says == "") != (c.says == "") {
			t.Errorf("%s: %+v, %q", c.name, got, says)
		}
	}
	if got, says := PlanTokenKeys(rotating(0, 25), plain, now); !reflect.DeepEqual(got, plain) || says != "" {
		t.Errorf("a cluster without a rotation: %+v, %q", got, says)
	}
	if got, says := PlanTokenKeys(rotating(1, 0), plain, now); !slices.Equal(got.Accepted, []int{1}) || got.Signing != 1 ||
		!strings.Contains(says, "this update drops key 0") {
		t.Errorf("a key that has leaked: %+v, %q", got, says)
	}
	if got, says := plain.Hold(cfg); !reflect.DeepEqual(got, plain) || !strings.Contains(says, "upgrade") {
		t.Errorf("in an upgrade: %+v, %q", got, says)
	}
	if got := NewTokenKeys(rotating(3, 25)); !reflect.DeepEqual(got, keysFrom(time.Time{}, 3, 3, 3)) {
		t.Errorf("a new cluster: %+v", got)
	}
}

// tokenWorld is a cluster whose updates may be interrupted, and everybody who has one of its tokens or its published
// keys. A token and a cached copy of the keys are used for a day.
type tokenWorld struct {
	now       time.Time
	planes    []TokenKeys
	published []int
	recorded  *TokenKeys
	// used are the ends of the tokens by their key. cached are the ends of the copies.
	used   map[int]time.Time
	cached map[string]time.Time
}

func (w *tokenWorld) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for _, p := range w.planes {
		w.used[p.Signing] = w.now.Add(24 * time.Hour)
	}
	w.cached[spaced(w.published)] = w.now.Add(24 * time.Hour)
}

// refused returns who refuses a token that is in use, or "".
func (w *tokenWorld) refused() string {
	for key, end := range w.used {
		if !end.After(w.now) {
			continue
		}
		for i, p := range w.planes {
			if !slices.Contains(p.Accepted, key) {
				return fmt.Sprintf("control plane %d refuses a token of key %d", i, key)
			}
		}
		for copied, end := range w.cached {
			if end.After(w.now) && !slices.Contains(strings.Fields(copied), fmt.Sprint(key)) {
				return fmt.Sprintf("who has cached the keys %s refuses a token of key %d", copied, key)
			}
		}
	}
	return ""
}

// update plans and carries out an update, up to a step. It may also upgrade Kubernetes.
func (w *tokenWorld) update(target, until int, upgrade bool) {
	has := w.planes[0]
	has.Target, has.Since = has.Signing, time.Time{}
	if w.recorded != nil {
		has = *w.recorded
	}
	next, _ := PlanTokenKeys(rotating(target, 25), has, w.now)
	if upgrade {
		next, _ = has.Hold(rotating(target, 25))
	}
	steps := []func(){func() { w.published = next.Accepted }}
	for i := range w.planes {
		steps = append(steps, func() { w.planes[i] = next })
	}
	steps = append(steps, func() {
		record := next
		if w.recorded == nil || !slices.Equal(record.Accepted, w.recorded.Accepted) || record.Signing != w.recorded.Signing ||
			record.Target != w.recorded.Target {
			record.Since = w.now
		}
		w.recorded = &record
	})
	for _, step := range steps[:min(until, len(steps))] {
		step()
		w.pass(time.Minute)
	}
}

// TestNoTokenIsRefused plays updates of clusters with one and three control planes. They run at any time, are
// interrupted at any step, and the setting changes at any time. No API server refuses a token that a pod still uses,
// and neither does who has cached the published keys.
func TestNoTokenIsRefused(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	reached := map[string]int{}
	for range 3000 {
		count := 1 + 2*random.IntN(2)
		w := &tokenWorld{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), used: map[int]time.Time{},
			cached: map[string]time.Time{}, planes: slices.Repeat([]TokenKeys{ReadTokenKeys("", "", "")}, count),
			published: []int{0}}
		w.pass(0)
		target, history := 0, ""
		for range 12 {
			if random.IntN(4) == 0 {
				target = random.IntN(3)
			}
			until := random.IntN(2*count + 6)
			upgrade := random.IntN(4) == 0
			w.update(target, until, upgrade)
			history += fmt.Sprintf("\nkey %d, %d steps, upgrade %v: %v, signing %d", target, until, upgrade,
				w.planes[0].Accepted, w.planes[0].Signing)
			if who := w.refused(); who != "" {
				t.Fatalf("%d control planes: %s after%s", count, who, history)
			}
			w.pass(time.Duration(random.IntN(40*60)) * time.Minute)
			if who := w.refused(); who != "" {
				t.Fatalf("%d control planes: %s after%s", count, who, history)
			}
		}
		reached[spaced(w.planes[0].Accepted)]++
	}
	if len(reached) < 6 {
		t.Errorf("the test reaches only %v", reached)
	}
}

// TestTokenKeysAreReadBack reads the keys out of the commands of the state.
func TestTokenKeysAreReadBack(t *testing.T) {
	since := time.Date(2026, 11, 30, 9, 12, 0, 0, time.UTC)
	for _, keys := range []TokenKeys{keysFrom(since, 0, 1, 0, 1), keysFrom(since, 1, 1, 0, 1),
		keysFrom(since, 12, 12, 12)} {
		r := deployWith(t, keys, nil)
		init, step := text(t, r.command(t, "master-init"), "create"), text(t, r.command(t, TokenKeysStep), "create")
		if got := ReadTokenKeys(init, step, "signing with 1 since 2026-11-30T09:12:00Z"); !reflect.DeepEqual(got, keys) {
			t.Errorf("read %+v, want %+v", got, keys)
		}
		interrupted := keysFrom(time.Time{}, keys.Signing, keys.Signing, keys.Accepted...)
		if got := ReadTokenKeys(init, "", ""); !reflect.DeepEqual(got, interrupted) {
			t.Errorf("read %+v from init alone, want %+v", got, interrupted)
		}
		if got := ReadTokenKeys(init, step, "no time"); !got.Since.IsZero() {
			t.Errorf("read the time %v", got.Since)
		}
	}
	for want, names := range map[string][]string{
		"": {"ca", "admin"}, "0": {"service-account", "ca"}, "1 3 12": {"service-account-12", "service-account-3",
			"service-account-1"}, "0 1": {"service-account-1", "service-account"},
	} {
		keys, ok := TokenKeysOf(names)
		if spaced(keys.Accepted) != want || ok != (want != "") || keys.Rotated != (ok && want != "0") {
			t.Errorf("the keys of %v are %+v, %v", names, keys, ok)
		}
	}
	plain := deploy(t, nil)
	if got := ReadTokenKeys(text(t, plain.command(t, "master-init"), "create"), "", ""); !reflect.DeepEqual(got,
		TokenKeys{Accepted: []int{0}}) {
		t.Errorf("a cluster without a rotation: %+v", got)
	}
}

// TestFilesOfTheKeys expects the private part of the key that signs, and of no other, next to all public parts.
func TestFilesOfTheKeys(t *testing.T) {
	for _, keys := range []TokenKeys{keysFrom(time.Time{}, 0, 1, 0, 1), keysFrom(time.Time{}, 1, 1, 0, 1)} {
		r := deployWith(t, keys, nil)
		signing, other := tokenKeyName(keys.Signing), tokenKeyName(1-keys.Signing)
		for name, want := range map[string]string{
			"pki/sa.key": marker + signing, "pki/sa.pub": "public " + signing,
			"pki/sa-0.pub": "public service-account", "pki/sa-1.pub": "public service-account-1",
			fmt.Sprintf("pki/sa-%d.key", keys.Signing): marker + signing,
		} {
			if got := files(t, r.command(t, "master-init"))[name]; got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		for name, content := range files(t, r.command(t, "master-init")) {
			if content == marker+other {
				t.Errorf("%s has the private part of a key that does not sign", name)
			}
		}
	}
}

// files returns the files on the standard input of a step.
func files(t *testing.T, step pulumi.MockResourceArgs) map[string]string {
	t.Helper()
	found, err := stepline.Unpack(step.Inputs["stdin"].SecretValue().Element.StringValue())
	if err != nil {
		t.Fatal(err)
	}
	return found
}
