package bootstrap

import (
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
	b.WriteString("\nOn GitHub, once, as an administrator of the repository (gh auth login):\n\n")
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
	b.WriteString("\nHere, once for each stack of a cluster:\n\n")
	fmt.Fprintf(&b, "export PULUMI_BACKEND_URL=%s\n", quoted(outputs["backend"].Value))
	for _, stack := range slices.Sorted(maps.Keys(secrets)) {
		fmt.Fprintf(&b, "pulumi stack init %s --secrets-provider %s\n", stack, quoted(secrets[stack]))
	}
	_, err := io.WriteString(to, b.String()+"\n")
	return err
}

// writeEnvironment makes a GitHub environment. Jobs of pull requests may use the one for previews; every other takes
// jobs of the main branch only.
func writeEnvironment(b *strings.Builder, repository, name, branch string) {
	path := "repos/" + repository + "/environments/" + name
	if strings.HasSuffix(name, "-preview") {
		fmt.Fprintf(b, "gh api --silent --method PUT %s\n", path)
		return
	}
	fmt.Fprintf(b, "gh api --silent --method PUT %s -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'\n", path)
	fmt.Fprintf(b, "gh api --silent --method POST %s/deployment-branch-policies -f name=%s\n", path, branch)
}

// quoted is a value as one word of a shell. Values hold no single quote.
func quoted(value any) string { return "'" + fmt.Sprint(value) + "'" }
