package workspace

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/testenv"
)

// A full disk truncates the state and the engine's backup of it. The driver restores its copy. Without a copy, the
// message names the remedy.
func TestATruncatedStateIsRestored(t *testing.T) {
	dir := t.TempDir()
	c := stateCopy{file: filepath.Join(dir, "dev.json"), dir: dir}
	l := &report.Log{To: report.JSON{Out: io.Discard}, Now: time.Now}
	write(t, c.file, `{"version":3}`)
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	write(t, c.file, `{"version":`)
	if err := c.save(); err != nil { // must not replace the good copy
		t.Fatal(err)
	}
	if err := c.restore(l); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(c.file); err != nil || string(text) != `{"version":3}` {
		t.Errorf("the state is %q (%v)", text, err)
	}
	if info, err := os.Stat(c.path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v (%v)", info.Mode(), err)
	}
	write(t, c.file, "")
	if err := os.Remove(c.path()); err != nil {
		t.Fatal(err)
	}
	err := c.restore(l)
	if f, is := err.(*report.Failure); !is || f.Code != report.ExitCannotStart || !strings.Contains(f.Next, "rm -r ") {
		t.Errorf("without a copy: %v", err)
	}
}

// On a real file system that fills up: a small one is refused before anything starts, and a copy that does not fit
// leaves the good one unchanged.
func TestAFullDiskIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		if os.Getenv("CI") == "" && os.Geteuid() != 0 {
			t.Skip("mounting a small file system needs root")
		}
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	if err := refuseFullDisk(dir); report.CodeOf(err) != report.ExitBlocked ||
		!strings.Contains(err.(*report.Failure).Next, "df -h") {
		t.Errorf("a disk of 256 KiB: %v", err)
	}
	file := filepath.Join(t.TempDir(), "dev.json")
	c := stateCopy{file: file, dir: dir}
	write(t, file, `{"version":3}`)
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	write(t, file, `["`+string(bytes.Repeat([]byte("x"), 1<<20))+`"]`)
	if err := c.save(); err == nil {
		t.Error("a copy of 1 MiB fits into 256 KiB")
	}
	if text, err := os.ReadFile(c.path()); err != nil || string(text) != `{"version":3}` {
		t.Errorf("the copy became %d bytes (%v)", len(text), err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A backend in files is found however it was chosen, so that its state is guarded.
func TestABackendInFilesIsFound(t *testing.T) {
	t.Setenv("PULUMI", testenv.NeedPulumi(t))
	project, chosen, home := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(project, "Pulumi.yaml"), "name: kubeadm-aws\nruntime: go\n")
	t.Setenv("PULUMI_HOME", t.TempDir())
	t.Setenv("HOME", home)
	t.Setenv("PULUMI_BACKEND_URL", "")
	cli, err := FindCLI(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Project: project, CLI: cli}
	if dir := backendDir(t.Context(), o); dir != "" {
		t.Errorf("without a login the backend is %s", dir)
	}
	if out, err := exec.Command(cli.Path(), "login", "file://"+chosen).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if dir := backendDir(t.Context(), o); dir != chosen {
		t.Errorf("after a login the backend is %q, want %s", dir, chosen)
	}
	for url, want := range map[string]string{
		"file:///states?no_tmp_dir=true": "/states", "file://~": home, "file://~/states": home + "/states",
		"file://./states": project + "/states", "s3://states?region=eu-central-1": "",
	} {
		t.Setenv("PULUMI_BACKEND_URL", url)
		if dir := backendDir(t.Context(), o); dir != want {
			t.Errorf("%s is %q, want %q", url, dir, want)
		}
	}
}

// An engine that is killed between creating and writing a file of attributes leaves it empty. The real CLI then cannot
// read the state.
func TestAStateWithEmptyAttributesIsReadable(t *testing.T) {
	cli := testenv.NeedPulumi(t)
	project, backend := t.TempDir(), t.TempDir()
	write(t, filepath.Join(project, "Pulumi.yaml"), "name: kubeadm-aws\nruntime: go\n")
	t.Setenv("PULUMI_BACKEND_URL", "file://"+backend)
	t.Setenv("PULUMI_HOME", t.TempDir())
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "test")
	pulumi := func(args ...string) (string, error) {
		cmd := exec.Command(cli, args...)
		cmd.Dir = project
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := pulumi("stack", "init", "dev"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := stateCopyIn(backend, t.TempDir(), "dev")
	if err := os.Truncate(c.file+".attrs", 0); err != nil {
		t.Fatal(err)
	}
	if out, err := pulumi("stack", "select", "dev"); err == nil || !strings.Contains(out, "EOF") {
		t.Errorf("the CLI reads a state with empty attributes: %v: %s", err, out)
	}
	w := &Workspace{Options: Options{Log: &report.Log{To: report.JSON{Out: io.Discard}, Now: time.Now}}}
	if err := w.keepState(c); err != nil {
		t.Fatal(err)
	}
	if out, err := pulumi("stack", "select", "dev"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := removeEmptyAttributes(filepath.Join(backend, "none")); err != nil {
		t.Errorf("a backend without states: %v", err)
	}
}
