package addons

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// postgresql installs CloudNativePG and one database cluster of it.
func (b *builder) postgresql(data, monitors pulumi.Resource, vol volumes) error {
	settings := b.cfg.Addons.PostgreSQL
	if !settings.On() {
		return nil
	}
	namespace, err := b.namespace("cnpg-system", baseline)
	if err != nil {
		return err
	}
	operator, err := b.release("cloudnative-pg", postgresqlChart, kube.ReleaseArgs{
		Namespace: "cnpg-system",
		Values:    postgresqlOperatorValues(b.cfg).Merge(settings.Values),
	}, needs(b.root.NodesReady, namespace))
	if err != nil {
		return err
	}
	password, err := b.password("postgresql")
	if err != nil {
		return err
	}
	// Without the label the operator does not watch the Secret, and a changed password waits for some other change.
	credentials, err := b.secret("postgresql-app", dataNamespace, "kubernetes.io/basic-auth", map[string]string{"cnpg.io/reload": "true"},
		map[string]pulumi.StringInput{"username": pulumi.String("app"), "password": password}, needs(data))
	if err != nil {
		return err
	}
	// The first three have finalizers that the operator works off in the running database.
	gate, err := b.operandsGate("postgresql", "cnpg-system/deployment/cloudnative-pg", []string{
		"databases.postgresql.cnpg.io", "publications.postgresql.cnpg.io", "subscriptions.postgresql.cnpg.io",
		"clusters.postgresql.cnpg.io",
	}, needs(operator, vol.gate, credentials))
	if err != nil {
		return err
	}
	b.operands = append(b.operands, gate)
	if _, err := b.behind(gate, "postgresql", postgresqlCluster(b.cfg), needs(vol.class, vol.gate, credentials)); err != nil {
		return err
	}
	return b.podMonitor("postgresql", "metrics", map[string]string{"cnpg.io/cluster": "postgresql"}, needs(monitors, data))
}

func postgresqlOperatorValues(cfg *config.Config) kube.Values {
	return kube.Values{
		// The operator puts the full names of the database's Services into its certificates.
		"config":    kube.Values{"data": kube.Values{"KUBERNETES_CLUSTER_DOMAIN": cfg.Cluster.DNSDomain}},
		"resources": requests("20m", "64Mi"),
	}
}

// postgresqlInstances is the number of database servers. One keeps its data on one volume in one zone.
const postgresqlInstances = 1

func postgresqlCluster(cfg *config.Config) kube.ObjectArgs {
	spec := kube.Values{
		"imageName": postgresqlImage,
		"instances": postgresqlInstances,
		// The budget that the operator makes by default keeps one instance on its node for ever, so a drain could not end.
		"enablePDB": postgresqlInstances > 1,
		"storage": kube.Values{
			"storageClass": storageClass,
			"size":         fmt.Sprintf("%dGi", cfg.Addons.PostgreSQL.StorageGiB),
		},
		"bootstrap": kube.Values{"initdb": kube.Values{
			"database": "app",
			"owner":    "app",
			"secret":   kube.Values{"name": "postgresql-app"},
		}},
		"resources": kube.Values{"requests": kube.Values{"cpu": "100m", "memory": "384Mi"}},
	}
	if place := storagePlacement(cfg); place != nil {
		spec["affinity"] = kube.Values{"nodeSelector": place.selector, "tolerations": place.tolerations}
	}
	return kube.ObjectArgs{
		APIVersion: "postgresql.cnpg.io/v1",
		Kind:       "Cluster",
		Name:       "postgresql",
		Namespace:  dataNamespace,
		Fields:     kube.Values{"spec": spec},
		// The condition alone is still true from before a change; the image is what the operator has read.
		WaitFor: []string{"jsonpath={.status.image}=" + postgresqlImage, "condition=Ready"},
	}
}
