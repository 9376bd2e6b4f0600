package docscheck

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// columns is the length limit of a line of Go in characters; a tab counts as one.
const columns = 120

// TestLinesHave120Columns checks the Go of the product and of the workshop. A line may be longer if a string literal
// reaches the limit: a query or a URL in it cannot be broken.
func TestLinesHave120Columns(t *testing.T) {
	folders := []string{"bootstrap", "config", "stack", "infra", "cluster", "addons", "sweep", "cmd", "internal", "e2e",
		"tools", "apps"}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" {
				return err
			}
			text, err := os.ReadFile(path)
			for _, line := range tooLong(text) {
				t.Errorf("%s:%d has more than %d columns", path, line, columns)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The test of the check itself: it finds long code and comments, and allows long literals.
func TestTooLongIsFound(t *testing.T) {
	long := strings.Repeat("x", columns)
	text := "package p\n\n// " + long + "\nvar a = \"" + long + "\"\nvar " + long + " = 1\nvar b = `\n" + long + "\n`\n"
	if got := tooLong([]byte(text)); len(got) != 2 || got[0] != 3 || got[1] != 5 {
		t.Errorf("lines %v are too long, want 3 and 5", got)
	}
}

// tooLong returns the numbers of the lines over the limit, except those where a string literal crosses it.
func tooLong(text []byte) []int {
	literals := map[int]bool{} // lines that a string literal crosses the limit in
	file := token.NewFileSet().AddFile("", 1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok != token.STRING {
			continue
		}
		position := file.Position(pos)
		column := utf8.RuneCount(text[file.Offset(file.LineStart(position.Line)):position.Offset])
		for i, part := range strings.Split(literal, "\n") {
			if i > 0 {
				column = 0
			}
			crosses := column < columns && column+utf8.RuneCountInString(part) > columns-len(`" +`)
			literals[position.Line+i] = literals[position.Line+i] || crosses
		}
	}
	var long []int
	for i, line := range strings.Split(string(text), "\n") {
		if utf8.RuneCountInString(line) > columns && !literals[i+1] {
			long = append(long, i+1)
		}
	}
	return long
}
