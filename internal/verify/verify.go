// Package verify checks a running cluster through its API, as a user would: nodes, system pods, add-ons, a
// volume that is written to, names that resolve, data services that answer a client, backups and certificates. It
// speaks plain HTTPS with the certificate of a kubeconfig and runs no kubectl.
package verify

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/config"
)

// The outcomes of a check.
const (
	OK      = "ok"
	Failed  = "FAILED"
	Skipped = "skipped"
	// Waiting is a check that fails and is tried again; its outcome follows.
	Waiting = "waiting"
)

// Result is the outcome of one check.
type Result struct {
	Check  string
	Status string
	// Message describes the finding; for a skipped check the reason why it was not made.
	Message string
	// LookAt is where to look when the check failed: a command, or a place.
	LookAt string
	// Applications reports whether only applications of the user made the check fail. They come from Git, so another
	// version of the platform does not correct them.
	Applications bool
}

// Options are the settings of Run.
type Options struct {
	// Config has the settings that the cluster is compared with.
	Config *config.Config
	// Hosts is set for a cluster on hosts of this machine, where no resources exist in AWS and charts are only recorded,
	// except the releases in Real.
	Hosts bool
	Real  []string
	// Wait is how long a check that fails is tried again before it counts.
	Wait time.Duration
	// Report gets each result as soon as it is final, and a check that is tried again when it fails first. May be nil.
	Report func(Result)
	// Now is the clock; nil is the real one.
	Now func() time.Time
	// roots are trusted for Ingresses; nil trusts the system's.
	roots *x509.CertPool
	// pause waits between two tries; tests replace it.
	pause func(context.Context, time.Duration) error
}

// tryAgainAfter is the pause between two tries of a check that failed.
const tryAgainAfter = 5 * time.Second

// check is one check by its name.
type check struct {
	name string
	run  func(context.Context, *run) finding
}

// run has the inputs that all checks share.
type run struct {
	api *API
	Options
	// id makes the names of what checks create different from those of another run at the same time.
	id string
	// tries counts the namespaces made, which makes their names differ.
	tries int
}

// checks are in the order in which a person would look: each check comes after those of what it depends on.
var checks = slices.Concat([]check{
	{"api", apiAnswers},
	{"nodes", nodesReady},
	{"node taints", nodeTaints},
	{"provider ids", providerIDs},
	{"zones", nodeZones},
	{"labels and taints", nodeSettings},
	{"system pods", systemPods},
	{"other pods", otherPods},
	{"dns and pod network", podsResolve},
	{"dns placement", dnsSpread},
	{"api services", apiServices},
}, addonChecks(), []check{
	{"etcd backup", backupAge},
	{"certificates", certificates},
	{"issuer", issuerPublished},
})

// Run makes all checks, tries those that fail again until they pass or Options.Wait is over, and returns the results in
// the order of the checks. An error means that the checks could not be made at all, or that ctx ended.
func Run(ctx context.Context, api *API, o Options) ([]Result, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.pause == nil {
		o.pause = pause
	}
	if o.Report == nil {
		o.Report = func(Result) {}
	}
	id := make([]byte, 3)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	r := &run{api: api, Options: o, id: hex.EncodeToString(id)}
	deadline := o.Now().Add(o.Wait)
	var results []Result
	for _, c := range checks {
		f := c.run(ctx, r)
		if f.status == Failed && o.Now().Before(deadline) {
			// Report the fault now: the tries that follow may take the whole of Options.Wait.
			o.Report(Result{Check: c.name, Status: Waiting, Message: f.message, LookAt: f.lookAt})
		}
		for f.status == Failed && ctx.Err() == nil && o.Now().Before(deadline) {
			if err := o.pause(ctx, tryAgainAfter); err != nil {
				break
			}
			f = c.run(ctx, r)
		}
		if err := ctx.Err(); err != nil {
			return results, err
		}
		result := Result{Check: c.name, Status: f.status, Message: f.message, LookAt: f.lookAt, Applications: f.applications}
		o.Report(result)
		results = append(results, result)
		if c.name == "api" && f.status == Failed {
			return results, nil // without an API every other check would only repeat that
		}
		if c.name == "api" {
			r.removeStale(ctx)
		}
	}
	return results, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// finding is the outcome of one try of a check.
type finding struct {
	status, message, lookAt string
	// applications is as in Result.
	applications bool
}

func ok(format string, args ...any) finding {
	return finding{status: OK, message: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) finding {
	return finding{status: Skipped, message: fmt.Sprintf(format, args...)}
}

func failed(lookAt, format string, args ...any) finding {
	return finding{status: Failed, message: fmt.Sprintf(format, args...), lookAt: lookAt}
}

// ingressNamespace is the namespace of the Ingress that stands for the shared load balancer.
const ingressNamespace = "ingress"

// failedIn is failed for faults by the namespace in which they are. Each one has its own text.
func failedIn(lookAt string, faults map[string][]string) finding {
	var texts []string
	applications := true
	for namespace, list := range faults {
		texts = append(texts, list...)
		applications = applications && !ofPlatform(namespace)
	}
	slices.Sort(texts)
	f := failed(lookAt, "%s", join(texts))
	f.applications = applications
	return f
}

// ofPlatform reports whether the platform makes what is in a namespace. It makes what is in none.
func ofPlatform(namespace string) bool {
	if namespace == "" || namespace == ingressNamespace || strings.HasPrefix(namespace, "kube-") ||
		strings.HasPrefix(namespace, "calico-") {
		return true
	}
	return slices.ContainsFunc(catalog.Addons, func(a catalog.Addon) bool {
		return slices.ContainsFunc(a.Charts, func(c catalog.Chart) bool { return c.Namespace == namespace })
	})
}

// broken is the finding for an error of the API.
func broken(lookAt string, err error) finding {
	if kubeapi.IsStatus(err, http.StatusForbidden) {
		return failed("the kubeconfig: does it belong to an administrator?", "%v", err)
	}
	return failed(lookAt, "%v", err)
}
