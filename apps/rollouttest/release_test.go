package rollouttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// speed is by how much a release is faster here than on a cluster. Everything that waits is divided by it: the pauses,
// the intervals of measurements and scrapes, and the time that a query looks back.
const speed = 30

// repository is a clone of the deployed files, with a remote that releases are pushed to.
type repository struct {
	t     *testing.T
	clone string
	env   []string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	dir := t.TempDir()
	r := &repository{t: t, clone: filepath.Join(dir, "clone")}
	r.env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "DIRECT=true", "GIT_AUTHOR_NAME=t",
		"GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	for _, name := range []string{"apps/api", "apps/worker", "envs", "apps/src/app"} {
		if err := os.CopyFS(filepath.Join(r.clone, name), os.DirFS(filepath.Join("../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(r.clone, "tools"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tools/app-release.sh", "tools/app-healthy.sh"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(r.clone, name), text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	remote := filepath.Join(dir, "remote.git")
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-qm", "start"},
		{"clone", "-q", "--bare", ".", remote}, {"remote", "add", "origin", remote}, {"fetch", "-q"},
		{"branch", "-q", "--set-upstream-to=origin/main"}} {
		r.run("git", args...)
	}
	return r
}

func (r *repository) run(program string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = r.clone, r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// release commits a digest, as the workflow does, and deploys it.
func (c *cluster) release(digest string) {
	c.t.Helper()
	c.repository.run("tools/app-release.sh", "set", c.environment, digest)
	c.sync()
}

// rollback takes the release back, as a person does.
func (c *cluster) rollback() {
	c.t.Helper()
	c.repository.run("tools/app-release.sh", "rollback", c.environment)
	c.sync()
}

// digest is what Git says.
func (c *cluster) digest() string {
	return c.repository.run("tools/app-release.sh", "digest", c.environment)
}

// sync deploys what Git says, in the order of Argo CD: wave by wave, custom resources last in each. So the Ingress is
// there before the controller can write shares for the new version. The hook that migrates the schema is left out.
func (c *cluster) sync() {
	c.t.Helper()
	c.balancer.forget()
	c.network.forgetSmokes()
	c.messages.forget()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(),
		filepath.Join(c.repository.clone, "envs", c.environment, "api"))
	if err != nil {
		c.t.Fatal(err)
	}
	waves, last := map[int][]string{}, map[int][]string{}
	for _, r := range built.Resources() {
		o, err := r.Map()
		if err != nil {
			c.t.Fatal(err)
		}
		if _, hook := r.GetAnnotations()["argocd.argoproj.io/hook"]; hook {
			continue
		}
		if r.GetKind() == "PodMonitor" {
			for _, endpoint := range o["spec"].(map[string]any)["podMetricsEndpoints"].([]any) {
				endpoint.(map[string]any)["proxyUrl"] = c.network.url
			}
		}
		if r.GetKind() == "Ingress" {
			c.keepShares(o)
		}
		text, err := json.Marshal(faster(o))
		if err != nil {
			c.t.Fatal(err)
		}
		wave, _ := strconv.Atoi(r.GetAnnotations()["argocd.argoproj.io/sync-wave"])
		if r.GetKind() == "Rollout" {
			last[wave] = append(last[wave], string(text))
			continue
		}
		waves[wave] = append(waves[wave], string(text))
	}
	for _, wave := range slices.Sorted(maps.Keys(waves)) {
		c.apply(append(waves[wave], last[wave]...)...)
	}
}

// keepShares leaves the shares of both versions as Argo Rollouts has written them, if the Ingress is there. The options
// of the Application do that on a cluster.
func (c *cluster) keepShares(ingress map[string]any) {
	const shares = "alb.ingress.kubernetes.io/actions.api"
	var live struct{ Metadata metadata }
	if c.get("/apis/networking.k8s.io/v1/namespaces/apps/ingresses/api", &live) && live.Metadata.Annotations[shares] != "" {
		ingress["metadata"].(map[string]any)["annotations"].(map[string]any)[shares] = live.Metadata.Annotations[shares]
	}
}

// faster divides the times of an object by speed. What a machine has to do takes as long as ever, so deadlines for the
// start of pods and Jobs are only divided by a third of it.
func faster(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			switch number, text := seconds(item), fmt.Sprint(item); {
			case key == "interval" || key == "initialDelay" || key == "duration":
				v[key] = fmt.Sprintf("%dms", number*1000/speed)
			case key == "scaleDownDelaySeconds" || key == "abortScaleDownDelaySeconds":
				v[key] = number / speed
			case key == "progressDeadlineSeconds" || key == "activeDeadlineSeconds":
				v[key] = number / (speed / 3)
			case key == "query":
				v[key] = strings.ReplaceAll(text, "[5m]", fmt.Sprintf("[%ds]", 300/speed))
			case key == "command" && strings.Contains(text, "app.smoke"):
				command := item.([]any)
				command[len(command)-1] = fmt.Sprintf("%.2f", float64(seconds(command[len(command)-1]))/speed)
			default:
				faster(item)
			}
		}
	case []any:
		for _, item := range v {
			faster(item)
		}
	}
	return v
}

// seconds reads a number of seconds or a duration; 0 is neither.
func seconds(v any) int {
	if duration, err := time.ParseDuration(fmt.Sprint(v)); err == nil {
		return int(duration.Seconds())
	}
	if duration, err := time.ParseDuration(fmt.Sprint(v) + "s"); err == nil {
		return int(duration.Seconds())
	}
	return 0
}

// rollout is what the controller says of the release.
type rollout struct {
	Spec   struct{ Replicas int }
	Status struct {
		Phase, Message, StableRS, CurrentPodHash string
		CurrentStepIndex                         int
		Abort                                    bool
		PauseConditions                          []struct{ Reason string }
		ObservedGeneration                       string
		Canary                                   struct {
			CurrentBackgroundAnalysisRunStatus *struct{ Status, Message string }
		}
		BlueGreen struct{ ActiveSelector, PreviewSelector string }
	}
	Metadata struct{ Generation int }
}

func (c *cluster) rollout() rollout {
	var r rollout
	if !c.get(apps+"/rollouts/api", &r) || r.Status.ObservedGeneration != fmt.Sprint(r.Metadata.Generation) {
		return rollout{}
	}
	return r
}

// hash returns the pod template hash of a version. It is empty before the controller has seen the version.
func (c *cluster) hash(digest string) string {
	var sets struct {
		Items []struct {
			Metadata metadata
			Spec     struct {
				Template struct {
					Spec struct{ Containers []struct{ Image string } }
				}
			}
		}
	}
	c.get("/apis/apps/v1/namespaces/apps/replicasets", &sets)
	for _, set := range sets.Items {
		if strings.HasSuffix(set.Spec.Template.Spec.Containers[0].Image, "@"+digest) {
			return set.Metadata.Labels["rollouts-pod-template-hash"]
		}
	}
	return ""
}

// state shows where a release stands.
func (c *cluster) state() string {
	var text strings.Builder
	for _, args := range [][]string{{"rollout/api", "-o", "jsonpath={.status}"}, {"replicasets,pods,jobs", "-o", "wide"},
		{"analysisruns", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status}{\"\\n\"}{end}"}} {
		out, _ := c.try("", append([]string{"-n", "apps", "get"}, args...)...)
		text.WriteString(out + "\n")
	}
	weights, answers := c.balancer.record()
	messages := c.messages.of(c.hash(c.digest()))
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	fmt.Fprintf(&text, "shares of the canary: %v; answers: %v; events: %v; messages: %q", weights, answers,
		c.network.events, messages)
	return text.String()
}
