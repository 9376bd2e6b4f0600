//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox"
)

// registry is the host of the application's images in tools/mirror/platform.txt.
const registry = "registry.example.com"

// delivery is a stack whose Argo CD deploys the sample application from a Git server of the test.
type delivery struct{ git *gitServer }

// deliver makes a repository of apps/ and envs/ as they are in this one, with the digest of an image that the mirror
// has, and points Argo CD of the stack at it.
func deliver(t *testing.T, s *stack) delivery {
	t.Helper()
	// The driver reads no secret of the settings. This is the key that it puts there.
	key, err := ssh.ParsePrivateKey([]byte(sandbox.Placeholder(config.Namespace+":"+config.RepositoryKey,
		sandbox.EncryptedSetting)))
	if err != nil {
		t.Fatal(err)
	}
	d := delivery{startGit(t, key.PublicKey())}
	d.release(t, "one")
	s.set(t, config.RepositoryKey, map[string]any{"secure": "v1:encrypted"})
	s.addon(t, "argocd", map[string]any{
		"repoUrl": d.git.URL, "revision": "main", "knownHosts": []string{d.git.KnownHosts}, "registry": registry,
	})
	return d
}

// release commits the digest of a version of the application, with the script that a person uses.
func (d delivery) release(t *testing.T, version string) {
	t.Helper()
	d.git.run(t, filepath.Join(root(), "tools/app-release.sh"), "set", "dev", imageDigest(t, registry+"/app:"+version))
}

// imageDigest returns the digest of an image of the mirror.
func imageDigest(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(root(), "tools/mirror/digest"), name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// addon sets settings of an add-on and leaves those of the others.
func (s *stack) addon(t *testing.T, name string, settings map[string]any) {
	t.Helper()
	all, _ := s.settings["kubeadm-aws:addons"].(map[string]any)
	if all == nil {
		all = map[string]any{}
	}
	all[name] = settings
	s.set(t, "addons", all)
}

// nodePort returns the address of a Service of type NodePort through worker-1.
func (c *cluster) nodePort(t *testing.T, namespace, name string) string {
	t.Helper()
	node := c.must(t, "get", "node", "worker-1", "--output",
		`jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`)
	return node + ":" + c.must(t, "--namespace", namespace, "get", "service", name, "--output",
		`jsonpath={.spec.ports[?(@.name=="http")].nodePort}`)
}

// request sends JSON and reads JSON. It returns the status code, or 0 if nothing answered.
func request(method, url, token string, body, answer any) (int, error) {
	sent, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequest(method, url, bytes.NewReader(sent))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	// Each request on a connection of its own, so that a Service chooses a pod for each.
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	got, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return got.StatusCode, err
	}
	if got.StatusCode >= 300 {
		return got.StatusCode, fmt.Errorf("%s %s: %s: %s", method, url, got.Status, text)
	}
	return got.StatusCode, json.Unmarshal(text, answer)
}

// argoCDLogin asks for a session as a person does, and lists the Applications with it.
func argoCDLogin(t *testing.T, s *stack, c *cluster) {
	address := "http://" + c.nodePort(t, "argocd", "argocd-server")
	login := func(password string) (token string, code int, err error) {
		var session struct{ Token string }
		code, err = request(http.MethodPost, address+"/api/v1/session", "",
			map[string]string{"username": "admin", "password": password}, &session)
		return session.Token, code, err
	}
	if _, code, err := login("wrong"); code != http.StatusUnauthorized {
		t.Errorf("login with another password: %d %v, want 401", code, err)
	}
	token, _, err := login(s.output(t, "argocdPassword"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if _, err := request(http.MethodGet, address+"/api/v1/applications", token, nil, &list); err != nil {
		t.Fatal(err)
	}
	for _, a := range list.Items {
		if a.Metadata.Name == "root" {
			return
		}
	}
	t.Errorf("the administrator does not see the Application root among %v", list.Items)
}

// argoApplication is the part of an Application that the tests read.
type argoApplication struct {
	Metadata struct{ Name string }
	Status   struct {
		Sync           struct{ Status string }
		Health         struct{ Status string }
		Conditions     []struct{ Type, Message string }
		OperationState struct{ Phase, Message string }
	}
}

// applications are the Applications by name.
func (c *cluster) applications() (map[string]argoApplication, error) {
	out, err := c.kubectl("--namespace", "argocd", "get", "applications", "--output", "json")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []argoApplication }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	all := map[string]argoApplication{}
	for _, a := range list.Items {
		all[a.Metadata.Name] = a
	}
	return all, nil
}

// synced waits until exactly these Applications are there, synced and healthy.
func (c *cluster) synced(t *testing.T, names ...string) time.Duration {
	t.Helper()
	return eventually(t, 8*time.Minute, "the Applications are synced and healthy", func() error {
		all, err := c.applications()
		if err != nil {
			return err
		}
		for _, name := range names {
			a, ok := all[name]
			if s := a.Status; !ok || s.Sync.Status != "Synced" || s.Health.Status != "Healthy" {
				return fmt.Errorf("%s: %+v", name, a)
			}
		}
		if len(all) != len(names) {
			return fmt.Errorf("there are %d Applications", len(all))
		}
		return nil
	})
}

// refresh makes Argo CD look at Git at once, as a webhook does. Without one it looks every three minutes.
func (c *cluster) refresh(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		c.must(t, "--namespace", "argocd", "annotate", "--overwrite", "application", name,
			"argocd.argoproj.io/refresh=normal")
	}
}

// applicationDeployed expects a job to be taken by the API and carried out by the worker.
func applicationDeployed(t *testing.T, s *stack, c *cluster) {
	s.backend(t) // the mirror, for images that are still being pulled
	took := c.synced(t, "root", "api", "worker")
	t.Logf("FIGURE Argo CD: the application is synced and healthy after %.1f s", took.Seconds())
	address := "http://" + c.nodePort(t, "apps", "api")
	if got := versionOf(t, address); got != "one" {
		t.Errorf("the API has version %q", got)
	}
	var job struct {
		ID, State string
		Result    int
	}
	text := map[string]string{"text": "three small words"}
	if _, err := request(http.MethodPost, address+"/jobs", "", text, &job); err != nil {
		t.Fatal(err)
	}
	took = eventually(t, 2*time.Minute, "the job is done", func() error {
		_, err := request(http.MethodGet, address+"/jobs/"+job.ID+"?wait=10", "", nil, &job)
		if err == nil && job.State != "done" {
			err = fmt.Errorf("it is %q", job.State)
		}
		return err
	})
	if job.Result != 3 {
		t.Errorf("the worker counted %d words", job.Result)
	}
	t.Logf("FIGURE application: a job is done after %.1f s", took.Seconds())
}

// versionOf asks the API for its version.
func versionOf(t *testing.T, address string) string {
	t.Helper()
	var health struct{ Version string }
	if _, err := request(http.MethodGet, address+"/healthz", "", nil, &health); err != nil {
		t.Errorf("the API does not answer: %v", err)
	}
	return health.Version
}

// rolledOut releases another version with the script of the repository. No request may fail meanwhile.
func (d delivery) rolledOut(t *testing.T, s *stack, c *cluster) {
	s.backend(t) // the mirror, for the image of the new version
	address := "http://" + c.nodePort(t, "apps", "api")
	d.release(t, "two")
	c.refresh(t, "root", "api", "worker")
	took := eventually(t, 5*time.Minute, "the API has the new version", func() error {
		if got := versionOf(t, address); got != "two" {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
	t.Logf("FIGURE Argo CD: a commit serves requests after %.1f s", took.Seconds())
	eventually(t, 5*time.Minute, "the worker has the new version", func() error {
		image, err := c.kubectl("--namespace", "apps", "get", "pods", "--selector", "app.kubernetes.io/name=worker",
			"--field-selector", "status.phase=Running", "--output", "jsonpath={.items[*].spec.containers[*].image}")
		if err == nil && image != registry+"/app@"+imageDigest(t, registry+"/app:two") {
			err = fmt.Errorf("its pods have %s", image)
		}
		return err
	})
	c.synced(t, "root", "api", "worker")
}

// undone expects Argo CD to undo what a person changes and deletes.
func (d delivery) undone(t *testing.T, _ *stack, c *cluster) {
	c.must(t, "--namespace", "apps", "delete", "configmap", "api-dashboard")
	c.must(t, "--namespace", "apps", "patch", "horizontalpodautoscaler", "worker", "--patch", `{"spec":{"maxReplicas":9}}`)
	took := eventually(t, 3*time.Minute, "the changes are undone", func() error {
		got, err := c.kubectl("--namespace", "apps", "get", "horizontalpodautoscaler", "worker", "--output",
			"jsonpath={.spec.maxReplicas}")
		if err == nil && got != "2" {
			err = fmt.Errorf("the autoscaler has maxReplicas %s", got)
		}
		if err == nil {
			_, err = c.kubectl("--namespace", "apps", "get", "configmap", "api-dashboard")
		}
		return err
	})
	t.Logf("FIGURE Argo CD: a change by hand is undone after %.1f s", took.Seconds())
	c.synced(t, "root", "api", "worker")
}

// refused expects Argo CD to refuse an object that the project does not allow, and to name it.
func (d delivery) refused(t *testing.T, _ *stack, c *cluster) {
	const file = "envs/dev/worker/role.yaml"
	role := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: everything\n" +
		"rules:\n  - {apiGroups: ['*'], resources: ['*'], verbs: ['*']}\n"
	if err := os.WriteFile(filepath.Join(d.git.clone, file), []byte(role), 0o600); err != nil {
		t.Fatal(err)
	}
	d.git.edit(t, "envs/dev/worker/kustomization.yaml", "  - ../../stack\n", "  - ../../stack\n  - role.yaml\n")
	d.git.commit(t, "envs: ask for every right")
	c.refresh(t, "worker")
	eventually(t, 3*time.Minute, "Argo CD refuses a ClusterRole", func() error {
		// It says so in the result of the sync, which names each object.
		out, err := c.kubectl("--namespace", "argocd", "get", "application", "worker", "--output", "jsonpath={.status}")
		if err == nil && !strings.Contains(out, "ClusterRole is not permitted in project dev") {
			err = fmt.Errorf("the Application says %s", out)
		}
		return err
	})
	if out, err := c.kubectl("get", "clusterrole", "everything"); err == nil {
		t.Errorf("there is a ClusterRole: %s", out)
	}
	d.git.git(t, "revert", "--no-edit", "HEAD")
	d.git.git(t, "push", "--quiet", "origin", "main")
	c.refresh(t, "worker")
	c.synced(t, "root", "api", "worker")
}

// pruned expects what Git no longer has to be deleted.
func (d delivery) pruned(t *testing.T, _ *stack, c *cluster) {
	d.git.edit(t, "envs/dev/kustomization.yaml", "  - worker.yaml\n", "")
	d.git.commit(t, "envs: remove the worker")
	c.refresh(t, "root")
	took := eventually(t, 5*time.Minute, "the worker is deleted", func() error {
		out, err := c.kubectl("--namespace", "apps", "get",
			"deployments,horizontalpodautoscalers,podmonitors,serviceaccounts",
			"--selector", "app.kubernetes.io/name=worker", "--output", "name")
		if err == nil && out != "" {
			err = fmt.Errorf("there are %s", strings.Fields(out))
		}
		return err
	})
	t.Logf("FIGURE Argo CD: what Git deletes is gone after %.1f s", took.Seconds())
	c.synced(t, "root", "api")
}

// restartApplication restarts the API, as docs/addons.md says for a changed password.
func restartApplication(t *testing.T, c *cluster) {
	c.must(t, "--namespace", "apps", "delete", "pods", "--selector", "app.kubernetes.io/name=api")
}
