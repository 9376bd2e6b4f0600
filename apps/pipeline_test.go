package apps

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// pipeline runs the run: parts of the application's workflows in a clone of a real remote repository. The programs that
// need a registry or GitHub are stand-ins, which write down how they were called.
type pipeline struct {
	t             *testing.T
	clone, remote string
	standIns, log string
	env           []string
	first         string
}

// standIns are the programs that need an account. Each does what its caller looks at.
var standIns = map[string]string{
	"aws":    `echo password`,
	"gh":     `[ "$1 $2" != "pr list" ] || printf '%s' "${OPEN:-}"`,
	"syft":   `echo '{}' > .bin/image.spdx.json`,
	"grype":  `exit "${GRYPE:-0}"`,
	"cosign": `exit "${COSIGN:-0}"`,
	"docker": `case "$*" in
  login*) cat >/dev/null ;;
  *"imagetools inspect"*) [ -n "${TAGGED:-}" ] || { echo "${INSPECT:-ERROR: not found}" >&2; exit 1; }; echo "$TAGGED" ;;
  "buildx build"*) exec 3>&1; [ "${BUILD:-0}" = 0 ] || exit 1; printf '{"containerimage.digest": "%s"}' "$BUILT" > .bin/image.json ;;
esac`,
}

var built = "sha256:" + strings.Repeat("b", 64)

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	dir := t.TempDir()
	p := &pipeline{t: t, clone: filepath.Join(dir, "clone"), remote: filepath.Join(dir, "remote.git"),
		standIns: filepath.Join(dir, "bin"), log: filepath.Join(dir, "calls")}
	for name, script := range standIns {
		p.write(filepath.Join(p.standIns, name), "#!/usr/bin/env bash\nset -e\nprintf '%s %s\\n' "+name+" \"$*\" >> "+p.log+"\n"+script+"\n", 0o755)
	}
	for _, name := range []string{"envs", "tools/app-image.sh", "tools/app-release.sh", "tools/app-healthy.sh", "apps/src/app", "apps/vulnerabilities.txt", ".gitignore"} {
		from, to := filepath.Join("..", name), filepath.Join(p.clone, name)
		if info, err := os.Stat(from); err != nil {
			t.Fatal(err)
		} else if info.IsDir() {
			err = os.CopyFS(to, os.DirFS(from))
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		p.write(to, string(content), 0o755)
	}
	p.env = append(os.Environ(), "PATH="+p.standIns+":"+os.Getenv("PATH"), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GITHUB_PATH="+filepath.Join(dir, "path"),
		"REGISTRY=registry.example.com/team", "COMMIT="+strings.Repeat("c", 40), "BUILT="+built, "SYFT=/x/syft",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	p.git("init", "-q", "-b", "main")
	p.git("add", "-A")
	p.git("commit", "-qm", "start")
	p.git("clone", "-q", "--bare", ".", p.remote)
	p.git("remote", "add", "origin", p.remote)
	p.git("fetch", "-q")
	p.git("branch", "-q", "--set-upstream-to=origin/main")
	p.first = p.digest("main", "dev")
	return p
}

func (p *pipeline) write(path, content string, mode os.FileMode) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipeline) run(script string, env ...string) (string, error) {
	// As GitHub runs a step.
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = p.clone, append(p.env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *pipeline) git(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = p.clone, p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// digest returns the digest of an environment on a branch of the remote. It is empty without the branch.
func (p *pipeline) digest(branch, environment string) string {
	cmd := exec.Command("git", "-C", p.remote, "show", branch+":envs/"+environment+"/api/kustomization.yaml")
	out, _ := cmd.Output()
	for line := range strings.Lines(string(out)) {
		if after, ok := strings.CutPrefix(strings.TrimSpace(line), "digest: "); ok {
			return after
		}
	}
	return ""
}

// steps runs the run: parts of a job in order, until one fails.
func (p *pipeline) steps(workflow, job string, env ...string) (string, error) {
	p.t.Helper()
	content, err := os.ReadFile("../.github/workflows/" + workflow)
	if err != nil {
		p.t.Fatal(err)
	}
	var w object
	if err := yaml.Unmarshal(content, &w); err != nil {
		p.t.Fatal(err)
	}
	var all string
	ran := 0
	for _, step := range list(w, "jobs", job, "steps") {
		script := text(step, "run")
		if script == "" {
			continue
		}
		if strings.Contains(script, "${{") {
			p.t.Errorf("%s puts an expression into a script: %s", workflow, script)
		}
		ran++
		out, err := p.run(script, env...)
		all += out
		if err != nil {
			return all, fmt.Errorf("step %d: %w", ran, err)
		}
	}
	if ran == 0 {
		p.t.Fatalf("%s has no job %s with steps", workflow, job)
	}
	return all, nil
}

func (p *pipeline) calls() string {
	content, _ := os.ReadFile(p.log)
	return string(content)
}

func TestAnImageIsBuiltScannedSignedAndReleasedToDev(t *testing.T) {
	p := newPipeline(t)
	out, err := p.steps("application-build.yml", "image")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := p.digest("release/dev-bbbbbbbbbbbb", "dev"); got != built {
		t.Errorf("the branch has %q\n%s", got, out)
	}
	if got := p.digest("main", "dev"); got != p.first {
		t.Errorf("main has %q before the pull request is merged", got)
	}
	// In this order.
	rest := p.calls()
	for _, want := range []string{
		"docker login --username AWS --password-stdin registry.example.com\n", "docker buildx build", "push-by-digest=true", "syft registry:registry.example.com/team/app@" + built, "grype",
		"cosign sign --yes registry.example.com/team/app@" + built, "cosign attest", "imagetools create --tag registry.example.com/team/app:cccc", "gh pr create --head release/dev-",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("no %q, or too early, in:\n%s", want, p.calls())
		}
		rest = after
	}
	// The workflow may be repeated.
	if out, err := p.steps("application-build.yml", "image", "TAGGED="+built, "OPEN=7"); err != nil ||
		strings.Count(p.calls(), "buildx build") != 1 || strings.Count(p.calls(), "pr create") != 1 {
		t.Errorf("a repeated run: %v\n%s\n%s", err, out, p.calls())
	}
}

func TestABadImageIsNotReleased(t *testing.T) {
	for name, env := range map[string][]string{
		"the build fails":              {"BUILD=1"},
		"a known vulnerability":        {"GRYPE=1"},
		"no signature":                 {"COSIGN=1"},
		"the registry does not answer": {"INSPECT=ERROR: 403 Forbidden"},
		"no digest":                    {"BUILT="},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t)
			if out, err := p.steps("application-build.yml", "image", env...); err == nil {
				t.Errorf("no step failed:\n%s", out)
			}
			if p.digest("release/dev-bbbbbbbbbbbb", "dev") != "" || strings.Contains(p.calls(), "pr create") ||
				strings.Contains(p.calls(), "create --tag") {
				t.Errorf("it went on:\n%s", p.calls())
			}
		})
	}
}

func TestAnExceptionEnds(t *testing.T) {
	for line, want := range map[string]string{
		"CVE-2026-1 2999-01-01 not reachable": "",
		"CVE-2026-1 2020-01-01 not reachable": "ended on 2020-01-01",
		"CVE-2026-1 2999-01-01":               "want an id",
	} {
		p := newPipeline(t)
		p.write(filepath.Join(p.clone, "apps/vulnerabilities.txt"), line+"\n", 0o644)
		p.write(filepath.Join(p.clone, ".bin/image.digest"), built+"\n", 0o644)
		out, err := p.run("tools/app-image.sh scan")
		if (err == nil) != (want == "") || !strings.Contains(out, want) {
			t.Errorf("%q: %v, %s", line, err, out)
		}
	}
}

// argocd serves what Argo CD and the application of an environment answer.
func (p *pipeline) argocd(sync, health, image string, jobs int) []string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/v1/applications/"):
			if r.Header.Get("Authorization") != "Bearer secret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"status": map[string]any{
				"sync": map[string]any{"status": sync}, "health": map[string]any{"status": health},
				"summary": map[string]any{"images": []string{"registry.example.com/team/app@" + image}},
			}})
		default:
			w.WriteHeader(jobs)
			_ = json.NewEncoder(w).Encode(map[string]any{"id": "x", "state": "done", "result": 3})
		}
	}))
	p.t.Cleanup(server.Close)
	return []string{"ARGOCD_URL=" + server.URL, "APPLICATION_URL=" + server.URL, "ARGOCD_TOKEN=secret", "ACTION=promote dev to staging"}
}

func (p *pipeline) releaseToDev(digest string) {
	p.t.Helper()
	if out, err := p.run("tools/app-release.sh set dev "+digest, "DIRECT=true"); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	if got := p.digest("main", "dev"); got != digest {
		p.t.Fatalf("main has %q", got)
	}
}

func TestTheVeryDigestIsPromoted(t *testing.T) {
	p := newPipeline(t)
	p.releaseToDev(built)
	out, err := p.steps("application-deploy.yml", "release", p.argocd("Synced", "Healthy", built, 200)...)
	if err != nil || p.digest("release/staging-bbbbbbbbbbbb", "staging") != built {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(out, "secret") {
		t.Error("the token is in the log")
	}
}

func TestOnlyWhatIsWellIsPromoted(t *testing.T) {
	for name, c := range map[string]struct {
		sync, health, image string
		jobs                int
		want                string
	}{
		"not synced":           {"OutOfSync", "Healthy", built, 200, "OutOfSync"},
		"in a release":         {"Synced", "Suspended", built, 200, "Suspended"},
		"another image":        {"Synced", "Healthy", "sha256:" + strings.Repeat("a", 64), 200, "has Argo CD seen the commit"},
		"the smoke test fails": {"Synced", "Healthy", built, 500, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t)
			p.releaseToDev(built)
			out, err := p.steps("application-deploy.yml", "release", p.argocd(c.sync, c.health, c.image, c.jobs)...)
			if err == nil || !strings.Contains(out, c.want) || p.digest("release/staging-bbbbbbbbbbbb", "staging") != "" {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestARollbackIsOneCommand(t *testing.T) {
	p := newPipeline(t)
	second, third := "sha256:"+strings.Repeat("d", 64), "sha256:"+strings.Repeat("e", 64)
	p.releaseToDev(built)
	p.releaseToDev(second)
	p.releaseToDev(third)
	// A second rollback goes further back. A digest that was taken back comes only by its name.
	for _, c := range []struct{ action, want string }{
		{"rollback dev", second}, {"rollback dev", built}, {"rollback dev " + third, third}, {"rollback dev", built},
	} {
		out, err := p.run("tools/app-release.sh "+c.action, "DIRECT=true")
		if err != nil || p.digest("main", "dev") != c.want {
			t.Fatalf("%s: %v\n%s", c.action, err, out)
		}
	}
	for action, want := range map[string]string{"rollback dev": "no other digest", "rollback dev sha256:beef": "never had"} {
		if out, err := p.run("tools/app-release.sh "+action, "DIRECT=true"); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", action, err, out)
		}
	}
	p.releaseToDev(second)
	if out, err := p.steps("application-deploy.yml", "release", "ACTION=rollback dev", "DIRECT=true"); err != nil ||
		p.digest("main", "dev") != built {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := p.run("tools/app-release.sh rollback prod"); err == nil || !strings.Contains(out, "no other digest") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The zeros of a first release are no image.
func TestTheFirstReleaseCannotBeTakenBack(t *testing.T) {
	p := newPipeline(t)
	p.releaseToDev(built)
	if out, err := p.run("tools/app-release.sh rollback dev"); err == nil || !strings.Contains(out, "no other digest") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAReleaseIsRefused(t *testing.T) {
	p := newPipeline(t)
	for args, want := range map[string]string{
		"promote dev prod":    "from dev to staging and from staging to prod",
		"promote test prod":   "no environment 'test'",
		"set dev 1.4.0":       "is not a digest",
		"set dev sha256:beef": "is not a digest",
	} {
		if out, err := p.run("tools/app-release.sh " + args); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v, %s", args, err, out)
		}
	}
	p.write(filepath.Join(p.clone, "envs/dev/api/kustomization.yaml"),
		"images:\n  - name: app\n    digest: "+built+"\n", 0o644)
	p.git("commit", "-qam", "by hand")
	if out, err := p.run("tools/app-release.sh digest dev"); err == nil || !strings.Contains(out, "different ones") {
		t.Errorf("%v, %s", err, out)
	}
}

// A change that another push added meanwhile is kept.
func TestAReleaseKeepsTheCommitsOfOthers(t *testing.T) {
	p := newPipeline(t)
	other := filepath.Join(t.TempDir(), "other")
	p.git("clone", "-q", p.remote, other)
	p.write(filepath.Join(other, "README"), "hello\n", 0o644)
	p.git("-C", other, "add", "README")
	p.git("-C", other, "commit", "-qm", "another change")
	p.git("-C", other, "push", "-q")
	p.releaseToDev(built)
	if got := p.git("-C", p.remote, "show", "main:README"); got != "hello" {
		t.Errorf("the other commit is lost: %q", got)
	}
}
