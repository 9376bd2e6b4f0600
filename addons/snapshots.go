package addons

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// snapshotFiles are the custom resource definitions of the snapshot controller's version, without their descriptions.
// A test compares them with those of the module and writes them with -update.
//
//go:embed definitions/*.json
var snapshotFiles embed.FS

var snapshotImage = catalog.Get("ebs csi").Image

// snapshotClass is the default class of snapshots, snapshotController the name of the controller and of its account.
const (
	snapshotClass      = "ebs"
	snapshotController = "snapshot-controller"
)

// snapshotDefinitions installs the custom resource definitions of VolumeSnapshots.
func (e ebs) snapshotDefinitions() []pulumi.Resource {
	files, err := fs.Glob(snapshotFiles, "definitions/*.json")
	var definitions []pulumi.Resource
	for _, file := range files {
		var text []byte
		if text, err = snapshotFiles.ReadFile(file); err != nil {
			break
		}
		definitions = append(definitions, e.definition(text))
	}
	if err != nil {
		e.failed(fmt.Errorf("definitions of snapshots: %w", err))
		return nil
	}
	return definitions
}

// snapshots installs the controller that binds a VolumeSnapshot to its content, and the default class. The sidecar of
// the EBS driver then creates the snapshot in EC2.
func (e ebs) snapshots(definitions []pulumi.Resource) pulumi.Resource {
	e.object("snapshotclass-"+snapshotClass, ebsSnapshotClass(e.cfg), definitions,
		pulumi.ReplaceOnChanges([]string{"deletionPolicy"}), pulumi.DeleteBeforeReplace(true))
	var account []pulumi.Resource
	for _, args := range snapshotAccount() {
		account = append(account, e.object(snapshotController+"-"+args.Kind, args, needs(e.args.Cluster.APIReady)))
	}
	return e.object(snapshotController, snapshotDeployment(),
		slices.Concat(needs(e.root.NodesReady), definitions, account))
}

// ebsSnapshotClass needs no tags: the driver also tags snapshots with the tags of volumes, by which the sweep finds
// them.
func ebsSnapshotClass(cfg *config.Config) kube.ObjectArgs {
	policy := "Delete"
	if cfg.Protection.Volumes == keepVolumes {
		policy = "Retain"
	}
	return kube.ObjectArgs{
		APIVersion:  "snapshot.storage.k8s.io/v1",
		Kind:        "VolumeSnapshotClass",
		Name:        snapshotClass,
		Annotations: map[string]string{"snapshot.storage.kubernetes.io/is-default-class": "true"},
		Fields:      kube.Values{"driver": "ebs.csi.aws.com", "deletionPolicy": policy},
	}
}

// snapshotAccount creates the controller's service account with its permissions: those of its release, without the
// rules for group snapshots, which are disabled.
func snapshotAccount() []kube.ObjectArgs {
	const own, runner, lease = "snapshot.storage.k8s.io", "snapshot-controller-runner",
		"snapshot-controller-leaderelection"
	return []kube.ObjectArgs{
		{APIVersion: "v1", Kind: "ServiceAccount", Name: snapshotController, Namespace: "kube-system"},
		{APIVersion: rbacVersion, Kind: "ClusterRole", Name: runner, Fields: kube.Values{"rules": []kube.Values{
			rbacRule("", "persistentvolumes", "get", "list", "watch"),
			rbacRule("", "persistentvolumeclaims", "get", "list", "watch", "update"),
			rbacRule("", "events", "list", "watch", "create", "update", "patch"),
			rbacRule(own, "volumesnapshotclasses", "get", "list", "watch"),
			rbacRule(own, "volumesnapshotcontents", "create", "get", "list", "watch", "update", "delete", "patch"),
			rbacRule(own, "volumesnapshotcontents/status", "patch"),
			rbacRule(own, "volumesnapshots", "create", "get", "list", "watch", "update", "patch", "delete"),
			rbacRule(own, "volumesnapshots/status", "update", "patch"),
		}}},
		{APIVersion: rbacVersion, Kind: "ClusterRoleBinding", Name: "snapshot-controller-role",
			Fields: rbacBinding(snapshotController, "ClusterRole", runner)},
		{APIVersion: rbacVersion, Kind: "Role", Name: lease, Namespace: "kube-system",
			Fields: kube.Values{"rules": []kube.Values{
				rbacRule("coordination.k8s.io", "leases", "get", "watch", "list", "delete", "update", "create"),
			}}},
		{APIVersion: rbacVersion, Kind: "RoleBinding", Name: lease, Namespace: "kube-system",
			Fields: rbacBinding(snapshotController, "Role", lease)},
	}
}

// snapshotDeployment runs the controller on the control plane, like the driver's controller: a snapshot needs both.
// It elects a leader because two instances run during an update.
func snapshotDeployment() kube.ObjectArgs {
	labels := map[string]string{"app.kubernetes.io/name": snapshotController}
	probe := kube.Values{"httpGet": kube.Values{"path": "/healthz/leader-election", "port": "http"}}
	container := kube.Values{
		"name":  snapshotController,
		"image": snapshotImage,
		"args": []string{
			"--v=2",
			"--leader-election=true",
			"--leader-election-namespace=kube-system",
			"--http-endpoint=:8080",
		},
		"ports":           []kube.Values{{"name": "http", "containerPort": 8080}},
		"readinessProbe":  probe,
		"livenessProbe":   probe,
		"resources":       requests("5m", "24Mi"),
		"securityContext": unprivileged(),
	}
	return kube.ObjectArgs{
		APIVersion: "apps/v1",
		Kind:       "Deployment",
		Name:       snapshotController,
		Namespace:  "kube-system",
		Fields: kube.Values{"spec": kube.Values{
			"replicas": 1,
			"selector": kube.Values{"matchLabels": labels},
			"template": kube.Values{
				"metadata": kube.Values{"labels": labels},
				"spec": kube.Values{
					"serviceAccountName": snapshotController,
					"priorityClassName":  "system-cluster-critical",
					"nodeSelector":       controlPlaneSelector,
					"tolerations":        controlPlaneTolerations,
					"securityContext":    asUser(65532),
					"containers":         []kube.Values{container},
				},
			},
		}},
	}
}
