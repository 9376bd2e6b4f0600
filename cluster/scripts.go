package cluster

import _ "embed"

// The scripts run as root on Debian 12 and Ubuntu 24.04. Each is self-contained and describes its settings with
// --help.
var (
	//go:embed scripts/limit.sh
	limitScript string
	//go:embed scripts/ready.sh
	readyScript string
	//go:embed scripts/prepare.sh
	prepareScript string
	//go:embed scripts/init.sh
	initScript string
	//go:embed scripts/join.sh
	joinScript string
	//go:embed scripts/node.sh
	nodeScript string
	//go:embed scripts/node-delete.sh
	nodeDeleteScript string
	//go:embed scripts/nodes-ready.sh
	nodesReadyScript string
	//go:embed scripts/backup.sh
	backupScript string
	//go:embed scripts/backup-stop.sh
	backupStopScript string
	//go:embed scripts/etcd-snapshot.sh
	etcdSnapshotScript string
	//go:embed scripts/ecr-credentials.sh
	ecrCredentialsScript string
)
