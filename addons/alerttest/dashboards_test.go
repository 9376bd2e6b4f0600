package alerttest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

const applicationDashboard = "../../apps/api/base/dashboard.json"

// expressions returns the queries of a dashboard. Grafana's interval becomes a fixed one.
func expressions(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var all []string
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			all = append(all, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	return all
}

// TestPrometheusTakesTheQueriesOfEveryDashboard also asks whether the application writes the metrics that its
// dashboard shows.
func TestPrometheusTakesTheQueriesOfEveryDashboard(t *testing.T) {
	files, err := filepath.Glob("../dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	written := writtenByTheApplication(t)
	for _, file := range append(files, applicationDashboard) {
		queries := expressions(t, file)
		if len(queries) == 0 {
			t.Errorf("%s shows nothing", file)
		}
		for _, query := range queries {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
			if err != nil {
				t.Errorf("%s: %s: %v", file, query, err)
				continue
			}
			for _, selectors := range parser.ExtractSelectors(expr) {
				for _, m := range selectors {
					if file == applicationDashboard && m.Name == "__name__" && !written[m.Value] {
						t.Errorf("%s: nothing writes %s", file, m.Value)
					}
				}
			}
		}
	}
}

var metric = regexp.MustCompile(`\b(Counter|Gauge|Histogram)\(\s*"(\w+)"`)

// writtenByTheApplication returns the metrics in the application's source, and those of its pods and releases.
func writtenByTheApplication(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../apps/src/app/*.py")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{"up": true, "rollout_info": true}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range metric.FindAllStringSubmatch(string(text), -1) {
			written[found[2]+map[string]string{"Counter": "_total", "Histogram": "_bucket"}[found[1]]] = true
		}
	}
	if len(written) < 7 {
		t.Fatalf("the source has the metrics %v", written)
	}
	return written
}
