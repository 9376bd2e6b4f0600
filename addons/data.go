package addons

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// dataServices are the add-ons RabbitMQ, Redis and PostgreSQL.
type dataServices struct{ *builder }

// install installs the data services. They share a namespace and are independent of each other.
func (d dataServices) install(monitors pulumi.Resource, vol volumes) {
	services := d.cfg.Addons
	if !services.RabbitMQ.On() && !services.Redis.On() && !services.PostgreSQL.On() {
		return
	}
	namespace := d.namespace(dataNamespace, baseline)
	rabbitMQ(d).install(namespace, monitors, vol)
	redis(d).install(namespace, monitors, vol)
	postgreSQL(d).install(namespace, monitors, vol)
}
