package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// appsNamespace is the namespace into which Argo CD deploys apps/ and envs/.
const appsNamespace = "apps"

// apps creates the Secret "connections" with the URLs of the data services, before Argo CD deploys the user's apps.
// So Git never contains a password.
func (b *builder) apps() pulumi.Resource {
	namespace := b.namespace(appsNamespace, restricted)
	urls := map[string]pulumi.StringInput{}
	if password, on := b.root.Passwords["rabbitmq"]; on {
		urls["RABBITMQ_URL"] = pulumi.Sprintf("amqp://%s:%s@rabbitmq.%s.svc:5672/", rabbitmqUser, password, dataNamespace)
	}
	if password, on := b.root.Passwords["redis"]; on {
		urls["REDIS_URL"] = pulumi.Sprintf("redis://default:%s@valkey.%s.svc:6379/0", password, dataNamespace)
	}
	if password, on := b.root.Passwords["postgresql"]; on {
		urls["DATABASE_URL"] = pulumi.Sprintf("postgresql://app:%s@postgresql-rw.%s.svc:5432/app", password, dataNamespace)
	}
	return b.secret("connections", secretArgs{namespace: appsNamespace, data: urls}, needs(namespace))
}
