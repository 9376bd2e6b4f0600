// Package docscheck tests the documents: links lead to files, and the two READMEs have the same content.
package docscheck

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	code   = regexp.MustCompile("`[^`]+`")
	number = regexp.MustCompile(`[0-9]+(\.[0-9]+)*`)
	target = regexp.MustCompile(`\]\(([^)]+)\)`)
)

// facts returns what must be equal in every language, in the order of the text: commands, and the code, links and
// numbers of each table row.
func facts(text string) []string {
	var found []string
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		switch {
		case fenced:
		case strings.HasPrefix(line, "    ") && strings.TrimSpace(line) != "":
			command, _, _ := strings.Cut(line, " #")
			found = append(found, strings.TrimSpace(command))
		case strings.HasPrefix(line, "|"):
			row := slices.Concat(code.FindAllString(line, -1), number.FindAllString(line, -1))
			for _, link := range target.FindAllStringSubmatch(line, -1) {
				row = append(row, link[1])
			}
			slices.Sort(row)
			found = append(found, "| "+strings.Join(row, " "))
		case strings.HasPrefix(line, "#"):
			level, _, _ := strings.Cut(line, " ")
			found = append(found, level)
		}
	}
	return found
}

func TestTheKoreanREADMEKeepsStep(t *testing.T) {
	english, korean := facts(read(t, "README.md")), facts(read(t, "README.ko.md"))
	if len(english) < 40 {
		t.Fatalf("only %d commands, headings and rows were found in README.md", len(english))
	}
	for i := range max(len(english), len(korean)) {
		var a, b string
		if i < len(english) {
			a = english[i]
		}
		if i < len(korean) {
			b = korean[i]
		}
		if a != b {
			t.Fatalf("the READMEs part at command, heading or row %d\nREADME.md:    %s\nREADME.ko.md: %s", i+1, a, b)
		}
	}
}

// documents returns the paths of all documents of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "README.ko.md", "CONTRIBUTING.md", "tools/mirror/README.md"} {
		all = append(all, filepath.Join(root, name))
	}
	return all
}

func TestLinksLeadToFiles(t *testing.T) {
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range target.FindAllStringSubmatch(string(text), -1) {
			path, _, _ := strings.Cut(m[1], "#")
			if path == "" || strings.Contains(path, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), path)); err != nil {
				t.Errorf("%s links to %s, which does not exist", strings.TrimPrefix(document, root+"/"), m[1])
			}
		}
	}
}
