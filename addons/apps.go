package addons

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// appsNamespace is the namespace into which Argo CD deploys apps/ and envs/.
const appsNamespace = "apps"

// namespaces creates the namespaces of the user's apps, and in the first one the Secret "connections" with the URLs of
// the data services, before Argo CD deploys there. So Git never contains a password, and needs no right to create a
// namespace.
func (a argoCD) namespaces() []pulumi.Resource {
	namespace := a.namespace(appsNamespace, restricted)
	urls := map[string]pulumi.StringInput{}
	if password, on := a.root.Passwords["rabbitmq"]; on {
		urls["RABBITMQ_URL"] = pulumi.Sprintf("amqp://%s:%s@rabbitmq.%s.svc:5672/", rabbitmqUser, password, dataNamespace)
	}
	if password, on := a.root.Passwords["redis"]; on {
		urls["REDIS_URL"] = pulumi.Sprintf("redis://default:%s@valkey.%s.svc:6379/0", password, dataNamespace)
	}
	if password, on := a.root.Passwords["postgresql"]; on {
		urls["DATABASE_URL"] = pulumi.Sprintf("postgresql://app:%s@postgresql-rw.%s.svc:5432/app", password, dataNamespace)
	}
	created := needs(a.secret("connections", secretArgs{namespace: appsNamespace, data: urls}, needs(namespace)))
	further := a.cfg.Addons.ArgoCD.Project.Namespaces
	for _, name := range slices.Sorted(maps.Keys(further)) {
		created = append(created, needs(a.namespace(name, further[name]))...)
	}
	return created
}
