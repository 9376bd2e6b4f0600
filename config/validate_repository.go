package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownServices are the hosts whose SSH keys Argo CD's chart knows.
var knownServices = []string{
	"github.com", "[ssh.github.com]:443", "gitlab.com", "bitbucket.org", "ssh.dev.azure.com", "vs-ssh.visualstudio.com",
}

// repository checks that the credentials fit the repository, without showing them.
func (v secretsValidator) repository() {
	a := v.c.Addons.ArgoCD
	key, hasKey := v.get(Namespace + ":" + RepositoryKey)
	app, hasApp := v.get(Namespace + ":" + RepositoryAppKey)
	token, hasToken := v.get(Namespace + ":" + RepositoryToken)
	unused := func(name string, is bool, reason string) {
		if is {
			v.fault(name, nil, "is not used: "+reason, "pulumi config rm "+Namespace+":"+name)
		}
	}
	switch {
	case a.RepoURL == "":
		const reason = "there is no addons.argocd.repoUrl"
		unused(RepositoryKey, hasKey, reason)
		unused(RepositoryAppKey, hasApp, reason)
		unused(RepositoryToken, hasToken, reason)
	case gitURLFault(a.RepoURL) != "": // refused already
	case sshHost(a.RepoURL) != "":
		const reason = "addons.argocd.repoUrl is reached over SSH, with argocdRepositoryKey"
		unused(RepositoryAppKey, hasApp, reason)
		unused(RepositoryToken, hasToken, reason)
		if !hasKey && a.On() {
			v.c.notes = append(v.c.notes, "argocdRepositoryKey is not set, and addons.argocd.repoUrl is reached over SSH: Argo "+
				"CD needs a key from elsewhere. To let the stack keep it: "+keyCommand(RepositoryKey, "deploy-key"))
		}
	default:
		unused(RepositoryKey, hasKey, "addons.argocd.repoUrl is reached over HTTPS, with a token or a GitHub App")
		unused(RepositoryToken, hasToken && hasApp, "argocdRepositoryAppKey is set too, and one is enough")
	}
	if hasKey {
		v.privateKey(RepositoryKey, key, "deploy-key")
	}
	if hasApp {
		v.privateKey(RepositoryAppKey, app, "app.private-key.pem")
	}
	if hasToken && token != sealed && (token == "" || strings.ContainsFunc(token, isUnprintable)) {
		v.fault(RepositoryToken, nil, "must be printable letters without spaces", secretCommand(RepositoryToken))
	}
	v.githubApp(a.GitHubApp, hasApp)
	v.webhookSecret()
}

// keyCommand returns the command that sets a secret of several lines from a file.
func keyCommand(name, file string) string { return secretCommand(name) + " < " + file }

// isUnprintable reports whether a character cannot be part of a token.
func isUnprintable(r rune) bool { return r <= ' ' || r > '~' }

// privateKey refuses what cannot be used without a person: a public key, a passphrase.
func (v secretsValidator) privateKey(name, text, file string) {
	if text == sealed {
		return
	}
	_, err := ssh.ParseRawPrivateKey([]byte(text))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		v.fault(name, nil, "has a passphrase, which Argo CD cannot enter", keyCommand(name, file))
	case err != nil:
		v.fault(name, nil, "is not a private key in PEM form, all lines of it", keyCommand(name, file))
	}
}

func (v secretsValidator) githubApp(app GitHubApp, hasKey bool) {
	const path = "addons.argocd.githubApp.id"
	for _, number := range []struct {
		path  string
		value int
	}{{path, app.ID}, {"addons.argocd.githubApp.installationId", app.InstallationID}} {
		if number.value < 0 || number.value == 0 && v.written[Namespace+":"+number.path] {
			v.fault(number.path, number.value, "must be the number that GitHub shows for it", "1234567")
		}
	}
	switch {
	case hasKey && app.ID == 0:
		v.fault(path, nil, "is not set: argocdRepositoryAppKey is the key of an App",
			"pulumi config set --path kubeadm-aws:"+path+" 1234567")
	case !hasKey && app.ID != 0:
		v.fault(RepositoryAppKey, nil, "is not set: "+path+" needs a private key of the App",
			keyCommand(RepositoryAppKey, "app.private-key.pem"))
	case app.ID == 0 && app.InstallationID != 0:
		v.fault(path, nil, "is not set: addons.argocd.githubApp.installationId belongs to an App", "1234567")
	}
}

// webhookSecret checks that GitHub can reach Argo CD.
func (v secretsValidator) webhookSecret() {
	secret, ok := v.get(Namespace + ":" + WebhookSecret)
	if !ok {
		return
	}
	switch {
	case v.c.Addons.ArgoCD.RepoURL == "":
		v.fault(WebhookSecret, nil, "is not used: there is no addons.argocd.repoUrl",
			"pulumi config rm kubeadm-aws:"+WebhookSecret)
	case v.c.DNS.Domain == "":
		v.fault(WebhookSecret, nil, "is not used: without dns.domain GitHub does not reach Argo CD",
			"dns.domain, or pulumi config rm kubeadm-aws:"+WebhookSecret)
	case secret != sealed && (len(secret) < minWebhookSecret || strings.ContainsFunc(secret, isUnprintable)):
		v.fault(WebhookSecret, nil, fmt.Sprintf("must be at least %d printable letters without spaces", minWebhookSecret),
			"openssl rand -hex 20 | "+secretCommand(WebhookSecret))
	}
}

const minWebhookSecret = 16

// repository validates how Argo CD reaches the repository. secretsValidator validates the secrets.
func (v argocdValidator) repository(a ArgoCD) {
	if name := a.RepoUsername; len(name) > 254 || !repoUser.MatchString(name) {
		v.fault("addons.argocd.repoUsername", name, "must be made of letters, digits and any of _.+@-", "git")
	}
	var hosts []string
	for i, line := range a.KnownHosts {
		names, fault := hostsOfLine(line)
		if fault != "" {
			v.fault(fmt.Sprintf("addons.argocd.knownHosts[%d]", i), line, fault, "git.example.com ssh-ed25519 AAAA…")
		}
		hosts = append(hosts, names...)
	}
	host := sshHost(a.RepoURL)
	if len(a.KnownHosts) > 0 && host == "" {
		v.fault("addons.argocd.knownHosts", nil, "is not used: addons.argocd.repoUrl is not reached over SSH",
			"no knownHosts")
	} else if host != "" && a.On() && !slices.Contains(knownServices, host) && !slices.Contains(hosts, host) {
		v.c.notes = append(v.c.notes, "addons.argocd.knownHosts has no key of "+host+", the host of addons.argocd.repoUrl: "+
			"Argo CD does not connect without one from elsewhere. Add a line of: "+keyscan(host))
	}
}

// keyscan returns the command that prints the keys of a host.
func keyscan(host string) string {
	if name, port, ok := strings.Cut(host, "]:"); ok {
		return "ssh-keyscan -p " + port + " " + name[1:]
	}
	return "ssh-keyscan " + host
}

// hostsOfLine returns the hosts of a line of a known_hosts file, or what is wrong with it.
func hostsOfLine(line string) (hosts []string, fault string) {
	marker, hosts, _, _, _, err := ssh.ParseKnownHosts([]byte(line))
	switch {
	case err != nil:
		return nil, "is not a line of a known_hosts file: host, type and key"
	case marker != "":
		return nil, "has a mark such as @revoked, which Argo CD does not take"
	case strings.HasPrefix(line, "|"):
		return nil, "hides its host by a hash: take the line of ssh-keyscan without -H"
	}
	return hosts, ""
}

// sshHost returns the host of a repository over SSH as in a known_hosts file, or "".
func sshHost(repository string) string {
	if gitSSH.MatchString(repository) {
		_, rest, _ := strings.Cut(repository, "@")
		host, _, _ := strings.Cut(rest, ":")
		return strings.ToLower(host)
	}
	u, err := url.Parse(repository)
	switch {
	case err != nil || u.Scheme != "ssh":
		return ""
	case u.Port() != "" && u.Port() != "22":
		return "[" + strings.ToLower(u.Hostname()) + "]:" + u.Port()
	}
	return strings.ToLower(u.Hostname())
}
