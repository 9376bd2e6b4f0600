package verify

import (
	"net/http"
	"strings"
	"testing"
)

// release puts the Application root and its Rollout into the states of a release from one version to another.
func (f *fakeAPI) release(health, phase, stable, current string) {
	first(f, "/apis/argoproj.io/v1alpha1/applications")["status"] = map[string]any{
		"sync": map[string]any{"status": "Synced"}, "health": map[string]any{"status": health},
	}
	api := obj("api", "apps", map[string]any{"status": map[string]any{
		"phase": phase, "stableRS": stable, "currentPodHash": current,
	}})
	metadata(api)["annotations"] = map[string]any{"argocd.argoproj.io/tracking-id": "root:argoproj.io/Rollout:apps/api"}
	f.objects["/apis/argoproj.io/v1alpha1/rollouts"] = []any{api}
}

func TestAReleaseUnderWayIsNoFault(t *testing.T) {
	for health, phase := range map[string]string{"Progressing": "Progressing", "Suspended": "Paused"} {
		f := healthy(t)
		f.release(health, phase, "old", "new")
		r := f.check(t, Options{})["argo cd"]
		if r.Status == Failed || !strings.Contains(r.Message, "a release is under way in root") {
			t.Errorf("%s: %q, %q", health, r.Status, r.Message)
		}
	}
}

// If an Ingress names the path of its application's health check, that path has to answer there. This holds if the load
// balancer forwards the path and asks for the usual codes itself. Otherwise every answer of the application passes.
func TestTheHealthOfAnApplicationIsAsked(t *testing.T) {
	route := func(path, pathType string) func(map[string]any) {
		return func(i map[string]any) {
			rule := i["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)
			rule["http"] = map[string]any{"paths": []any{map[string]any{"path": path, "pathType": pathType}}}
		}
	}
	all := route("/", "Prefix")
	annotated := func(key, value string) func(map[string]any) {
		return func(i map[string]any) {
			all(i)
			metadata(i)["annotations"].(map[string]any)[albAnnotation+key] = value
		}
	}
	const ownHealth = "for /healthz, its own health"
	for _, tt := range []struct {
		what   string
		health string
		routes func(map[string]any)
		code   int
		says   string
	}{
		{"well", "/healthz", all, http.StatusOK, ""},
		{"well elsewhere", "/healthz", all, http.StatusFound, ""},
		{"no such path", "/healthz", all, http.StatusNotFound, "404 " + ownHealth},
		{"it fails", "/healthz", all, http.StatusInternalServerError, "500 " + ownHealth},
		{"the path itself", "/healthz", route("/healthz", "Exact"), http.StatusNotFound, ownHealth},
		{"the path as a prefix", "/healthz", route("/healthz/", "Prefix"), http.StatusNotFound, ownHealth},
		{"a pattern", "/healthz", route("/*", "ImplementationSpecific"), http.StatusNotFound, ownHealth},
		{"only /api is routed", "/healthz", route("/api", "Prefix"), http.StatusNotFound, ""},
		{"only a part of the name", "/healthz", route("/health", "Prefix"), http.StatusNotFound, ""},
		{"only / itself", "/healthz", route("/", "Exact"), http.StatusNotFound, ""},
		{"only what is below", "/healthz", route("/api/*", "ImplementationSpecific"), http.StatusNotFound, ""},
		{"nothing is routed", "/healthz", func(map[string]any) {}, http.StatusNotFound, ""},
		{"other codes", "/healthz", annotated("success-codes", "200-404"), http.StatusNotFound, ""},
		{"another port", "/healthz", annotated("healthcheck-port", "8081"), http.StatusNotFound, ""},
		{"gRPC", "/healthz", annotated("backend-protocol-version", "GRPC"), http.StatusNotFound, ""},
		{"no health path", "", all, http.StatusNotFound, ""},
		{"no health path, / fails", "", all, http.StatusInternalServerError, ""},
		{"no health path, / is not there yet", "", all, http.StatusNotImplemented, ""},
		{"no target", "", all, http.StatusServiceUnavailable, "no healthy target"},
		{"no target for /api", "/healthz", route("/api", "Prefix"), http.StatusServiceUnavailable, "no healthy target"},
	} {
		f := healthy(t)
		i := f.ingress(t, tt.code)
		if tt.health != "" {
			metadata(i)["annotations"] = map[string]any{healthPath: tt.health}
		}
		tt.routes(i)
		f.objects["/apis/networking.k8s.io/v1/ingresses"] = []any{i}
		r := f.check(t, Options{})["ingress"]
		if (r.Status == Failed) != (tt.says != "") || !strings.Contains(r.Message, tt.says) {
			t.Errorf("%s, answers %d: %q, %q", tt.what, tt.code, r.Status, r.Message)
		}
	}
}

// A fault counts as one of applications only if nothing of the platform is among the faults of its check.
func TestFaultsOfApplicationsAreDistinguished(t *testing.T) {
	sick := func(f *fakeAPI, namespaces ...string) {
		for _, ns := range namespaces {
			p := obj("sick", "", map[string]any{"status": map[string]any{"phase": "Failed"}})
			metadata(p)["namespace"] = ns
			f.objects["/api/v1/pods"] = append(f.objects["/api/v1/pods"].([]any), p)
		}
	}
	published := func(f *fakeAPI, ns string) {
		i := f.ingress(t, http.StatusServiceUnavailable)
		metadata(i)["namespace"] = ns
		f.objects["/apis/networking.k8s.io/v1/ingresses"] = []any{i}
	}
	const (
		databases = "/apis/postgresql.cnpg.io/v1/clusters"
		issuers   = "/apis/cert-manager.io/v1/clusterissuers"
	)
	unready := func(f *fakeAPI, path string, namespaces ...string) {
		for _, ns := range namespaces {
			o := obj("sick", "", conditions("Ready=False"))
			metadata(o)["namespace"] = ns
			f.objects[path] = append(f.objects[path].([]any), o)
		}
	}
	unissued := func(f *fakeAPI, namespaces ...string) {
		unready(f, "/apis/cert-manager.io/v1/certificates", namespaces...)
	}
	served := func(f *fakeAPI, ns string) {
		o := obj("v1.sick", "", conditions("Available=False"))
		metadata(o)["namespace"] = ""
		o["spec"] = map[string]any{"service": map[string]any{"namespace": ns}}
		f.objects["/apis/apiregistration.k8s.io/v1/apiservices"] = []any{o}
	}
	for _, tt := range []struct {
		check, what  string
		applications bool
		do           func(*fakeAPI)
	}{
		{"argo cd", "a release was aborted", true, func(f *fakeAPI) { f.release("Degraded", "Degraded", "old", "new") }},
		{"argo cd", "the root Application is missing", false, func(f *fakeAPI) {
			f.objects["/apis/argoproj.io/v1alpha1/applications"] = []any{}
		}},
		{"argo cd", "the API does not answer", false, func(f *fakeAPI) {
			delete(f.objects, "/apis/argoproj.io/v1alpha1/applications")
		}},
		{"other pods", "of an application", true, func(f *fakeAPI) { sick(f, "apps") }},
		{"other pods", "of an add-on", false, func(f *fakeAPI) { sick(f, "monitoring") }},
		{"other pods", "of the network", false, func(f *fakeAPI) { sick(f, "calico-system") }},
		{"other pods", "of both", false, func(f *fakeAPI) { sick(f, "apps", "data", "shop") }},
		{"ingress", "of an application", true, func(f *fakeAPI) { published(f, "apps") }},
		{"ingress", "of the platform", false, func(f *fakeAPI) { published(f, "argocd") }},
		{"ingress", "of the shared load balancer", false, func(f *fakeAPI) { published(f, "ingress") }},
		{"certificates", "of an application", true, func(f *fakeAPI) { unissued(f, "apps") }},
		{"certificates", "of both", false, func(f *fakeAPI) { unissued(f, "apps", "kube-system") }},
		{"postgresql", "of a user", true, func(f *fakeAPI) { unready(f, databases, "shop") }},
		{"postgresql", "of the platform", false, func(f *fakeAPI) { unready(f, databases, "data") }},
		{"postgresql", "of both", false, func(f *fakeAPI) { unready(f, databases, "shop", "data") }},
		{"cert-manager", "another issuer", true, func(f *fakeAPI) { unready(f, issuers, "") }},
		{"api services", "of a user", true, func(f *fakeAPI) { served(f, "keda") }},
		{"api services", "of an add-on", false, func(f *fakeAPI) { served(f, "kube-system") }},
		{"nodes", "one is missing", false, func(f *fakeAPI) {
			f.objects["/api/v1/nodes"] = f.objects["/api/v1/nodes"].([]any)[:1]
		}},
	} {
		t.Run(tt.check+": "+tt.what, func(t *testing.T) {
			f := healthy(t)
			tt.do(f)
			r := f.check(t, Options{})[tt.check]
			if r.Status != Failed || r.Applications != tt.applications {
				t.Errorf("%s: %q, only of applications: %t, want %t", r.Status, r.Message, r.Applications, tt.applications)
			}
		})
	}
}
