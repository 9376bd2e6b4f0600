package docscheck

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// product are the folders whose packages `pulumi up` compiles, and the programs that they run.
var product = []string{"bootstrap", "config", "stack", "infra", "cluster", "addons", "sweep"}

// A package of the product imports no package of the workshop: internal/ and cmd/. Tests may.
func TestTheProductDoesNotImportTheWorkshop(t *testing.T) {
	files := []string{filepath.Join(root, "main.go")}
	for _, folder := range product {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); entry.IsDir() && err == nil {
				return filepath.SkipDir // a module of its own
			}
			if filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 100 {
		t.Fatalf("only %d files were found", len(files))
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil || strings.HasPrefix(name, "kubeadm-aws/internal/") || strings.HasPrefix(name, "kubeadm-aws/cmd/") {
				t.Errorf("%s imports %s (%v)", path, spec.Path.Value, err)
			}
		}
	}
}
