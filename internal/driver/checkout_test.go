package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
)

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
	if code != report.ExitCannotStart || !strings.Contains(stdout, "--dir DIRECTORY") ||
		!strings.Contains(stdout, "rm -r ") {
		t.Errorf("up exits %d:\n%s", code, stdout)
	}
}
