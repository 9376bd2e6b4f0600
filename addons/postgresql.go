package addons

import (
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// postgreSQL is the add-on of the database.
type postgreSQL struct{ *builder }

// install installs CloudNativePG and one database cluster.
func (p postgreSQL) install(data, monitors pulumi.Resource, vol volumes) {
	settings := p.cfg.Addons.PostgreSQL
	if !settings.On() {
		return
	}
	namespace := p.namespace("cnpg-system", baseline)
	operator := p.release("cloudnative-pg", kube.ReleaseArgs{
		Values: postgresqlOperatorValues(p.cfg).Merge(settings.Values),
	}, needs(p.root.NodesReady, namespace))
	password := p.password("postgresql")
	// The operator does not watch a Secret without the label, and would apply a changed password only together with
	// some other change.
	credentials := p.secret("postgresql-app", secretArgs{
		namespace: dataNamespace, kind: "kubernetes.io/basic-auth", labels: map[string]string{"cnpg.io/reload": "true"},
		data: map[string]pulumi.StringInput{"username": pulumi.String("app"), "password": password},
	}, needs(data))
	// The operator processes the finalizers of the first three in the running database.
	gate := p.customResourcesGate("postgresql", "cnpg-system/deployment/cloudnative-pg", []string{
		"databases.postgresql.cnpg.io", "publications.postgresql.cnpg.io", "subscriptions.postgresql.cnpg.io",
		"clusters.postgresql.cnpg.io",
	}, needs(operator, vol.gate, credentials))
	p.customResourceGates = append(p.customResourceGates, gate)
	keys := p.backupCredentials(data)
	archive := p.archive()
	server := p.deletedByGate(gate, "postgresql", p.cluster(archive), needs(vol.class, vol.gate, credentials, keys),
		// A restore creates a new database in place of the old one, with the same name.
		pulumi.ReplaceOnChanges([]string{`metadata.annotations["` + GenerationAnnotation + `"]`}),
		pulumi.DeleteBeforeReplace(true))
	if settings.BacksUp() {
		p.root.DatabaseArchive = archive
		p.object("postgresql-backup", p.scheduledBackup(), needs(server))
	}
	p.podMonitor("postgresql", "metrics", map[string]string{"cnpg.io/cluster": "postgresql"}, needs(monitors, data))
}

func postgresqlOperatorValues(cfg *config.Config) kube.Values {
	return kube.Values{
		// The operator puts the full names of the database's Services into its certificates.
		"config":    kube.Values{"data": kube.Values{"KUBERNETES_CLUSTER_DOMAIN": cfg.Cluster.DNSDomain}},
		"resources": requests("20m", "64Mi"),
	}
}

var postgresqlImage = catalog.Get("postgresql").Image

// postgresqlInstances is the number of database servers. One keeps its data on one volume in one zone.
const postgresqlInstances = 1

// GenerationAnnotation carries addons.postgresql.generation on the Cluster.
const GenerationAnnotation = "kubeadm-aws/generation"

func (p postgreSQL) cluster(archive pulumi.StringInput) kube.ObjectArgs {
	cfg, settings := p.cfg, p.cfg.Addons.PostgreSQL
	spec := kube.Values{
		"imageName": postgresqlImage,
		"instances": postgresqlInstances,
		// The operator's default budget keeps one instance on its node forever, so a drain could not end.
		"enablePDB": postgresqlInstances > 1,
		// The operator first refuses new connections and waits this long, in seconds, for the old ones to end. Pools of
		// clients never end theirs, so its default of 180 is three minutes without a database in each drain.
		"smartShutdownTimeout": 5,
		"storage": kube.Values{
			"storageClass": storageClass,
			"size":         gibibytes(settings.StorageGiB),
		},
		"bootstrap": bootstrap(settings),
		"resources": kube.Values{"requests": kube.Values{"cpu": "100m", "memory": "384Mi"}},
	}
	if settings.BacksUp() {
		spec["backup"] = kube.Values{
			"barmanObjectStore": p.objectStore(archive),
			"retentionPolicy":   fmt.Sprintf("%dd", settings.Backup.RetentionDays),
		}
	}
	if from := settings.Restore.From; from != "" {
		spec["externalClusters"] = []kube.Values{{"name": from, "barmanObjectStore": p.objectStore(pulumi.String(from))}}
	}
	if place := storagePlacement(cfg); place != nil {
		spec["affinity"] = kube.Values{"nodeSelector": place.selector, "tolerations": place.tolerations}
	}
	return kube.ObjectArgs{
		APIVersion:  "postgresql.cnpg.io/v1",
		Kind:        "Cluster",
		Name:        "postgresql",
		Namespace:   dataNamespace,
		Annotations: generation(settings),
		Fields:      kube.Values{"spec": spec},
		// The condition alone is still true from before a change. The image shows what the operator has processed.
		WaitFor: []string{"jsonpath={.status.image}=" + postgresqlImage, "condition=Ready"},
		Timeout: p.readyTimeout(),
		// The new database of a restore has the names of the old one, whose volume must be gone before.
		Foreground: true,
	}
}

// moveTimeout limits a restore, or an upgrade to another major version. The more data, the longer both take.
const moveTimeout = 6 * time.Hour

// readyTimeout returns how long `up` waits for the database. Zero means the default. The settings keep restore.from
// after a restore, and a fault of the restored database must not hold every later update for hours.
func (p postgreSQL) readyTimeout() time.Duration {
	settings, before := p.cfg.Addons.PostgreSQL, p.args.Database
	restores := before.Image == "" || before.Generation != settings.Generation || before.NotReady
	if settings.Restore.From != "" && restores || before.Image != "" && major(before.Image) != major(postgresqlImage) {
		return moveTimeout
	}
	return 0
}

// major returns the major version in the tag of an image such as ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie.
func major(image string) string {
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	version, _, _ := strings.Cut(tag, ".")
	return version
}

// generation returns no annotation for the first database, as in stacks created before generations existed: a new
// annotation would replace their databases.
func generation(settings config.PostgreSQL) map[string]string {
	if settings.Generation == "" {
		return nil
	}
	return map[string]string{GenerationAnnotation: settings.Generation}
}

// The operator reads bootstrap when the database is new, and ignores it afterwards.
func bootstrap(settings config.PostgreSQL) kube.Values {
	application := kube.Values{"database": "app", "owner": "app", "secret": kube.Values{"name": "postgresql-app"}}
	if settings.Restore.From == "" {
		return kube.Values{"initdb": application}
	}
	application["source"] = settings.Restore.From
	if settings.Restore.TargetTime != "" {
		application["recoveryTarget"] = kube.Values{"targetTime": settings.Restore.TargetTime}
	}
	return kube.Values{"recovery": application}
}
