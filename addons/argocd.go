package addons

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/bcrypt"
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// argoCD is the add-on that deploys applications from Git.
type argoCD struct{ *builder }

// install installs Argo CD and, if a repository is configured, the Application that syncs everything else from it. The
// gates of the resources that Applications may deploy have to outlive the Applications.
func (a argoCD) install(monitors pulumi.Resource, gates ...pulumi.Resource) pulumi.Resource {
	settings := a.cfg.Addons.ArgoCD
	if !settings.On() {
		return nil
	}
	namespace := a.namespace("argocd", baseline)
	login := a.login(namespace)
	repository := a.repository(namespace)
	argocd := a.release("argo-cd", kube.ReleaseArgs{
		Values: argocdValues(a.cfg, monitors != nil).Merge(settings.Values),
	}, needs(a.root.NodesReady, login, monitors))
	outlast := append(needs(argocd), needs(gates...)...)
	if settings.RepoURL == "" {
		a.applicationsGate(outlast)
		return argocd
	}
	lasting := slices.Concat(a.namespaces(), a.projects(argocd), needs(repository))
	gate := a.applicationsGate(append(outlast, lasting...))
	a.deletedByGate(gate, "root-application", rootApplication(a.cfg), lasting)
	return argocd
}

// login creates the Secret in which Argo CD keeps its administrator. Argo CD adds its own keys to it. The
// program owns only the keys that it sets.
func (a argoCD) login(namespace pulumi.Resource) pulumi.Resource {
	password := a.password("argocd")
	if a.err != nil {
		return nil
	}
	salt, err := random.NewRandomBytes(a.ctx, "argocd-salt", &random.RandomBytesArgs{Length: pulumi.Int(16)},
		pulumi.Parent(a.root), pulumi.Provider(a.random))
	if err != nil {
		a.failed(fmt.Errorf("salt of argocd: %w", err))
		return nil
	}
	hash := pulumi.All(password, salt.Base64).ApplyT(func(values []any) (string, error) {
		raw, err := base64.StdEncoding.DecodeString(values[1].(string))
		if err != nil {
			return "", fmt.Errorf("salt of argocd: %w", err)
		}
		return bcrypt.Hash(values[0].(string), raw)
	}).(pulumi.StringOutput)
	// A UUID of version 7 begins with its creation time. This one is created again whenever the password changes.
	changed, err := random.NewRandomUuid7(a.ctx, "argocd-password-changed", &random.RandomUuid7Args{
		Keepers: pulumi.StringMap{"password": hash},
	}, pulumi.Parent(a.root), pulumi.Provider(a.random))
	if err != nil {
		a.failed(fmt.Errorf("time of argocd's password: %w", err))
		return nil
	}
	data := map[string]pulumi.StringInput{
		"admin.password": hash,
		// Argo CD refuses sessions and API tokens of the administrator that are older than this time.
		"admin.passwordMtime": changed.Result.ApplyT(func(uuid string) (string, error) {
			at, err := timeOfUUID(uuid)
			return at.Format(time.RFC3339), err
		}).(pulumi.StringOutput),
	}
	if secret, ok := a.given(config.WebhookSecret); ok {
		data["webhook.github.secret"] = secret
	}
	return a.secret("argocd-secret", secretArgs{
		namespace: "argocd",
		labels: map[string]string{
			"app.kubernetes.io/name":    "argocd-secret",
			"app.kubernetes.io/part-of": "argocd",
		},
		data: data,
	}, needs(namespace))
}

// timeOfUUID returns the time in a UUID of version 7. Its first 48 bits are milliseconds since 1970.
func timeOfUUID(uuid string) (time.Time, error) {
	digits := strings.ReplaceAll(uuid, "-", "")
	if len(digits) != 32 {
		return time.Time{}, fmt.Errorf("%q is not a UUID", uuid)
	}
	milliseconds, err := strconv.ParseInt(digits[:12], 16, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a UUID: %w", uuid, err)
	}
	return time.UnixMilli(milliseconds).UTC(), nil
}

func argocdValues(cfg *config.Config, monitored bool) kube.Values {
	metrics := kube.Values{"enabled": monitored, "serviceMonitor": kube.Values{"enabled": monitored}}
	values := kube.Values{
		"fullnameOverride": "argocd",
		// Kept on uninstall, because deleting the definitions would delete every Application.
		"crds": kube.Values{"install": true, "keep": true},
		"configs": kube.Values{
			"secret": kube.Values{"createSecret": false},
			// TLS ends at the load balancer.
			"params": kube.Values{"server.insecure": true},
		},
		"controller": kube.Values{"resources": requests("100m", "256Mi"), "metrics": metrics},
		"repoServer": kube.Values{"resources": requests("50m", "128Mi"), "metrics": metrics,
			"copyutil": kube.Values{"resources": requests("10m", "16Mi")}},
		"server": kube.Values{
			"resources": requests("25m", "64Mi"),
			"metrics":   metrics,
			// The chart's fixed node ports may be in use. With null the API server assigns free ones.
			"service": kube.Values{"type": "NodePort", "nodePortHttp": nil, "nodePortHttps": nil},
		},
		"applicationSet":  kube.Values{"resources": requests("20m", "64Mi")},
		"redis":           kube.Values{"resources": requests("20m", "32Mi")},
		"redisSecretInit": kube.Values{"resources": requests("10m", "16Mi")},
		// Single sign-on and notifications are useless without further configuration.
		"dex":           kube.Values{"enabled": false},
		"notifications": kube.Values{"enabled": false},
	}
	if hosts := cfg.Addons.ArgoCD.KnownHosts; len(hosts) > 0 {
		values["configs"].(kube.Values)["ssh"] = kube.Values{"extraHosts": strings.Join(hosts, "\n") + "\n"}
	}
	if cfg.DNS.Domain != "" {
		values["global"] = kube.Values{"domain": argocdHost(cfg)}
	}
	return values
}

func argocdHost(cfg *config.Config) string { return "argocd." + cfg.DNS.Domain }
