package config

import "reflect"

// Addon is the common part of every add-on's settings.
type Addon struct {
	// Enabled switches the add-on. Nil takes the default.
	Enabled *bool `json:"enabled"`
	// Values are merged over the program's Helm values, key by key.
	Values map[string]any `json:"values"`
}

// On reports whether the add-on is enabled; defaults are filled in by Load.
func (a Addon) On() bool { return a.Enabled != nil && *a.Enabled }

// Addons are the parts of the platform on top of the cluster.
type Addons struct {
	MetricsServer   Addon      `json:"metricsServer"`
	EBSCSI          Addon      `json:"ebsCsi"`
	CertManager     Addon      `json:"certManager"`
	LoadBalancer    Addon      `json:"loadBalancer"`
	Monitoring      Addon      `json:"monitoring"`
	Logging         Addon      `json:"logging"`
	RabbitMQ        RabbitMQ   `json:"rabbitmq"`
	Redis           Redis      `json:"redis"`
	PostgreSQL      PostgreSQL `json:"postgresql"`
	ArgoCD          ArgoCD     `json:"argocd"`
	ArgoRollouts    Addon      `json:"argoRollouts"`
	CertificateACME ACME       `json:"acme"`
}

// ByKey are the common settings of all add-ons by their keys, such as "ebsCsi".
func (a Addons) ByKey() map[string]Addon {
	all := map[string]Addon{}
	fields := reflect.ValueOf(a)
	for i := range fields.NumField() {
		field := fields.Field(i)
		if inner := field.FieldByName("Addon"); inner.IsValid() {
			field = inner
		}
		if addon, ok := field.Interface().(Addon); ok {
			all[fields.Type().Field(i).Tag.Get("json")] = addon
		}
	}
	return all
}

// Storage is an add-on with a persistent volume of StorageGiB.
type Storage struct {
	Addon
	StorageGiB int `json:"storageGiB"`
}

// RabbitMQ is the operator and one RabbitmqCluster.
type RabbitMQ struct {
	Storage
	Replicas int `json:"replicas"`
	// MemoryMiB is the memory of each server: its request and its limit.
	MemoryMiB int `json:"memoryMiB"`
}

// Redis is Valkey with one server.
type Redis struct {
	Storage
	// MaxMemoryMiB bounds the memory of its data. The pod's limit is twice that, because a rewrite of the log on disk
	// copies what changes meanwhile.
	MaxMemoryMiB int `json:"maxMemoryMiB"`
}

// PostgreSQL is the operator and one database.
type PostgreSQL struct {
	Storage
	// Generation tells a database that was restored from those before it. Another one replaces the database by a restore.
	Generation string            `json:"generation"`
	Backup     PostgreSQLBackup  `json:"backup"`
	Restore    PostgreSQLRestore `json:"restore"`
}

// PostgreSQLBackup is a base backup each day and every segment of the write-ahead log, in the stack's bucket.
type PostgreSQLBackup struct {
	Enabled *bool `json:"enabled"`
	// RetentionDays is how far back a restore can go.
	RetentionDays int `json:"retentionDays"`
}

// PostgreSQLRestore is the backup that a database of a new generation starts from.
type PostgreSQLRestore struct {
	// From is the archive of an earlier database, such as "postgresql-20261125t013000".
	From string `json:"from"`
	// TargetTime is a time in RFC 3339; empty restores all that was archived.
	TargetTime string `json:"targetTime"`
}

// BacksUp reports whether there is a database with backups.
func (p PostgreSQL) BacksUp() bool { return p.On() && p.Backup.Enabled != nil && *p.Backup.Enabled }

// ArchivePrefix begins the name of the folder of this generation's backups. Older programs had no more than it.
func (p PostgreSQL) ArchivePrefix() string {
	if p.Generation == "" {
		return "postgresql"
	}
	return "postgresql-" + p.Generation
}

// ArgoCD is Argo CD and, when a repository is given, the root Application that syncs envs/<environment> from it.
type ArgoCD struct {
	Addon
	RepoURL  string `json:"repoUrl"`
	Revision string `json:"revision"`
	// Registry is the host and path before the applications' image names, without the final slash.
	Registry string `json:"registry"`
	// RepoUsername is who the token argocdRepositoryToken belongs to, where the service asks.
	RepoUsername string `json:"repoUsername"`
	// KnownHosts are lines of a known_hosts file, for a repository over SSH at a service that Argo CD does not know.
	KnownHosts []string  `json:"knownHosts"`
	GitHubApp  GitHubApp `json:"githubApp"`
	// Project is what the applications may use in addition to the repository, the namespace apps and common kinds.
	Project Project `json:"project"`
}

// GitHubApp is the App of GitHub that may read the repository, with the secret argocdRepositoryAppKey.
type GitHubApp struct {
	ID int `json:"id"`
	// InstallationID is found by Argo CD if it is 0.
	InstallationID int `json:"installationId"`
}

// Project widens Argo CD's project of the applications, which limits what Git may do in the cluster.
type Project struct {
	// Repositories are further sources: Git repositories and Helm charts.
	Repositories []string `json:"repositories"`
	// Namespaces are further namespaces, with the pod security level of each: restricted or baseline.
	Namespaces map[string]string `json:"namespaces"`
	// Kinds are further namespaced kinds, as group/Kind, or Kind of the core group.
	Kinds []string `json:"kinds"`
}

// ACME is the account of cert-manager's ClusterIssuer, used when a domain is configured.
type ACME struct {
	Email  string `json:"email"`
	Server string `json:"server"`
}
