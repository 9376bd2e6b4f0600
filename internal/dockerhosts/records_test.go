package dockerhosts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// writeZoneTo runs the script that writes the records on another file than /etc/hosts.
func writeZoneTo(t *testing.T, file, zone string) error {
	t.Helper()
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(writeZoneScript, "/etc/hosts", file))
	cmd.Stdin = strings.NewReader(zone)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	return err
}

func TestRecordsKeepTheLinesOfTheMachine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	const own = "127.0.0.1 localhost\n127.0.1.1 ip-10-64-0-10 master\n"
	long := zoneLines(map[string][]string{"api.a.internal": {"10.64.0.10"}, "b.a.internal": {"10.64.0.11", "10.64.0.12"}})
	short := zoneLines(map[string][]string{"api.a.internal": {"10.64.0.10"}})
	if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{short, long, short} {
		if err := writeZoneTo(t, file, zone); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != own+zone {
			t.Errorf("%v: the file is\n%s\nwant\n%s", err, got, own+zone)
		}
	}
}

// cloud-init empties the file before it writes it. Records that were written meanwhile would be all that is left.
func TestRecordsAreNotWrittenToAnEmptyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeZoneTo(t, file, zoneLines(map[string][]string{"api.a.internal": {"10.64.0.10"}})); err == nil {
		t.Error("records were written")
	}
	if got, err := os.ReadFile(file); err != nil || len(got) > 0 {
		t.Errorf("%v: the file is %q", err, got)
	}
}
