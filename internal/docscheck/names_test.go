package docscheck

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName   = regexp.MustCompile(`\bTest[A-Z]\w*`)
	testFunc   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	plainPath  = regexp.MustCompile(`^\.?[\w.*-]+(/[\w.*-]+)*/?$`)
	plainFile  = regexp.MustCompile(`^[\w-]+\.(go|sh|yml)$`)
	skippedDir = map[string]bool{".git": true, ".bin": true, "node_modules": true}
)

// repository holds the names that documents use: base names of files, top-level folders, and tests.
type repository struct{ bases, folders, tests map[string]bool }

func readRepository(t *testing.T) repository {
	t.Helper()
	r := repository{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() && skippedDir[entry.Name()] {
			return filepath.SkipDir
		}
		relative = filepath.ToSlash(relative)
		r.bases[path.Base(relative)] = true
		if entry.IsDir() && !strings.Contains(relative, "/") {
			r.folders[relative] = true
		}
		if strings.HasSuffix(relative, "_test.go") {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, match := range testFunc.FindAllStringSubmatch(string(text), -1) {
				r.tests[match[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// exists reports whether a path, which may contain a *, leads to a file or a folder.
func (r repository) exists(name string) bool {
	name = strings.TrimSuffix(name, "/")
	found, err := filepath.Glob(filepath.Join(root, name))
	return err == nil && len(found) > 0
}

// missing returns the names in backticks that the repository does not contain.
func (r repository) missing(text string) (tests, files []string) {
	for _, span := range code.FindAllString(text, -1) {
		for _, name := range testName.FindAllString(span, -1) {
			if !r.tests[name] {
				tests = append(tests, name)
			}
		}
		for _, word := range strings.Fields(strings.Trim(span, "`")) {
			word = strings.TrimPrefix(word, "./")
			if !plainPath.MatchString(word) {
				continue
			}
			folder, _, isPath := strings.Cut(word, "/")
			switch {
			case isPath && r.folders[folder] && !r.exists(word), plainFile.MatchString(word) && !r.bases[word]:
				files = append(files, word)
			}
		}
	}
	return tests, files
}

func TestDocumentsNameOnlyWhatExists(t *testing.T) {
	r := readRepository(t)
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for number, line := range strings.Split(string(text), "\n") {
			tests, files := r.missing(line)
			for _, name := range tests {
				t.Errorf("%s:%d names the test %s, which does not exist", strings.TrimPrefix(document, root+"/"), number+1, name)
			}
			for _, name := range files {
				t.Errorf("%s:%d names the file %s, which does not exist", strings.TrimPrefix(document, root+"/"), number+1, name)
			}
		}
	}
}

// The test of the check itself: it finds missing names, and ignores text that only looks like a path.
func TestMissingNamesAreFound(t *testing.T) {
	r := readRepository(t)
	tests, files := r.missing("| a `TestThatIsGone` | `internal/gone/gone.go`, `gone.sh`, `go run ./gone/x` `stack/` " +
		"`docs/*.md` `kubeadm-aws/owner` `sweep/main.go` |")
	if strings.Join(tests, " ") != "TestThatIsGone" || strings.Join(files, " ") != "internal/gone/gone.go gone.sh" {
		t.Errorf("tests %v, files %v", tests, files)
	}
}
