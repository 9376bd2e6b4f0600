package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// appsNamespace is where Argo CD deploys what apps/ and envs/ describe.
const appsNamespace = "apps"

// apps makes what the user's apps find in their namespace before Argo CD deploys them: the Secret "connections" with the
// URLs of the data services. So no password is ever in Git.
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
