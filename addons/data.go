package addons

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// data installs the data services. They share a namespace and are independent of each other.
func (b *builder) data(monitors pulumi.Resource, vol volumes) {
	services := b.cfg.Addons
	if !services.RabbitMQ.On() && !services.Redis.On() && !services.PostgreSQL.On() {
		return
	}
	namespace := b.namespace(dataNamespace, baseline)
	b.rabbitmq(namespace, monitors, vol)
	b.redis(namespace, monitors, vol)
	b.postgresql(namespace, monitors, vol)
}
