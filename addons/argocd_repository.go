package addons

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// repository creates the Secret in which Argo CD finds the credentials of the repository. It returns nil if the
// settings hold none, as for a public repository.
func (a argoCD) repository(namespace pulumi.Resource) pulumi.Resource {
	settings := a.cfg.Addons.ArgoCD
	data := map[string]pulumi.StringInput{"type": pulumi.String("git"), "url": pulumi.String(settings.RepoURL)}
	if key, ok := a.given(config.RepositoryKey); ok {
		data["sshPrivateKey"] = withNewline(key)
	} else if key, ok := a.given(config.RepositoryAppKey); ok {
		data["githubAppPrivateKey"] = withNewline(key)
		data["githubAppID"] = pulumi.String(strconv.Itoa(settings.GitHubApp.ID))
		if id := settings.GitHubApp.InstallationID; id != 0 {
			data["githubAppInstallationID"] = pulumi.String(strconv.Itoa(id))
		}
		if api := githubAPI(settings.RepoURL); api != "" {
			data["githubAppEnterpriseBaseUrl"] = pulumi.String(api)
		}
	} else if token, ok := a.given(config.RepositoryToken); ok {
		data["username"], data["password"] = pulumi.String(settings.RepoUsername), token
	} else {
		return nil
	}
	return a.secret("repository", secretArgs{
		namespace: "argocd",
		labels:    map[string]string{"argocd.argoproj.io/secret-type": "repository"},
		data:      data,
	}, needs(namespace))
}

// githubAPI returns the address of the API of the GitHub server that has a repository. It is empty for github.com,
// which Argo CD knows. GitHub Enterprise Cloud with data residency (ghe.com) has it on a host of its own.
func githubAPI(repository string) string {
	server, err := url.Parse(repository)
	switch {
	case err != nil || server.Hostname() == "github.com":
		return ""
	case strings.HasSuffix(server.Hostname(), ".ghe.com"):
		return "https://api." + server.Host
	}
	return "https://" + server.Host + "/api/v3"
}

// withNewline returns a key as it is in a file. The CLI drops the newline at the end of a value.
func withNewline(key pulumi.StringOutput) pulumi.StringInput {
	return key.ApplyT(func(text string) string { return strings.TrimSpace(text) + "\n" }).(pulumi.StringOutput)
}
