package rollouttest

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// process is a pod of the API. It has the routes that the smoke test uses and the metrics of apps/src/app/api.py.
type process struct {
	digest string
	// reported is the readiness that the kubelet has reported.
	reported bool

	mu        sync.Mutex
	requests  map[string]int // by the labels of http_requests_total
	durations map[string][]float64
}

// behaviour is what a version does.
type behaviour struct {
	ready bool
	// broken versions answer 500 to everybody, failing ones to every second user, so that the smoke test does not see it.
	broken, failing bool
	// seconds is what the metrics say that a new job takes.
	seconds float64
	// mute versions have no metrics.
	mute bool
}

func newProcess(digest string) *process {
	return &process{digest: digest, requests: map[string]int{}, durations: map[string][]float64{}}
}

func (p *process) answers() behaviour { return versions[p.digest] }

func (p *process) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := p.answers()
	w.Header().Set("Digest", p.digest)
	route, code := "other", http.StatusNotFound
	switch {
	case r.URL.Path == "/metrics":
		p.metrics(w, b)
		return
	case r.Method == http.MethodPost && r.URL.Path == "/jobs":
		route, code = "/jobs", http.StatusAccepted
	case strings.HasPrefix(r.URL.Path, "/jobs/"):
		route, code = "/jobs/{job_id}", http.StatusOK
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	user := r.Header.Get("X-Forwarded-For") != ""
	if b.broken || b.failing && user && len(p.durations["POST /jobs"])%2 == 0 {
		code = http.StatusInternalServerError
	}
	p.requests[fmt.Sprintf(`method="%s",route="%s",code="%d"`, r.Method, route, code)]++
	key := r.Method + " " + route
	p.durations[key] = append(p.durations[key], b.seconds)
	w.WriteHeader(code)
	fmt.Fprint(w, `{"id": "5a0c9c1e-6d3b-4b5a-9a51-0a5f5c1f7f10", "state": "done", "attempts": 1, "result": 3}`)
}

// bounds are the upper limits of the histogram of apps/src/app/api.py, in seconds.
var bounds = sync.OnceValue(func() []float64 {
	text, err := os.ReadFile("../src/app/api.py")
	if err != nil {
		panic(err)
	}
	var limits []float64
	list := regexp.MustCompile(`buckets=\((.*)\)`).FindSubmatch(text)[1]
	for _, limit := range strings.Split(string(list), ", ") {
		number, err := strconv.ParseFloat(limit, 64)
		if err != nil {
			panic(err)
		}
		limits = append(limits, number)
	}
	return limits
})

func (p *process) metrics(w http.ResponseWriter, b behaviour) {
	if b.mute {
		http.Error(w, "no metrics", http.StatusNotFound)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintln(w, "# TYPE http_requests_total counter")
	for labels, count := range p.requests {
		fmt.Fprintf(w, "http_requests_total{%s} %d\n", labels, count)
	}
	fmt.Fprintln(w, "# TYPE http_request_duration_seconds histogram")
	for key, seconds := range p.durations {
		method, route, _ := strings.Cut(key, " ")
		labels := fmt.Sprintf(`method="%s",route="%s"`, method, route)
		sum := 0.0
		for _, limit := range bounds() {
			below := 0
			for _, s := range seconds {
				if s <= limit {
					below++
				}
			}
			fmt.Fprintf(w, "http_request_duration_seconds_bucket{%s,le=\"%v\"} %d\n", labels, limit, below)
		}
		for _, s := range seconds {
			sum += s
		}
		fmt.Fprintf(w, "http_request_duration_seconds_bucket{%s,le=\"+Inf\"} %d\n", labels, len(seconds))
		fmt.Fprintf(w, "http_request_duration_seconds_count{%s} %d\n", labels, len(seconds))
		fmt.Fprintf(w, "http_request_duration_seconds_sum{%s} %v\n", labels, sum)
	}
}

// The process has the names and labels of the real application's metrics.
func TestMetricsAreThoseOfTheApplication(t *testing.T) {
	text, err := os.ReadFile("../src/app/api.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, definition := range []string{
		`Counter("http_requests", "Requests that were answered.", ["method", "route", "code"])`,
		"\"http_request_duration_seconds\",\n    \"Time to answer a request.\",\n    [\"method\", \"route\"],",
	} {
		if !strings.Contains(string(text), definition) {
			t.Errorf("the application does not have %s", definition)
		}
	}
}
