package bootstrap

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"kubeadm-aws/internal/report"
)

// printNext prints the commands that make the pipelines of the repository work, and the stacks of clusters use the
// bucket and the key.
func printNext(to io.Writer, outputs auto.OutputMap) error {
	repository, _ := outputs["repository"].Value.(string)
	branch, _ := outputs["mainBranch"].Value.(string)
	shared, okShared := outputs["repositoryVariables"].Value.(map[string]any)
	environments, okEnvironments := outputs["environmentVariables"].Value.(map[string]any)
	secrets, okSecrets := outputs["secretsProviders"].Value.(map[string]any)
	if repository == "" || !okShared || !okEnvironments || !okSecrets {
		return report.Fail(report.ExitFailed, "", "the outputs of the stack are not those of this program")
	}
	var b strings.Builder
	b.WriteString("\nOn GitHub, once, as an administrator of the repository (gh auth login). An environment that exists keeps its " +
		"settings: look whether its jobs come from " + branch + " only.\n\n")
	for _, name := range slices.Sorted(maps.Keys(environments)) {
		writeEnvironment(&b, repository, name, branch)
	}
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		fmt.Fprintf(&b, "gh variable set %s --body %s --repo %s\n", name, quoted(shared[name]), repository)
	}
	for _, environment := range slices.Sorted(maps.Keys(environments)) {
		variables, _ := environments[environment].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			fmt.Fprintf(&b, "gh variable set %s --env %s --body %s --repo %s\n", name, environment, quoted(variables[name]),
				repository)
		}
	}
	fmt.Fprintf(&b, "gh variable set STACKS --body \"$(%s)\" --repo %s\n", withStacks(repository, secrets), repository)
	b.WriteString(otherNames(branch, secrets))
	b.WriteString("\nHere, once for each stack of a cluster:\n\n")
	fmt.Fprintf(&b, "export PULUMI_BACKEND_URL=%s\n", quoted(outputs["backend"].Value))
	for _, stack := range slices.Sorted(maps.Keys(secrets)) {
		fmt.Fprintf(&b, "pulumi stack init %s --secrets-provider %s\n", stack, quoted(secrets[stack]))
	}
	b.WriteString("\nThese commands write secretsprovider and encryptedkey into Pulumi.<stack>.yaml, as this one has written them into " +
		"bootstrap/Pulumi.account.yaml. Without them no pipeline and no other person can open the stack, so commit and push them:\n\n" +
		"git add Pulumi.*.yaml bootstrap/Pulumi.account.yaml\n" +
		"git commit -m 'Name the keys of the stacks'\n" +
		"git push\n")
	_, err := io.WriteString(to, b.String()+"\n")
	return err
}

// withStacks is a command that prints the variable STACKS with these stacks added, as JSON. Each account of a
// repository adds its own.
func withStacks(repository string, stacks map[string]any) string {
	added, _ := json.Marshal(slices.Sorted(maps.Keys(stacks))) // A list of texts has JSON.
	return fmt.Sprintf(`gh variable list --json name,value --jq '[.[] | select(.name == "STACKS") | .value | fromjson[]] + %s `+
		`| unique | tojson' --repo %s`, added, repository)
}

// otherNames says which workflows to change for a branch and stacks that they do not name. GitHub takes no variables
// there.
func otherNames(branch string, stacks map[string]any) string {
	text := ""
	if branch != "main" {
		text += "\nIn .github/workflows/ci.yml, deploy.yml and application-build.yml: branches: [" + branch + "] instead of main.\n"
	}
	for _, stack := range slices.Sorted(maps.Keys(stacks)) {
		if !slices.Contains([]string{"dev", "staging", "prod"}, stack) {
			text += "\nIn .github/workflows/deploy.yml, rollback.yml and destroy.yml: " + stack + " among the options of the input stack.\n" +
				"In .github/workflows/repair.yml: " + stack + " as prod is, in outputs of the job look and in the step list.\n"
		}
	}
	return text
}

// writeEnvironment makes a GitHub environment that does not exist: a change would take its reviewers away. Jobs of pull
// requests may use the one for previews; every other takes
// jobs of the main branch only.
func writeEnvironment(b *strings.Builder, repository, name, branch string) {
	path := "repos/" + repository + "/environments/" + name
	missing, create := "gh api --silent "+path+" 2>/dev/null || ", "gh api --silent --method PUT "+path
	if strings.HasSuffix(name, "-preview") {
		b.WriteString(missing + create + "\n")
		return
	}
	fmt.Fprintf(b, "%s{ %s -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true' && "+
		"gh api --silent --method POST %s/deployment-branch-policies -f name=%s; }\n", missing, create, path, branch)
}

// quoted is a value as one word of a shell. Values hold no single quote.
func quoted(value any) string { return "'" + fmt.Sprint(value) + "'" }
