package stack_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/cluster"
	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox"
)

// rotating returns settings with the number of a key.
func rotating(settings map[string]any, n, hours int) map[string]any {
	settings = maps.Clone(settings)
	id := map[string]any{"rotate": n, "rotateHours": hours}
	if has, ok := settings["kubeadm-aws:identity"].(map[string]any); ok {
		for key, value := range has {
			id[key] = value
		}
	}
	settings["kubeadm-aws:identity"] = id
	return settings
}

// later lets the last stage of a rotation be a day and two hours older.
func (r *simulation) later() {
	r.t.Helper()
	r.edit(func(state *apitype.DeploymentV3) {
		for _, res := range state.Resources {
			if res.Type != remoteCommand || res.URN.Name() != cluster.TokenKeysStep {
				continue
			}
			says, text, _ := strings.Cut(res.Outputs["stdout"].(string), " since ")
			since, err := time.Parse(time.RFC3339, text)
			if err != nil {
				r.t.Fatal(err)
			}
			res.Outputs["stdout"] = says + " since " + since.Add(-26*time.Hour).Format(time.RFC3339)
		}
	})
}

// tokenKeys returns for each control plane which keys it accepts and signs with, and the keys of the stack.
func (r *simulation) tokenKeys() string {
	r.t.Helper()
	var all []string
	for _, res := range r.resources() {
		name := res.URN.Name()
		switch {
		case res.Type == "tls:index/privateKey:PrivateKey" && strings.HasPrefix(name, "service-account"):
			all = append(all, name)
		case res.Type == remoteCommand && (strings.HasSuffix(name, "-init") || strings.HasSuffix(name, "-join")):
			if line, _ := stepline.Parse(res.Inputs["create"].(string)); line.Env["AUDIT_POLICY"] != "" {
				keys := cluster.ReadTokenKeys(res.Inputs["create"].(string), "", "")
				all = append(all, fmt.Sprintf("%s%v%d", line.Node, keys.Accepted, keys.Signing))
			}
		case res.URN.Name() == "jwks":
			all = append(all, fmt.Sprintf("published:%d", strings.Count(res.Inputs["content"].(string), `"kid"`)))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

const remoteCommand = "command:remote:Command"

func (r *simulation) mustHaveKeys(t *testing.T, want string) {
	t.Helper()
	if got := r.tokenKeys(); got != want {
		t.Errorf("the keys are\n%s, want\n%s", got, want)
	}
}

// TestAKeyIsRotated moves a cluster with an issuer to another key, and back to one with the first number.
func TestAKeyIsRotated(t *testing.T) {
	r := simulate(t, "dev", identity(nil))
	r.up().must(t)
	r.mustHaveKeys(t, "master[0]0 published:1 service-account")
	r.set(rotating(r.workspace.Settings, 1, 25))
	stage := func(says, keys string) outcome {
		t.Helper()
		o := r.up().must(t)
		if !strings.Contains(o.printed, says) {
			t.Errorf("no %q in\n%s", says, tail(o.printed, 3000))
		}
		r.mustHaveKeys(t, keys)
		return o
	}
	o := stage("Stage 1 of 3", "master[0 1]0 published:2 service-account service-account-1")
	inTurn(t, o.order, "create service-account-1", "update jwks", "update master-init", "create token-keys")
	if lost := lostBy(o.changes); len(lost) > 0 {
		t.Errorf("lost %q", lost)
	}
	waits := r.up(optup.ExpectNoChanges())
	waits.mustNotChange(t)
	if !strings.Contains(waits.printed, "It waits: an update after ") {
		t.Errorf("nothing says until when it waits:\n%s", tail(waits.printed, 3000))
	}
	r.later()
	o = stage("Stage 2 of 3", "master[0 1]1 published:2 service-account service-account-1")
	if slices.Contains(o.order, "update jwks") {
		t.Error("the published keys change with the key that signs")
	}
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	r.later()
	o = stage("Stage 3 of 3", "master[1]1 published:1 service-account-1")
	inTurn(t, o.order, "update master-init", "update token-keys", "delete service-account")
	r.later()
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	r.refresh().mustNotChange(t)

	// A destroy that stopped after the steps, and before the machines, leaves a cluster that goes on.
	r.edit(func(state *apitype.DeploymentV3) {
		gone := func(res apitype.ResourceV3) bool { return res.URN.Type() == remoteCommand }
		for i := range state.Resources {
			state.Resources[i].Dependencies = nil
			state.Resources[i].PropertyDependencies = nil
		}
		state.Resources = slices.DeleteFunc(state.Resources, gone)
	})
	r.up().must(t)
	r.mustHaveKeys(t, "master[1]1 published:1 service-account-1")
	// A leaked key goes at once. The first number is another key now.
	r.set(rotating(identity(nil), 0, 0))
	stage("this update drops key 1", "master[0]0 published:1 service-account")
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	r.destroy().must(t)
	r.mustBeEmpty()
}

// TestARotationThatIsInterrupted lets steps of each stage fail once, with three control planes. The next update goes on
// with the same stage. The number may be set back at any time.
func TestARotationThatIsInterrupted(t *testing.T) {
	r := simulate(t, "dev", threeControlPlanes(nil))
	r.up().must(t)
	fail := func(name string) outcome {
		t.Helper()
		r.failing(func(op sandbox.Operation) error {
			if (op.Verb == "update" || op.Verb == "create") && strings.HasSuffix(op.URN, "::"+name) {
				return fmt.Errorf("injected failure of %s", name)
			}
			return nil
		})
		defer r.failing(nil)
		o := r.up()
		if o.err == nil {
			t.Errorf("%s does not fail", name)
		}
		return o
	}
	r.set(rotating(threeControlPlanes(nil), 1, 25))
	const both = " service-account service-account-1"
	fail("m2-join")
	r.mustHaveKeys(t, "m1[0 1]0 m2[0]0 m3[0]0"+both)
	fail("token-keys")
	inTurn(t, r.up().must(t).order, "create token-keys")
	r.mustHaveKeys(t, "m1[0 1]0 m2[0 1]0 m3[0 1]0"+both)
	r.later()
	fail("m3-join")
	r.mustHaveKeys(t, "m1[0 1]1 m2[0 1]1 m3[0 1]0"+both)
	t.Run("set back", func(t *testing.T) {
		back := r.twin(t)
		back.set(rotating(threeControlPlanes(nil), 0, 25))
		back.up().must(t)
		back.mustHaveKeys(t, "m1[0 1]0 m2[0 1]0 m3[0 1]0"+both)
		back.up(optup.ExpectNoChanges()).mustNotChange(t)
		back.later()
		back.up().must(t)
		back.mustHaveKeys(t, "m1[0]0 m2[0]0 m3[0]0 service-account")
	})
	inTurn(t, r.up().must(t).order, "update m3-join", "update token-keys")
	r.mustHaveKeys(t, "m1[0 1]1 m2[0 1]1 m3[0 1]1"+both)
	// A control plane that is replaced half way has the keys of the stage.
	r.set(rotating(threeControlPlanes(func(nodes []map[string]any) { nodes[1]["generation"] = "2" }), 1, 25))
	r.up().must(t)
	r.mustHaveKeys(t, "m1[0 1]1 m2[0 1]1 m3[0 1]1"+both)
	r.later()
	fail("m2-join")
	r.mustHaveKeys(t, "m1[1]1 m2[0 1]1 m3[0 1]1"+both)
	inTurn(t, r.up().must(t).order, "update m2-join", "update m3-join", "update token-keys", "delete service-account")
	r.mustHaveKeys(t, "m1[1]1 m2[1]1 m3[1]1 service-account-1")
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
}

// TestANewStackWithANumber brings up a stack whose settings have a number already, and upgrades it. No stage begins in
// an upgrade.
func TestANewStackWithANumber(t *testing.T) {
	r := simulate(t, "dev", rotating(atRelease(config.Releases[0].Version), 3, 25))
	r.up().must(t)
	r.mustHaveKeys(t, "master[3]3 service-account-3")
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	r.set(rotating(atRelease(config.DefaultRelease().Version), 4, 25))
	o := r.up().must(t)
	r.mustHaveKeys(t, "master[3]3 service-account-3")
	if !strings.Contains(o.printed, "stays as it is in an upgrade of Kubernetes") {
		t.Errorf("nothing says that the rotation waits:\n%s", tail(o.printed, 3000))
	}
	r.up().must(t)
	r.mustHaveKeys(t, "master[3 4]3 service-account-3 service-account-4")
}
