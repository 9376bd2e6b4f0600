package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

// The digests of the two versions.
var one, two = "sha256:" + strings.Repeat("1", 64), "sha256:" + strings.Repeat("2", 64)

// standIns replace what the demo uses of this machine. What runs follows from the repository at once, as if Argo CD
// had deployed it. FAULT names what does not work.
var standIns = map[string]string{
	"id":       `[ "$FAULT" = user ] && echo 1000 || echo 0`,
	"flock":    `[ "$FAULT" != locked ]`,
	"iptables": "",
	"sleep":    "",
	"python3":  "",
	"go":       `cp "$STANDINS/driver" .bin/kubeadm-aws; cp "$STANDINS/services" .bin/demo`,
	"driver": `echo "driver $*" >>"$WORLD/calls"
case $1 in
  up) touch "$WORLD/hosts" ;;
  outputs) echo a-kubeconfig; exit ;;
  destroy) [ "$FAULT" = left ] || rm "$WORLD/hosts" ;;
esac
if [ "$FAULT" = "$1 waits" ]; then
  trap 'exit 130' INT
  echo waiting
  while :; do /bin/sleep 0.1; done
fi
[ "$FAULT" != "$1" ] || exit 5`,
	"services": `[ "$FAULT" != git ] || { echo 'no address' >&2; exit 1; }
printf 'ssh://git@192.0.2.1:2222/platform.git\n[192.0.2.1]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqNVzpxfZ6zbABmz4wK/2eoLPjpTzQfH1ne9oXb1i2+\n'
while read -r request; do
  [ "$FAULT" != "$request" ] || exit 1
  echo "services $request" >>"$WORLD/calls"
  echo "$request"
done
echo 'services end' >>"$WORLD/calls"`,
	"docker": `case "$*" in
  info) [ "$FAULT" != docker ] ;;
  ps*) if [ -e "$WORLD/hosts" ]; then echo host-1; fi ;;
  rm*) [ "$FAULT" != remove ] && rm "$WORLD/hosts" && echo host-1 ;;
  network*) ;;
  *kubectl*get\ applications*)
    [ "$FAULT" != argocd ] || { echo 'root: Synced Degraded'; exit; }
    printf '%s: Synced Healthy\n' root api worker ;;
  *kubectl*get\ pods*)
    if [ "$FAULT" = pods ]; then echo "worker-1 registry.example.com/app@$TWO"; fi
    echo "api-1 registry.example.com/app@$(running)" ;;
  *kubectl*jsonpath=*address*) echo 192.0.2.7 ;;
  *kubectl*jsonpath=*nodePort*) echo 30080 ;;
  *kubectl*) cat >/dev/null ;;
esac`,
	"curl": `case "$*" in
  *healthz) [ "$(running)" = "$TWO" ] && echo '{"status":"ok","version":"two"}' || echo '{"status":"ok","version":"one"}' ;;
  *wait=10) [ "$FAULT" = worker ] && echo '{"id":"1-a","state":"queued","result":null}' || echo '{"id":"1-a","state":"done","result":3}' ;;
  *jobs) [ "$FAULT" = api ] && echo '{"detail":"no"}' || echo '{"id":"1-a","state":"queued"}' ;;
esac`,
	"running": `git --git-dir .demo/platform.git show main:envs/dev/api/kustomization.yaml | sed -n 's/^ *digest: //p'`,
}

// realPrograms are all other programs that the script uses.
var realPrograms = []string{"bash", "cat", "cp", "dirname", "env", "git", "grep", "head", "mkdir", "mkfifo", "rm", "sed",
	"sort", "tail", "touch", "wc", "xargs", "basename"}

// checkout is a copy of what the script needs, with stand-ins for the machine.
type checkout struct {
	t               *testing.T
	dir, bin, world string
}

func newCheckout(t *testing.T) checkout {
	t.Helper()
	dir := t.TempDir()
	c := checkout{t: t, dir: filepath.Join(dir, "checkout"), bin: filepath.Join(dir, "bin"), world: filepath.Join(dir, "world")}
	for name, script := range standIns {
		c.write(filepath.Join(c.bin, name), "#!/usr/bin/env bash\n"+script+"\n")
	}
	for _, name := range realPrograms {
		path := testenv.NeedProgram(t, name, "bash, coreutils, findutils, git, grep or sed")
		if err := os.Symlink(path, filepath.Join(c.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"demo.sh", "app-repository.sh", "app-release.sh", "remove-hosts.sh"} {
		c.copy("tools/" + name)
	}
	c.copy("Pulumi.yaml")
	c.copy("Pulumi.dev.yaml")
	for _, name := range []string{"apps/api", "apps/worker", "envs"} {
		if err := os.CopyFS(filepath.Join(c.dir, name), os.DirFS(filepath.Join("../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	c.write(filepath.Join(c.dir, "tools/pulumi.sh"), "#!/usr/bin/env bash\necho /pulumi\n")
	c.write(filepath.Join(c.dir, "tools/mirror/build"), "#!/usr/bin/env bash\n[ \"$FAULT\" != images ]\n")
	c.write(filepath.Join(c.dir, "tools/mirror/digest"),
		"#!/usr/bin/env bash\ncase $1 in *:one) echo \"$ONE\" ;; *) echo \"$TWO\" ;; esac\n")
	for _, dir := range []string{c.world, filepath.Join(c.dir, ".bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c checkout) write(path, text string) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

func (c checkout) copy(name string) {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(filepath.Join(c.dir, name), string(text))
}

func (c checkout) command(fault string, flags ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.dir, "tools/demo.sh"), flags...)
	cmd.Env = []string{"PATH=" + c.bin, "HOME=" + c.dir, "GIT_CONFIG_NOSYSTEM=1", "STANDINS=" + c.bin, "WORLD=" + c.world,
		"ONE=" + one, "TWO=" + two, "FAULT=" + fault}
	return cmd
}

// run returns what the script prints and its exit code.
func (c checkout) run(fault string, flags ...string) (string, int) {
	c.t.Helper()
	out, err := c.command(fault, flags...).CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		c.t.Fatal(err)
	}
	if ended != nil {
		return string(out), ended.ExitCode()
	}
	return string(out), 0
}

// calls returns the commands of the driver and the requests to the services, and forgets them.
func (c checkout) calls() []string {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.world, "calls"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		c.t.Fatal(err)
	}
	var calls []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		calls = append(calls, words[0]+" "+words[1])
	}
	if err := os.Remove(filepath.Join(c.world, "calls")); err != nil {
		c.t.Fatal(err)
	}
	return calls
}

// has reports whether the checkout has a file.
func (c checkout) has(name string) bool {
	_, err := os.Stat(filepath.Join(c.dir, name))
	return err == nil
}

// inOrder expects texts one after the other.
func inOrder(t *testing.T, out string, texts ...string) {
	t.Helper()
	rest := out
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Fatalf("there is no %q at its place in:\n%s", text, out)
		}
		rest = after
	}
}

func TestDemoTellsAllSteps(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	out, code := c.run("", "--steps")
	if code != 0 || c.has(".demo") || len(c.calls()) > 0 {
		t.Fatalf("the list ends with %d, or does something:\n%s", code, out)
	}
	inOrder(t, out, "== 1 of 7  Settings", "== 2 of 7", "== 3 of 7", "== 4 of 7", "== 5 of 7", "== 6 of 7", "== 7 of 7  The removal")
	for _, word := range []string{"What  ", "Why   ", "Look  ", "AWS   "} {
		if got := strings.Count(out, "\n"+word); got != 7 {
			t.Errorf("%d steps have %q", got, word)
		}
	}
}

func TestDemoGoesFromNothingToNothing(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.write(filepath.Join(c.world, "hosts"), "") // of an earlier run
	out, code := c.run("")
	if code != 0 {
		t.Fatalf("ends with %d:\n%s", code, out)
	}
	inOrder(t, out, "removed 1 containers", "== 1 of 7", "envs: release 111111111111 to dev", "== 4 of 7",
		`$ curl -fsS --max-time 30 --json '{"text":"three small words"}' http`, `"result":3`,
		"== 5 of 7", "envs: release 222222222222 to dev", `"version":"two"`, "app@"+two,
		"== 6 of 7", "envs: take dev back to 111111111111", `"version":"one"`, "app@"+one, "== 7 of 7", "0 left", "together")
	want := []string{"driver up", "driver outputs", "driver verify", "services open", "services close", "driver destroy",
		"services end"}
	if got := c.calls(); !slices.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
	if c.has(".demo") || strings.Contains(out, "a-kubeconfig") {
		t.Errorf("it leaves its directory or prints a secret:\n%s", out)
	}
}

// TestDemoSettingsAreAccepted loads the settings that a kept demo leaves.
func TestDemoSettingsAreAccepted(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	out, code := c.run("", "--keep")
	inOrder(t, out, "curl http://192.0.2.7:30080/healthz", "kept. Go on: tools/demo.sh --keep",
		"destroy --stack demo --cloud hosts --dir .demo/project")
	if code != 0 {
		t.Fatalf("ends with %d:\n%s", code, out)
	}
	cfg, err := config.LoadFile("demo", filepath.Join(c.dir, ".demo/project"))
	if err != nil {
		t.Fatal(err)
	}
	if a := cfg.Addons; cfg.Cluster.Name != "demo" || !a.PostgreSQL.On() || a.ArgoCD.RepoURL == "" {
		t.Errorf("the settings are %q %+v", cfg.Cluster.Name, a.ArgoCD)
	}
	if strings.Contains(strings.Join(c.calls(), " "), "destroy") {
		t.Error("a demo that is to be kept is destroyed")
	}
	out, code = c.run("", "--keep")
	if code != 0 {
		t.Fatalf("it does not go on: %d\n%s", code, out)
	}
	inOrder(t, out, "has "+one+" already", `"version":"two"`, `"version":"one"`)
	out, code = c.run("", "--remove")
	if code != 0 || c.has(".demo") || !strings.Contains(out, "removed 1 containers") {
		t.Errorf("is not removed: %d\n%s", code, out)
	}
}

func TestDemoSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for fault, says := range map[string]string{
		"user": "needs root", "docker": "docker does not answer", "locked": "another demo is under way",
		"images": "tools/mirror/build platform",
	} {
		c := newCheckout(t)
		out, code := c.run(fault)
		if code != 1 || !strings.Contains(out, says) || len(c.calls()) > 0 || c.has(".demo") {
			t.Errorf("%s: ends with %d, and says %s", fault, code, out)
		}
	}
	c := newCheckout(t)
	cmd := c.command("")
	cmd.Env = append(cmd.Env, "MIRROR=off")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "unset MIRROR") {
		t.Errorf("without the mirror: %v: %s", err, out)
	}
	for _, flags := range [][]string{{"--kep"}, {"--keep", "--remove"}} {
		if out, code := c.run("", flags...); code == 0 || !strings.Contains(out, "--remove") {
			t.Errorf("%v ends with %d: %s", flags, code, out)
		}
	}
	if err := os.Remove(filepath.Join(c.bin, "iptables")); err != nil {
		t.Fatal(err)
	}
	if out, code := c.run(""); code != 1 || !strings.Contains(out, "iptables is missing (Debian: apt-get install") {
		t.Errorf("without iptables: %d: %s", code, out)
	}
}

// TestDemoThatFailsLeavesNothing has a fault in each step.
func TestDemoThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	for fault, c := range map[string]struct {
		code       int
		step, says string
	}{
		"git":    {1, "prepare", "no address"},
		"up":     {5, "up", ""},
		"verify": {5, "verify", ""},
		"open":   {1, "verify", "the services of the demo ended"},
		"argocd": {1, "verify", "not within five minutes. The last answer: root: Synced Degraded"},
		"api":    {1, "job", "the API did not take the job"},
		"worker": {1, "job", "the worker has not counted three words"},
		"pods":   {1, "job", "the pods are not those of version one"},
		"close":  {1, "destroy", "the services of the demo ended"},
		"left":   {1, "destroy", "docker still has host-1"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			d := newCheckout(t)
			out, code := d.run(fault)
			if code != c.code {
				t.Errorf("ends with %d, want %d", code, c.code)
			}
			if !strings.Contains(out, c.says) {
				t.Errorf("does not say %q", c.says)
			}
			inOrder(t, out, `stopped in step "`+c.step+`"`, "nothing is left")
			if _, err := os.Stat(filepath.Join(d.world, "hosts")); err == nil || d.has(".demo") {
				t.Errorf("something is left:\n%s", out)
			}
		})
	}
}

func TestDemoThatFailsMayBeKept(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	out, code := c.run("verify", "--keep")
	if code != 5 || !c.has(".demo/project") {
		t.Fatalf("ends with %d:\n%s", code, out)
	}
	inOrder(t, out, `stopped in step "verify" with 5`, "up\n", "kept")
	if out, code = c.run("remove", "--remove"); code != 1 || !strings.Contains(out, "docker could not remove every host") {
		t.Errorf("hosts that stay: %d: %s", code, out)
	}
	if out, code = c.run("", "--keep"); code != 0 {
		t.Errorf("it does not go on: %d\n%s", code, out)
	}
}

// TestDemoEndsWithCtrlC sends what a terminal sends to every process of the demo.
func TestDemoEndsWithCtrlC(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	cmd := c.command("up waits")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out watched
	out.until, out.seen = "waiting\n", make(chan struct{})
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-out.seen
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || c.has(".demo") {
		t.Errorf("ends with %d:\n%s", code, out.text.String())
	}
	inOrder(t, out.text.String(), `stopped in step "up" with 130`, "removed 1 containers", "nothing is left")
	if got := c.calls(); !slices.Equal(got, []string{"driver up", "services end"}) {
		t.Errorf("calls %v", got)
	}
}

// watched closes seen when the text until was written.
type watched struct {
	text  bytes.Buffer
	until string
	seen  chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	had := strings.Contains(w.text.String(), w.until)
	n, err := w.text.Write(p)
	if !had && strings.Contains(w.text.String(), w.until) {
		close(w.seen)
	}
	return n, err
}
