package docscheck

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// mostMethods is the largest number of methods of a type. A type with more has several purposes, and each of them
	// can be a type of its own.
	mostMethods = 20
	// mostLines is the largest number of lines of a file.
	mostLines = 400
)

// TestTypesAndFilesAreSmall checks the Go of the product and of the workshop, without the tests.
func TestTypesAndFilesAreSmall(t *testing.T) {
	methods := map[string]int{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skippedDir[entry.Name()]:
			return filepath.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if lines := bytes.Count(text, []byte("\n")); lines > mostLines {
			t.Errorf("%s has %d lines, and %d is the most", path, lines, mostLines)
		}
		return countMethods(methods, path, text)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(methods) < 100 {
		t.Errorf("only %d types with methods were found", len(methods))
	}
	for name, n := range methods {
		if n > mostMethods {
			t.Errorf("%s has %d methods, and %d is the most: find the parts that belong together", name, n, mostMethods)
		}
	}
}

// The test of the check itself: it counts the methods of values, of pointers and of generic types.
func TestMethodsAreCounted(t *testing.T) {
	methods := map[string]int{}
	text := []byte("package p\n\nfunc f() {}\nfunc (a) f() {}\nfunc (x *a) g() {}\nfunc (x *b[K, V]) f() {}\nfunc (x b[K, V]) g() {}\n" +
		"func (x *c[K]) f() {}\n")
	if err := countMethods(methods, filepath.Join("dir", "p.go"), text); err != nil {
		t.Fatal(err)
	}
	if len(methods) != 3 || methods["dir: a"] != 2 || methods["dir: b"] != 2 || methods["dir: c"] != 1 {
		t.Errorf("counted %v", methods)
	}
}

// countMethods adds the methods in the text of a file to those of their types, by folder and name.
func countMethods(methods map[string]int, path string, text []byte) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Recv == nil {
			continue
		}
		if name := typeName(function.Recv.List[0].Type); name != "" {
			folder := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), root+"/")
			methods[folder+": "+name]++
		}
	}
	return nil
}

// typeName returns the name of the type of a receiver.
func typeName(receiver ast.Expr) string {
	switch t := receiver.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.IndexExpr:
		return typeName(t.X)
	case *ast.IndexListExpr:
		return typeName(t.X)
	}
	return ""
}
