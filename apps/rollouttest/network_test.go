package rollouttest

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// prometheusHost is where the AnalysisTemplate asks.
const prometheusHost = "kube-prometheus-stack-prometheus.monitoring.svc:9090"

// network is the DNS, the Services and the pods of the cluster, as an HTTP proxy. Controllers that send requests to a
// Service or a pod use it.
type network struct {
	url        string
	prometheus *url.URL

	mu        sync.Mutex
	processes map[string]*process // by the address of the pod
	addresses map[string]string   // by the UID of the pod
	routes    map[string][]string // the addresses of the ready pods of a Service
	events    []string
	smokes    []string // the versions whose smoke test has run since the last release
}

func newNetwork(t *testing.T) *network {
	n := &network{processes: map[string]*process{}, addresses: map[string]string{}}
	proxy := httptest.NewServer(n)
	t.Cleanup(proxy.Close)
	n.url = proxy.URL
	return n
}

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Host == prometheusHost {
		to := httputil.NewSingleHostReverseProxy(n.prometheus)
		to.ErrorLog = log.New(io.Discard, "", 0)
		to.ServeHTTP(w, r)
		return
	}
	name := r.URL.Hostname()
	n.mu.Lock()
	process := n.processes[name]
	if ready := n.routes[name]; process == nil && len(ready) > 0 {
		process = n.processes[ready[rand.IntN(len(ready))]]
	}
	n.mu.Unlock()
	if process == nil {
		http.Error(w, name+": nothing answers", http.StatusServiceUnavailable)
		return
	}
	process.ServeHTTP(w, r)
}

// start returns the process of a pod, and its address.
func (n *network) start(uid, ip, digest string) (string, *process) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ip == "" {
		ip = n.addresses[uid]
	}
	if ip == "" {
		ip = fmt.Sprintf("10.244.%d.%d", len(n.addresses)/250, len(n.addresses)%250+1)
		n.addresses[uid] = ip
		n.processes[ip] = newProcess(digest)
	}
	return ip, n.processes[ip]
}

func (n *network) end(ip string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.processes, ip)
}

// runs reports whether a version has pods.
func (n *network) runs(digest string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.processes {
		if p.digest == digest {
			return true
		}
	}
	return false
}

// route takes over the endpoints of the Services.
func (n *network) route(slices []slice) {
	routes := map[string][]string{}
	for _, s := range slices {
		name := s.Metadata.Labels["kubernetes.io/service-name"]
		for _, e := range s.Endpoints {
			if e.Conditions.Ready {
				routes[name] = append(routes[name], e.Addresses...)
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes = routes
}

func (n *network) note(event string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, event)
}

func (n *network) smoke(digest string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.smokes = append(n.smokes, digest)
}

// smoked returns the versions whose smoke test has run since the last release.
func (n *network) smoked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.smokes)
}

func (n *network) forgetSmokes() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.smokes = nil
}

// balancer is the load balancer: it sends requests of users to Services, in the shares that the Ingress asks for.
type balancer struct {
	network *network

	mu      sync.Mutex
	quiet   bool
	shares  []share
	weights []int           // each share of the canary that was set
	served  map[string]bool // the versions that have answered
	answers []answer
}

type share struct {
	ServiceName string
	Weight      int
}

type answer struct {
	digest string
	code   int
}

// shift takes over the annotation of the Ingress. Without it all requests go to the Service api.
func (b *balancer) shift(annotation string) {
	var action struct {
		ForwardConfig struct{ TargetGroups []share }
	}
	shares := []share{{"api", 1}}
	if json.Unmarshal([]byte(annotation), &action) == nil && len(action.ForwardConfig.TargetGroups) > 0 {
		shares = action.ForwardConfig.TargetGroups
	}
	canary := 0
	for _, s := range shares {
		if s.ServiceName == "api-canary" {
			canary = s.Weight
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.weights) == 0 || b.weights[len(b.weights)-1] != canary {
		b.weights = append(b.weights, canary)
	}
	b.shares = shares
}

// ServeHTTP answers at the public address.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	total, service := 0, ""
	for _, s := range b.shares {
		total += s.Weight
	}
	for at, i := rand.IntN(max(total, 1)), 0; i < len(b.shares) && service == ""; i++ {
		if at -= b.shares[i].Weight; at < 0 {
			service = b.shares[i].ServiceName
		}
	}
	b.mu.Unlock()
	r.URL.Host = service
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	b.network.ServeHTTP(w, r)
}

// send is one request of a user: a new job.
func (b *balancer) send() {
	b.mu.Lock()
	quiet := b.quiet || len(b.shares) == 0
	b.mu.Unlock()
	if quiet {
		return
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/jobs", strings.NewReader(`{"text": "one two three"}`)))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers = append(b.answers, answer{w.Header().Get("Digest"), w.Code})
	b.served[w.Header().Get("Digest")] = true
}

// silence stops or starts the requests of users.
func (b *balancer) silence(quiet bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.quiet = quiet
}

// forget starts a new record of shares and answers.
func (b *balancer) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.weights, b.answers, b.served = nil, nil, map[string]bool{}
}

// again starts a new record of answers.
func (b *balancer) again() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers = nil
}

// has reports whether a version has answered a user since its release.
func (b *balancer) has(digest string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.served[digest]
}

// record returns the shares that the canary has had, and how often each version answered with each code.
func (b *balancer) record() ([]int, map[answer]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[answer]int{}
	for _, a := range b.answers {
		counts[a]++
	}
	return append([]int(nil), b.weights...), counts
}
