package driver

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

// repository is a git repository with the sources of this project in a folder of it, one commit for each change to
// the settings of the dev stack ("old", "new", ...) after the first. It returns the project's directory.
func repository(t *testing.T, changes ...string) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "platform")
	for _, name := range []string{
		"Pulumi.yaml", "Pulumi.dev.yaml", "go.mod", "go.sum", "main.go",
		"config", "stack", "infra", "cluster", "addons", "bootstrap", "cmd", "internal", "sweep",
	} {
		copyTree(t, filepath.Join("..", "..", name), filepath.Join(dir, name))
	}
	write(t, filepath.Join(dir, ".gitignore"), ".sandbox/\n")
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", root, "-c", "user.name=test", "-c", "user.email=test@example.com"},
			args...)...)
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, output)
		}
	}
	git("init", "--quiet")
	git("add", ".")
	git("commit", "--quiet", "--message", "first")
	for i := 0; i < len(changes); i += 2 {
		edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), changes[i], changes[i+1])
		git("commit", "--quiet", "--all", "--message", "to "+changes[i+1])
	}
	return dir
}

// copyTree copies the files of a folder with their modes, apart from tests.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "schematest"):
			return filepath.SkipDir
		case entry.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return err
		}
		return os.WriteFile(at, text, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRollbackBringsBackAnEarlierCommit(t *testing.T) {
	needCLI(t)
	dir := repository(t,
		"name: platform-dev", "name: platform-one\n    kubernetesVersion: 1.36.2",
		"name: platform-one\n    kubernetesVersion: 1.36.2", "name: platform-dev",
		"name: platform-dev", "name: platform-dev\n    kubernetesVersion: 1.35.6",
		"\n    kubernetesVersion: 1.35.6", "",
		"kubeadm-aws:owner: platform", "kubeadm-aws:owner: another-team")
	rollback := func(args ...string) (int, string) {
		t.Helper()
		code, stdout, _ := drive(t, append([]string{"rollback", "--stack", "dev", "--dir", dir}, args...)...)
		return code, stdout
	}
	if code, stdout := rollback("--to", "HEAD"); code != report.ExitCannotStart ||
		!strings.Contains(stdout, "was never up") {
		t.Errorf("rollback of nothing exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	repairedOften(t, dir)
	for addon, urn := range volumesOf {
		made := func(r state.Resource) bool { return strings.HasSuffix(string(r.URN), urn) }
		off := addon == "postgresql" || addon == "logging" // by default in dev
		if slices.ContainsFunc(stateOf(t, dir).Resources, made) == off {
			t.Errorf("%s is not found by %s", addon, urn)
		}
	}
	if code, stdout := rollback(); code != report.ExitUsage ||
		!strings.Contains(stdout, "kubeadm-aws:owner: another-team") {
		t.Errorf("rollback without --to exits %d and does not list the commit of the update:\n%s", code, stdout)
	}
	if code, stdout := rollback("--to", "nowhere"); code != report.ExitUsage ||
		!strings.Contains(stdout, "--to nowhere is not a commit") {
		t.Errorf("rollback to an unknown commit exits %d:\n%s", code, stdout)
	}
	if code, stdout := rollback("--to", "HEAD~4"); code != report.ExitInvalid ||
		!strings.Contains(stdout, "is about another cluster, platform-one") {
		t.Errorf("rollback to another cluster exits %d:\n%s", code, stdout)
	}
	if code, stdout := rollback("--to", "HEAD~2"); code != report.ExitInvalid ||
		!strings.Contains(stdout, "wants Kubernetes 1.35.6, and 1.36.3 runs") {
		t.Errorf("rollback to another Kubernetes exits %d:\n%s", code, stdout)
	}
	if code, stdout := rollback("--to", "HEAD~1"); code != report.ExitOK || !strings.Contains(stdout, "git revert") {
		t.Fatalf("rollback exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir,
		"--expect-no-changes"); code != report.ExitChanges {
		t.Errorf("nothing was rolled back: preview of the newest commit exits %d:\n%s", code, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "kubeadm-aws:owner: another-team", "kubeadm-aws:owner: platform")
	if code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir,
		"--expect-no-changes"); code != report.ExitOK {
		t.Errorf("the stack is not what the earlier commit says: preview exits %d:\n%s", code, stdout)
	}
	worktrees, err := exec.Command("git", "-C", dir, "worktree", "list").Output()
	if err != nil || strings.Count(string(worktrees), "\n") != 1 {
		t.Errorf("worktrees stay behind (%v):\n%s", err, worktrees)
	}
}

// repairedOften adds so many repairs to the history of dev that its first page has nothing else.
func repairedOften(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, ".sandbox", "dev", "state", ".pulumi", "history", "*", "dev",
		"*.history.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no history: %v", err)
	}
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	var entry map[string]any
	if err := json.Unmarshal(text, &entry); err != nil {
		t.Fatal(err)
	}
	entry["message"] = `"` + repairMessage + `"`
	if text, err = json.Marshal(entry); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		at := time.Now().UnixNano() + int64(i)
		write(t, filepath.Join(filepath.Dir(files[0]), fmt.Sprintf("dev-%d.history.json", at)), string(text))
	}
}

// TestOnlyTheMessageOfARepairIsOne tells repairs from updates whose commit has a subject that begins like one.
func TestOnlyTheMessageOfARepairIsOne(t *testing.T) {
	commit := strings.Repeat("0a", 20)
	for message, want := range map[string]string{
		repairMessage: "", `"` + repairMessage + `"`: "", repairMessage + " " + commit: commit,
		`"` + repairMessage + " " + commit + `"`: commit, repairMessage + ": wait longer": "no", "": "no",
		repairMessage + "s " + commit: "no", repairMessage + " " + commit + " again": "no",
	} {
		got, ok := update{Message: message}.repairOf()
		if ok != (want != "no") || ok && got != want {
			t.Errorf("%q: %q, %t", message, got, ok)
		}
	}
}

func TestWhatCannotBeRolledBackIsRefused(t *testing.T) {
	needCLI(t)
	s := blue(t)
	s.cfg.Region = "eu-central-1"
	with := func(edits ...string) checkedOut {
		dir := project(t, edits...)
		if err := os.Mkdir(filepath.Join(dir, "automation"), 0o700); err != nil {
			t.Fatal(err)
		}
		return checkedOut{dir: dir, title: "abc first"}
	}
	without := checkedOut{dir: project(t), title: "abc first"}
	for _, tt := range []struct {
		name string
		to   checkedOut
		says string
	}{
		{"the same", with(), ""},
		{"another Kubernetes", with("name: platform-dev", "name: platform-dev\n    kubernetesVersion: 1.35.6"),
			"wants Kubernetes 1.35.6, and 1.36.3 runs"},
		{"another name", with("name: platform-dev", "name: other"),
			"another cluster, other in eu-central-1; platform-dev in eu-central-1 runs"},
		{"another region", with("region: eu-central-1", "region: eu-west-1"), "another cluster, platform-dev in eu-west-1"},
		{"before there was a driver", without, "has no driver"},
		{"settings of other times", with("kubeadm-aws:owner", "kubeadm-aws:ownr"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.to.by = s
			err := tt.to.refuse("platform-dev", "1.36.3")
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
}

// A rollback does not take an add-on's data away from a protected stack, and warns on others.
func TestARollbackKeepsDataOfAProtectedStack(t *testing.T) {
	s := blue(t)
	recorded := &recorder{}
	s.log = newTestLog(recorded)
	resources := func(protect bool, names ...string) state.State {
		st := state.State{}
		for _, name := range names {
			st.Resources = append(st.Resources, state.Resource{URN: state.URN(prefix + volumesOf[name])})
		}
		st.Resources = append(st.Resources, state.Resource{URN: prefix + "aws:ec2/eip:Eip::master", Protect: protect})
		return st
	}
	without := checkedOut{by: s, title: "abc first", dir: project(t, "kubeadm-aws:owner: platform",
		"kubeadm-aws:owner: platform\n  kubeadm-aws:addons: {redis: {enabled: false}, postgresql: {enabled: false}}")}
	err := without.refuseLoss(resources(true, "redis", "postgresql", "monitoring"))
	if err == nil || !strings.Contains(err.Error(), "is without addons.postgresql, addons.redis, whose data") {
		t.Errorf("on a protected stack: %v", err)
	}
	if err := without.refuseLoss(resources(true, "monitoring")); err != nil {
		t.Errorf("nothing is lost: %v", err)
	}
	if len(recorded.events) != 0 {
		t.Errorf("it warns of nothing: %v", recorded.events)
	}
	err = without.refuseLoss(resources(false, "redis"))
	if err != nil || len(recorded.events) != 1 || !strings.Contains(recorded.events[0].Message, "is without addons.redis") {
		t.Errorf("on a stack without protection: %v %v", err, recorded.events)
	}
}

// The checkout of a pipeline has one branch, and those of the remote by their full names only.
func TestRollbackFindsBranchesOfTheRemote(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=test", "-c", "user.email=test@example.com"},
			args...)...)
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, output)
		}
		return strings.TrimSpace(string(output))
	}
	git("init", "--quiet")
	git("commit", "--quiet", "--allow-empty", "--message", "first")
	git("update-ref", "refs/remotes/origin/fix/network", "HEAD")
	want := git("rev-parse", "HEAD")
	git("commit", "--quiet", "--allow-empty", "--message", "second")
	for to, want := range map[string]string{
		"fix/network": want, "origin/fix/network": want, want[:10]: want, "HEAD~1": want, "no/branch": "",
	} {
		r := &run{op: operation{to: to}}
		r.op.dir = dir
		got, err := commits{r}.resolve(t.Context())
		if got != want || (err == nil) != (want != "") {
			t.Errorf("--to %s: %q, %v, want %q", to, got, err, want)
		}
	}
}
