package addons

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// data installs the data services, which share a namespace and know nothing of each other.
func (b *builder) data(monitors pulumi.Resource, vol volumes) error {
	services := b.cfg.Addons
	if !services.RabbitMQ.On() && !services.Redis.On() && !services.PostgreSQL.On() {
		return nil
	}
	namespace, err := b.namespace(dataNamespace, baseline)
	if err != nil {
		return err
	}
	if err := b.rabbitmq(namespace, monitors, vol); err != nil {
		return err
	}
	if err := b.redis(namespace, monitors, vol); err != nil {
		return err
	}
	return b.postgresql(namespace, monitors, vol)
}
