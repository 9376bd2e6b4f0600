package rollouttest

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The versions. Each is a digest, which is all that a release changes.
var (
	first    = version("1")
	second   = version("2")
	third    = version("3")
	failing  = version("a")
	slow     = version("b")
	broken   = version("c")
	unready  = version("d")
	mute     = version("e")
	versions = map[string]behaviour{
		first: {ready: true, seconds: 0.1}, second: {ready: true, seconds: 0.1}, third: {ready: true, seconds: 0.1},
		failing: {ready: true, seconds: 0.1, failing: true}, slow: {ready: true, seconds: 2},
		broken: {ready: true, seconds: 0.1, broken: true}, unready: {seconds: 0.1},
		mute: {ready: true, seconds: 0.1, mute: true},
	}
)

func version(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func TestRealReleases(t *testing.T) {
	if testing.Short() {
		t.Skip("starts control planes")
	}
	p := build(t)
	// All at once, on any number of cores: they wait most of the time.
	var all sync.WaitGroup
	for name, test := range map[string]func(*testing.T, programs){
		"canary": canary, "without requests": quiet, "without Prometheus": blind, "blue-green": blueGreen,
	} {
		all.Go(func() { t.Run(name, func(t *testing.T) { test(t, p) }) })
	}
	all.Wait()
}

// isReleased waits until a version is what all users get.
func (c *cluster) isReleased(digest string) {
	c.t.Helper()
	c.until("the version is released", func() bool {
		r, hash := c.rollout(), c.hash(digest)
		if r.Status.Abort {
			c.t.Fatalf("the release was aborted\n%s", c.state())
		}
		return hash != "" && r.Status.Phase == "Healthy" && r.Status.StableRS == hash && r.Status.CurrentPodHash == hash
	})
	c.serves(digest)
}

// The reasons of an abort, as the controller writes them. The deadline is that of pods which do not get ready.
var (
	byPerson   = regexp.MustCompile(`^RolloutAborted: Rollout aborted update to revision \d+$`)
	byDeadline = regexp.MustCompile(`ReplicaSet "api-.*" has timed out progressing`)
	byErrors   = regexp.MustCompile(`assessed Error`)
	byRate     = regexp.MustCompile(`Metric "success-rate" assessed Failed`)
	byLatency  = regexp.MustCompile(`Metric "latency" assessed Failed`)
	bySmoke    = regexp.MustCompile(`Metric "smoke" assessed Failed`)
)

// isAborted waits until a release is aborted for a reason, and wants all users to get the version before.
func (c *cluster) isAborted(stable string, reason *regexp.Regexp) {
	c.t.Helper()
	var r rollout
	c.until("the release is aborted", func() bool {
		r = c.rollout()
		if r.Status.Phase == "Healthy" && r.Status.StableRS == c.hash(c.digest()) {
			c.t.Fatalf("the version was released\n%s", c.state())
		}
		return r.Status.Abort && r.Status.Phase == "Degraded"
	})
	hash := c.hash(c.digest())
	c.until("the watch has the message of the abort", func() bool {
		return slices.Contains(c.messages.of(hash), r.Status.Message)
	})
	if said := c.messages.of(hash); !slices.ContainsFunc(said, reason.MatchString) {
		c.t.Errorf("the release was aborted with: %q; want %s\n%s", said, reason, c.state())
	}
	if r.Status.StableRS != c.hash(stable) {
		c.t.Errorf("the version before is no longer the stable one\n%s", c.state())
	}
	c.serves(stable)
}

// serves waits until at least twenty answers in a row are 202 of the version. It does not look at answers after that.
func (c *cluster) serves(digest string) {
	c.t.Helper()
	good := answer{digest, 202}
	c.until("users get the version", func() bool {
		c.balancer.again()
		var counts map[answer]int
		c.until("users send requests", func() bool {
			_, counts = c.balancer.record()
			total := 0
			for _, n := range counts {
				total += n
			}
			return total >= 20
		})
		return len(counts) == 1 && counts[good] > 0
	})
}

// isHeld waits until a release is paused because the analysis has no result, and wants users to get the version before.
func (c *cluster) isHeld(stable string) {
	c.t.Helper()
	c.until("the release is held", func() bool {
		r := c.rollout()
		if r.Status.Abort || r.Status.Phase == "Healthy" && r.Status.StableRS == c.hash(c.digest()) {
			c.t.Fatalf("the release is over\n%s", c.state())
		}
		return r.Status.Phase == "Paused" && slices.ContainsFunc(r.Status.PauseConditions,
			func(p struct{ Reason string }) bool { return p.Reason == "InconclusiveAnalysisRun" })
	})
	if r := c.rollout(); r.Status.StableRS != c.hash(stable) {
		c.t.Errorf("the version before is no longer the stable one\n%s", c.state())
	}
}

// hadShare wants the largest share of requests that a canary had.
func (c *cluster) hadShare(most int) {
	c.t.Helper()
	if shares, _ := c.balancer.record(); len(shares) == 0 || slices.Max(shares) != most {
		c.t.Errorf("the shares of the canary were %v, want %d at most", shares, most)
	}
}

// never wants that a version answered no user since its release.
func (c *cluster) never(digest string) {
	c.t.Helper()
	if c.balancer.has(digest) {
		c.t.Errorf("users got %s", digest)
	}
}

// plugs runs the plugin of kubectl.
func (c *cluster) plugs(args ...string) {
	c.t.Helper()
	args = append(args, "--namespace=apps", "--kubeconfig="+c.api.Kubeconfig)
	if out, err := exec.Command(c.programs.plugin, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("kubectl argo rollouts %v: %v\n%s", args, err, out)
	}
}

// errors ends Prometheus when the analysis has begun, and waits for a number of measurements that fail.
func (c *cluster) errors(number int) {
	c.t.Helper()
	measured := func(count func(result) int) bool {
		for _, run := range c.analyses() {
			for _, r := range run.Status.MetricResults {
				if run.Metadata.Labels["rollouts-pod-template-hash"] == c.hash(c.digest()) && count(r) >= number {
					return true
				}
			}
		}
		return false
	}
	c.until("the version is measured", func() bool {
		return measured(func(r result) int { return map[bool]int{true: r.Successful}[r.Name == "success-rate"] })
	})
	c.prometheus.halt()
	c.until("a measurement fails", func() bool { return measured(func(r result) int { return r.Error }) })
}

type result struct {
	Name              string
	Successful, Error int
}

type analysis struct {
	Metadata metadata
	Status   struct {
		Phase         string
		MetricResults []result
	}
}

func (c *cluster) analyses() []analysis {
	var all struct{ Items []analysis }
	c.get(apps+"/analysisruns", &all)
	return all.Items
}

// smoked wants that the smoke test of the version itself has run a number of times.
func (c *cluster) smoked(times int) {
	c.t.Helper()
	got := c.network.smoked()
	if len(got) != times || slices.ContainsFunc(got, func(digest string) bool { return digest != c.digest() }) {
		c.t.Errorf("the smoke tests were of %v, want %d of %s", got, times, c.digest())
	}
}
