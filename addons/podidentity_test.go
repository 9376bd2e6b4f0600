package addons

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

var (
	apiAccount = config.ServiceAccount{Namespace: "apps", Name: "api"}
	webAccount = config.ServiceAccount{Namespace: "apps", Name: "web"}
	// longAccount has the longest names that Kubernetes takes.
	longAccount = config.ServiceAccount{Namespace: strings.Repeat("n", 63), Name: strings.Repeat("s.", 126) + "s"}
)

// withRoles gives service accounts a role.
func withRoles(accounts ...config.ServiceAccount) func(*config.Config) {
	return func(c *config.Config) {
		everything(c)
		c.Identity.Enabled = true
		c.Identity.ServiceAccounts = accounts
	}
}

func TestTheObjectsOfIdentityAreReviewed(t *testing.T) {
	r := install(t, nil, withRoles(webAccount, apiAccount))
	for _, name := range []string{"policy-identity", "policybinding-identity"} {
		golden(t, filepath.Join("testdata", "objects", name+".yaml"), plainMap(r.find(t, name).inputs))
	}
	if !r.outlives("policybinding-identity", "release-gate-applications") {
		t.Error("Applications can start pods before the policy is there")
	}
}

// The API server of Kubernetes 1.35 does not know the kind.
func TestNoIdentityPolicyWithoutItsUse(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"no accounts":     withRoles(),
		"Kubernetes 1.35": func(c *config.Config) { withRoles(apiAccount)(c); c.Cluster.KubernetesVersion = "1.35.4" },
	} {
		if install(t, nil, change).has("policy-identity") {
			t.Errorf("%s: there is a policy", name)
		}
	}
}

// identityAPI is an API server with the policy of the platform, which has taken effect, and with the namespaces of the
// accounts and of one more, all of the security level restricted.
func identityAPI(t *testing.T, accounts ...config.ServiceAccount) *api {
	t.Helper()
	a := startAPI(t)
	for _, name := range append(namespacesOf(accounts), "other") {
		a.apply(fmt.Sprintf(`{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s: %s}}}`, name,
			"pod-security.kubernetes.io/enforce", restricted))
	}
	r := install(t, nil, withRoles(accounts...))
	for _, name := range []string{"policy-identity", "policybinding-identity"} {
		object := jsonOf(t, plainMap(r.find(t, name).inputs))
		if out, err := a.try(object, "apply", "--validate=strict", "-f", "-"); err != nil {
			t.Fatalf("%s: %v %s", name, err, out)
		}
	}
	a.until("the policy takes effect", func() bool {
		out, err := a.try(jsonOf(t, podOf(accounts[0], "{}")), "create", "--dry-run=server", "-o", "json", "-f", "-")
		return err == nil && strings.Contains(out, "AWS_ROLE_ARN")
	})
	return a
}

// container is a container of a pod, with what the tests look at.
type container struct {
	Name string `json:"name"`
	Env  []struct {
		Name, Value string
		ValueFrom   any
	} `json:"env"`
	VolumeMounts []struct {
		Name, MountPath string
		ReadOnly        bool
	} `json:"volumeMounts"`
}

// lines are the variables and mounts of the container.
func (c container) lines() []string {
	var all []string
	for _, e := range c.Env {
		if e.ValueFrom != nil {
			e.Value = "from elsewhere"
		}
		all = append(all, e.Name+"="+e.Value)
	}
	for _, m := range c.VolumeMounts {
		all = append(all, fmt.Sprintf("%s on %s, read only: %v", m.Name, m.MountPath, m.ReadOnly))
	}
	return all
}

// podOf is a pod of the account that the security level restricted allows. spec is JSON over its own.
func podOf(account config.ServiceAccount, spec string) map[string]any {
	whole := map[string]any{"serviceAccountName": account.Name, "containers": []any{map[string]any{"name": "c"}}}
	if err := json.Unmarshal([]byte(spec), &whole); err != nil {
		panic(err)
	}
	whole["securityContext"] = map[string]any{"runAsNonRoot": true,
		"seccompProfile": map[string]any{"type": "RuntimeDefault"}}
	for _, kind := range []string{"containers", "initContainers"} {
		list, _ := whole[kind].([]any)
		for _, item := range list {
			maps.Copy(item.(map[string]any), map[string]any{"image": "i", "securityContext": map[string]any{
				"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}}})
		}
	}
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "p",
		"namespace": account.Namespace}, "spec": whole}
}

// admitPod returns the containers and init containers of a pod as the API server takes it, by name, and its volumes.
func (a *api) admitPod(pod map[string]any) (map[string][]string, []any) {
	a.t.Helper()
	out, err := a.try(jsonOf(a.t, pod), "create", "--dry-run=server", "-o", "json", "-f", "-")
	if err != nil {
		a.t.Fatalf("%v %s", err, out)
	}
	var taken struct {
		Spec struct {
			Containers, InitContainers []container
			Volumes                    []any
		}
	}
	if err := json.Unmarshal([]byte(out), &taken); err != nil {
		a.t.Fatalf("%v: %s", err, out)
	}
	found := map[string][]string{}
	for _, c := range append(taken.Spec.Containers, taken.Spec.InitContainers...) {
		found[c.Name] = c.lines()
	}
	return found, taken.Spec.Volumes
}

const tokenMount = "kubeadm-aws-token on /var/run/secrets/aws, read only: true"

// roleLines are the variables of a container that has none of its own.
func roleLines(a config.ServiceAccount) []string {
	return []string{"AWS_ROLE_ARN=" + roleARN(a), "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/aws/token",
		"AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1"}
}

func withMount(env []string) []string { return append(env, tokenMount) }

// The real API server adds the role to the pods of the accounts in the settings, and to no others.
func TestPodsGetTheRoleOfTheirAccount(t *testing.T) {
	a := identityAPI(t, apiAccount, webAccount, longAccount)
	role := roleLines(apiAccount)
	for name, c := range map[string]struct {
		account config.ServiceAccount
		spec    string
		want    map[string][]string
	}{
		"one container":     {apiAccount, `{}`, map[string][]string{"c": withMount(role)}},
		"another role":      {webAccount, `{}`, map[string][]string{"c": withMount(roleLines(webAccount))}},
		"the longest names": {longAccount, `{}`, map[string][]string{"c": withMount(roleLines(longAccount))}},
		"another account":   {config.ServiceAccount{Namespace: "apps", Name: "other"}, `{}`, map[string][]string{"c": nil}},
		"another namespace": {config.ServiceAccount{Namespace: "other", Name: "api"}, `{}`, map[string][]string{"c": nil}},
		"no account":        {config.ServiceAccount{Namespace: "apps"}, `{}`, map[string][]string{"c": nil}},
		"several containers": {apiAccount, `{"containers": [{"name": "c"}, {"name": "d"}],
			"initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]}`,
			map[string][]string{"c": withMount(role), "d": withMount(role), "i": withMount(role), "s": withMount(role)}},
		"variables, mounts and volumes of its own": {apiAccount, `{"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
			"containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}], "env": [{"name": "AWS_REGION",
			"value": "x"}, {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]}`,
			map[string][]string{"c": {"AWS_REGION=x", "A=from elsewhere", role[0], role[1], role[3],
				"v on /v, read only: false", tokenMount}}},
		"a role of its own in one container": {apiAccount, `{"containers": [{"name": "c", "env": [{"name": "AWS_ROLE_ARN",
			"value": "own"}]}, {"name": "d"}]}`,
			map[string][]string{"c": {"AWS_ROLE_ARN=own"}, "d": withMount(role)}},
		"a file of its own": {apiAccount, `{"containers": [{"name": "c", "env": [{"name": "AWS_WEB_IDENTITY_TOKEN_FILE",
			"value": "own"}]}]}`, map[string][]string{"c": {"AWS_WEB_IDENTITY_TOKEN_FILE=own"}}},
		"a mount of its own": {apiAccount, `{"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "c",
			"volumeMounts": [{"name": "v", "mountPath": "/var/run/secrets/aws"}]}]}`,
			map[string][]string{"c": {"v on /var/run/secrets/aws, read only: false"}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &api{t: t, kubeconfig: a.kubeconfig}
			found, volumes := a.admitPod(podOf(c.account, c.spec))
			if !maps.EqualFunc(found, c.want, slices.Equal) {
				t.Errorf("the containers have\n%v, want\n%v", found, c.want)
			}
			mounted := slices.ContainsFunc(slices.Collect(maps.Values(found)), func(lines []string) bool {
				return slices.Contains(lines, tokenMount)
			})
			token := slices.DeleteFunc(volumes, func(v any) bool {
				return v.(map[string]any)["name"] != "kubeadm-aws-token"
			})
			var want []any
			if mounted {
				want = []any{map[string]any{"name": "kubeadm-aws-token", "projected": map[string]any{"defaultMode": 420.0,
					"sources": []any{map[string]any{"serviceAccountToken": map[string]any{"audience": "sts.amazonaws.com",
						"expirationSeconds": 3600.0, "path": "token"}}}}}}
			}
			if len(token) != len(want) || want != nil && !reflect.DeepEqual(token, want) {
				t.Errorf("the volume is %v, want %v", token, want)
			}
		})
	}
}

// A pod that runs can change, and the template of a Deployment stays as it was written: Argo CD finds no difference.
func TestOnlyPodsThatAreCreatedChange(t *testing.T) {
	a := identityAPI(t, apiAccount)
	pod := podOf(apiAccount, `{}`)
	a.apply(jsonOf(t, pod))
	a.kubectl("-n", "apps", "label", "pod", "p", "a=b")
	labels := map[string]any{"a": "b"}
	deployment := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": pod["metadata"],
		"spec": map[string]any{"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": pod["spec"]}}}
	a.apply(jsonOf(t, deployment))
	if out := a.kubectl("-n", "apps", "get", "deployment", "p", "-o", "json"); strings.Contains(out, "AWS_") {
		t.Errorf("the Deployment has changed: %s", out)
	}
}

// sidecar serves a webhook that adds the container sidecar to every pod.
func sidecar(t *testing.T) *httptest.Server {
	const patch = `[{"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "i",
		"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}}]`
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Request struct{ UID string } }
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
			"response": map[string]any{"uid": review.Request.UID, "allowed": true, "patchType": "JSONPatch",
				"patch": []byte(patch)}})
	}))
	t.Cleanup(server.Close)
	return server
}

// A container that a webhook adds after the first call of the policy gets the role too.
func TestAContainerThatIsAddedGetsTheRole(t *testing.T) {
	a := identityAPI(t, apiAccount)
	server := sidecar(t)
	a.apply(jsonOf(t, map[string]any{"apiVersion": "admissionregistration.k8s.io/v1",
		"kind": "MutatingWebhookConfiguration", "metadata": map[string]any{"name": "sidecar"},
		"webhooks": []any{map[string]any{"name": "sidecar.example.com", "admissionReviewVersions": []any{"v1"},
			"sideEffects": "None", "clientConfig": map[string]any{"url": server.URL, "caBundle": pem.EncodeToMemory(
				&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})},
			"rules": []any{map[string]any{"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"},
				"resources": []any{"pods"}}}}}}))
	var found map[string][]string
	a.until("there is a sidecar", func() bool {
		found, _ = a.admitPod(podOf(apiAccount, `{}`))
		return len(found) > 1
	})
	want := withMount(roleLines(apiAccount))
	if !slices.Equal(found["sidecar"], want) || !slices.Equal(found["c"], want) {
		t.Errorf("the containers have %v", found)
	}
}

// A hundred roles are one policy of two objects, and the API server evaluates it within its limits.
func TestAHundredRoles(t *testing.T) {
	accounts := []config.ServiceAccount{apiAccount}
	for i := range 99 {
		accounts = append(accounts, config.ServiceAccount{Namespace: fmt.Sprintf("team-%d", i%10),
			Name: fmt.Sprintf("%s-%d", strings.Repeat("x", 100), i)})
	}
	a := identityAPI(t, accounts...)
	for _, account := range []config.ServiceAccount{accounts[0], accounts[99]} {
		if found, _ := a.admitPod(podOf(account, `{}`)); !slices.Equal(found["c"], withMount(roleLines(account))) {
			t.Errorf("the container has %v", found)
		}
	}
}
