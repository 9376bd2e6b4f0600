//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// prometheus asks the API of Prometheus through the API server, and reads the data of its answer.
func (c *cluster) prometheus(path string, data any) error {
	out, err := c.kubectl("get", "--raw",
		"/api/v1/namespaces/monitoring/services/kube-prometheus-stack-prometheus:http-web/proxy/api/v1/"+path)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), &struct{ Data any }{data})
}

// monitors are all monitors of the cluster, as Prometheus names them in its pools: podMonitor/data/postgresql.
func (c *cluster) monitors() ([]string, error) {
	out, err := c.kubectl("get", "servicemonitors,podmonitors", "--all-namespaces", "--output",
		`jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\n"}{end}`)
	if err != nil {
		return nil, err
	}
	names := strings.Fields(out)
	for i, name := range names {
		names[i] = strings.ToLower(name[:1]) + name[1:]
	}
	return names, nil
}

// everyMonitorHasTargets expects a target of every monitor, and an answer of every target.
func everyMonitorHasTargets(t *testing.T, _ *stack, c *cluster) {
	took := eventually(t, 5*time.Minute, "an answer of every target", func() error {
		monitors, err := c.monitors()
		if err != nil {
			return err
		}
		var found struct {
			ActiveTargets []struct {
				ScrapePool, ScrapeURL, Health, LastError string
			}
		}
		if err := c.prometheus("targets?state=active", &found); err != nil {
			return err
		}
		pools := map[string]int{}
		for _, target := range found.ActiveTargets {
			pools[target.ScrapePool[:strings.LastIndex(target.ScrapePool, "/")]]++
			if target.Health != "up" {
				return fmt.Errorf("%s: %s is %s: %s", target.ScrapePool, target.ScrapeURL, target.Health, target.LastError)
			}
		}
		for _, name := range monitors {
			if pools[name] == 0 {
				return fmt.Errorf("%s has no target; others have %v", name, pools)
			}
		}
		t.Logf("targets: %v", pools)
		return nil
	})
	t.Logf("FIGURE Prometheus: every target answers after %.1f s", took.Seconds())
}

// quiet is how long the stack runs without a change before no alert may fire.
const quiet = 10 * time.Minute

// ofTheseHosts are the alerts that may fire here and not on machines of their own, and why.
var ofTheseHosts = map[string]string{
	"NodeClockNotSynchronising": "the hosts use this machine's clock, and nothing in them sets it",
	"NodeCPUHighUsage":          "the hosts report the load of this machine, with all that runs on it",
	"NodeSystemSaturation":      "the hosts report the load of this machine, with all that runs on it",
	"InfoInhibitor":             "follows alerts of severity info, such as NodeCPUHighUsage",
}

// onlyTheWatchdogFires expects no alert on a stack that has been left alone, except the one that always fires.
func onlyTheWatchdogFires(t *testing.T, _ *stack, c *cluster) {
	began := time.Now()
	var last []string
	eventually(t, 2*quiet, "ten minutes have passed", func() error {
		var found struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
		if err := c.prometheus("alerts", &found); err != nil {
			return err
		}
		last = nil
		for _, a := range found.Alerts {
			name := a.Labels["alertname"]
			delete(a.Labels, "alertname")
			if a.State == "firing" && name != "Watchdog" && ofTheseHosts[name] == "" {
				last = append(last, fmt.Sprintf("%s %v", name, a.Labels))
			}
		}
		if left := quiet - time.Since(began); left > 0 {
			return fmt.Errorf("%s are left", left.Round(time.Second))
		}
		return nil
	})
	for _, alert := range last {
		t.Errorf("fires on a healthy stack: %s", alert)
	}
	var missing struct{ Result []any }
	query := url.QueryEscape(`ALERTS{alertname="Watchdog",alertstate="firing"}`)
	if err := c.prometheus("query?query="+query, &missing); err != nil || len(missing.Result) == 0 {
		t.Errorf("the watchdog does not fire: %v", err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := c.prometheus("rules", &rules); err != nil {
		t.Fatal(err)
	}
	broken := map[string]string{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Health == "err" {
				broken[r.Name] = r.LastError
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(broken)) {
		t.Errorf("rule %s: %s", name, broken[name])
	}
}
