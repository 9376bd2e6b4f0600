package testenv

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// ProgramOf builds a command of the module in a directory, and returns its path, which is in another directory. Go does
// not link a program again that is up to date there.
func ProgramOf(t testing.TB, module, command, to string, flags ...string) string {
	t.Helper()
	readModule(t, module)
	path := filepath.Join(to, filepath.Base(command))
	args := slices.Concat([]string{"build", "-C", module, "-o", path}, flags, []string{command})
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", command, err, out)
	}
	return path
}

// SourceOf returns the directory with the source of a module that the module in a directory requires.
func SourceOf(t testing.TB, module, required string) string {
	t.Helper()
	readModule(t, module)
	out, err := exec.Command("go", "mod", "download", "-C", module, "-json", required).Output()
	var found struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		t.Fatalf("downloading %s: %v", required, err)
	}
	return found.Dir
}

// readModule reads the files of a module. The test cache of Go records which files a test reads, but not those that a
// program reads which the test starts. The result of a test would stay after a change of the module.
func readModule(t testing.TB, module string) {
	t.Helper()
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && (filepath.Ext(path) == ".go" || entry.Name() == "go.mod" || entry.Name() == "go.sum") {
			_, err = os.ReadFile(path)
		}
		return err
	})
	if err == nil {
		_, err = os.Stat(filepath.Join(module, "go.mod"))
	}
	if err != nil {
		t.Fatal(err)
	}
}
