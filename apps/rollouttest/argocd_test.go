package rollouttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
)

// argocd answers as Argo CD's API does, with the health that Argo CD's script gives the Rollout, and the images of the
// pods that run. The worker is not deployed here: it has what Git says.
func (c *cluster) argocd(w http.ResponseWriter, r *http.Request) {
	health, images := "Healthy", []string{"registry.invalid/app@" + c.digest()}
	if strings.HasSuffix(r.URL.Path, "/api") {
		var rollout map[string]any
		var pods struct{ Items []pod }
		if !c.get(apps+"/rollouts/api", &rollout) || !c.get(core+"/pods", &pods) {
			http.Error(w, "the API server does not answer", http.StatusInternalServerError)
			return
		}
		text, err := json.Marshal(rollout)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		cmd := exec.Command(c.programs.health)
		cmd.Stdin = strings.NewReader(string(text))
		said, err := cmd.CombinedOutput()
		if err != nil {
			http.Error(w, fmt.Sprintf("%v: %s", err, said), http.StatusInternalServerError)
			return
		}
		health, images = strings.TrimSpace(string(said)), nil
		for _, p := range pods.Items {
			images = append(images, p.Spec.Containers[0].Image)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": map[string]any{
		"sync": map[string]any{"status": "Synced"}, "health": map[string]any{"status": health},
		"summary": map[string]any{"images": images}}})
}

// healthy asks the script that decides whether a release may be promoted to the next environment. It returns what the
// script says.
func (c *cluster) healthy() (string, bool) {
	c.t.Helper()
	argocd := httptest.NewServer(http.HandlerFunc(c.argocd))
	defer argocd.Close()
	public := httptest.NewServer(c.balancer)
	defer public.Close()
	cmd := exec.Command("tools/app-healthy.sh", c.environment)
	cmd.Dir = c.repository.clone
	cmd.Env = append(c.repository.env, "ARGOCD_URL="+argocd.URL, "ARGOCD_TOKEN=token", "APPLICATION_URL="+public.URL)
	said, err := cmd.CombinedOutput()
	return string(said), err == nil
}

// mayBePromoted wants the script to let the release pass.
func (c *cluster) mayBePromoted() {
	c.t.Helper()
	if said, ok := c.healthy(); !ok {
		c.t.Errorf("the release may not be promoted: %s\n%s", said, c.state())
	}
}

// mayNotBePromoted wants the script to refuse the release for a reason.
func (c *cluster) mayNotBePromoted(reasons ...string) {
	c.t.Helper()
	said, ok := c.healthy()
	for _, reason := range reasons {
		if !ok && strings.Contains(said, reason) {
			return
		}
	}
	c.t.Errorf("the script says %s; want it to refuse with one of %q\n%s", said, reasons, c.state())
}
