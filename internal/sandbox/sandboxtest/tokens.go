package sandboxtest

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// CheckTokens fails when a modelled type or function of a provider is not used by the program, and when the program
// uses one that is not modelled. Types in madeInCluster are created by controllers, so that no program registers
// them.
func CheckTokens(t *testing.T, provider string, modelled []string, madeInCluster ...string) {
	t.Helper()
	used := tokensOfProgram(t)
	if len(used) < 40 {
		t.Fatalf("only %d types and functions found in the program: the imports are not recognized any more", len(used))
	}
	for _, token := range modelled {
		if !used[token] && !slices.Contains(madeInCluster, token) {
			t.Errorf("%s is modelled and the program does not use it: remove it from the model", token)
		}
	}
	for _, token := range slices.Sorted(maps.Keys(used)) {
		if strings.HasPrefix(token, provider+":") && !slices.Contains(modelled, token) {
			t.Errorf("%s is used by the program and not modelled: add it to the model", token)
		}
	}
}

// tokensOfProgram are the tokens of resource types and functions that the source of the program calls.
func tokensOfProgram(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	for _, dir := range []string{"addons", "bootstrap", "cluster", "config", "infra", "stack"} {
		err := filepath.WalkDir(filepath.Join(root(t), dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err == nil {
				maps.Copy(used, tokensOfFile(file))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return used
}

// root is the directory of go.mod above the test's own directory.
func root(t *testing.T) string {
	t.Helper()
	for dir := "."; len(dir) < 100; dir = filepath.Join("..", dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above this directory")
	return ""
}

func tokensOfFile(file *ast.File) map[string]bool {
	modules := map[string]string{}
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		modules[name] = moduleOf(path)
	}
	used := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if function, ok := call.Fun.(*ast.SelectorExpr); ok {
			if pkg, ok := function.X.(*ast.Ident); ok && modules[pkg.Name] != "" {
				if token := tokenOf(modules[pkg.Name], function.Sel.Name); token != "" {
					used[token] = true
				}
			}
		}
		return true
	})
	return used
}

// moduleOf turns the import path of a provider's SDK into the start of its tokens, such as "aws:ec2"; "" for other
// paths.
func moduleOf(path string) string {
	_, rest, found := strings.Cut(path, "github.com/pulumi/pulumi-")
	_, inside, _ := strings.Cut(rest, "/go/")
	provider, module, _ := strings.Cut(inside, "/")
	if !found || !slices.Contains([]string{"aws", "tls", "random", "command"}, provider) {
		return ""
	}
	if module == "" {
		module = "index"
	}
	return provider + ":" + module
}

// tokenOf turns NewVpc into aws:ec2/vpc:Vpc and LookupZone into aws:route53/getZone:getZone; "" for other identifiers.
func tokenOf(module, identifier string) string {
	if name, ok := strings.CutPrefix(identifier, "New"); ok && name != "Provider" {
		if strings.HasPrefix(module, "command:") {
			return module + ":" + name
		}
		return module + "/" + strings.ToLower(name[:1]) + name[1:] + ":" + name
	}
	for _, prefix := range []string{"Lookup", "Get"} {
		if name, ok := strings.CutPrefix(identifier, prefix); ok {
			name = "get" + strings.TrimSuffix(name, "Output")
			return module + "/" + name + ":" + name
		}
	}
	return ""
}
