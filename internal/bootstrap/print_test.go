package bootstrap

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every workflow that has the names of the stacks in its text is named for a stack with another name.
func TestWorkflowsWithNamesOfStacksAreNamed(t *testing.T) {
	says := otherNames("main", map[string]any{"dev": "", "test": ""})
	files, err := filepath.Glob(filepath.Join("..", "..", ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fixed := strings.Contains(string(text), "staging") && strings.Contains(string(text), "./.github/actions/stack")
		if name := filepath.Base(file); strings.Contains(says, name) != fixed {
			t.Errorf("%s has the names of stacks: %t; said is %s", name, fixed, says)
		}
	}
	if says := otherNames("main", map[string]any{"dev": "", "staging": "", "prod": ""}); says != "" {
		t.Errorf("nothing has to be changed, and said is %s", says)
	}
}
