package driver

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kubeadm-aws/internal/report"
)

// A full disk cuts off the state and the engine's backup of it. The driver's copy brings it back, and without a copy the
// message names the way out.
func TestAStateThatWasCutOffComesBack(t *testing.T) {
	dir := t.TempDir()
	c := stateCopy{file: filepath.Join(dir, "dev.json"), dir: dir}
	l := newTestLog(&recorder{})
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

// On a real file system that fills up: a small one is refused before anything starts, and a copy that does not fit leaves
// the good one as it is.
func TestAFullDiskIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		if os.Getenv("CI") == "" && os.Geteuid() != 0 {
			t.Skip("mounting a small file system needs root")
		}
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	if err := refuseFullDisk(dir); report.CodeOf(err) != report.ExitBlocked || !strings.Contains(err.(*report.Failure).Next, "df -h") {
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

// Odd characters in the path of the checkout are part of a URL, the address of the state.
func TestOddCharactersInThePathOfTheCheckout(t *testing.T) {
	needCLI(t)
	for _, name := range []string{"a#b", "a?b", "a%b", "a%20b", "a b+c"} {
		dir := filepath.Join(t.TempDir(), name)
		copyTree(t, project(t), dir)
		if code, stdout, _ := drive(t, "outputs", "--stack", "dev", "--dir", dir); code != report.ExitOK {
			t.Errorf("%s: outputs exits %d:\n%s", name, code, stdout)
		}
		if _, err := os.Stat(filepath.Join(dir, ".sandbox", "dev", "state", ".pulumi")); err != nil {
			t.Errorf("%s: the state is not where it belongs: %v", name, err)
		}
	}
}

// What cannot be written to is named with the way out.
func TestASandboxThatIsAFileIsExplained(t *testing.T) {
	needCLI(t)
	dir := project(t)
	write(t, filepath.Join(dir, ".sandbox"), "")
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitCannotStart || !strings.Contains(stdout, "--dir DIRECTORY") || !strings.Contains(stdout, "rm -r ") {
		t.Errorf("up exits %d:\n%s", code, stdout)
	}
}
