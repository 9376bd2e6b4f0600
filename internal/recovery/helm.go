package recovery

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// TakeOverReleases prepares the install of releases that exist in the cluster and are missing from the state. An
// interrupted destroy dropped them from the state and left them to end with their nodes. Helm refuses to install over
// its own record of a release, and pulumi-kubernetes has no option for it. Without the record the install adopts the
// objects, which carry the release's name. asked is false when the API does not answer, so that the releases of the
// cluster are unknown.
func TakeOverReleases(ctx context.Context, w *workspace.Workspace, installs []state.Release) (asked bool, err error) {
	if len(installs) == 0 {
		return true, nil
	}
	silent, err := apiSilent(ctx, w)
	if err != nil || silent {
		return false, err
	}
	var taken []string
	for _, r := range installs {
		found, err := deleteHelmRecords(ctx, w, r, "")
		if err != nil {
			return true, report.Fail(report.ExitFailed, "", "look for an earlier install of %s: %w", r, err)
		}
		if found {
			taken = append(taken, r.String())
		}
	}
	if len(taken) > 0 {
		w.Log.Info("Taken over, because the cluster has it and the state has not: " + strings.Join(taken, ", "))
	}
	return true, nil
}

// deleteHelmRecords deletes the Secrets in which Helm keeps the revisions of a release. If selector is not empty, it
// deletes only those whose labels match. The objects of the release stay. found reports whether there were any.
func deleteHelmRecords(ctx context.Context, w *workspace.Workspace, r state.Release, selector string) (found bool,
	err error) {
	if w.Cloud == report.CloudSandbox {
		return w.Sandbox.Cluster.DeleteHelmRecords(r.Namespace, r.Name, selector != ""), nil
	}
	kubeconfig, err := w.Kubeconfig(ctx)
	if err != nil || kubeconfig == "" {
		return false, err
	}
	api, err := kubeapi.Open([]byte(kubeconfig))
	if err != nil {
		return false, err
	}
	labels := "owner=helm,name=" + r.Name
	if selector != "" {
		labels += "," + selector
	}
	secrets := "/api/v1/namespaces/" + r.Namespace + "/secrets"
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
		}
	}
	if err := api.Call(ctx, kubeapi.Get, secrets+"?labelSelector="+url.QueryEscape(labels), nil, &list); err != nil {
		return false, err
	}
	for _, item := range list.Items {
		err := api.Call(ctx, kubeapi.Delete, secrets+"/"+item.Metadata.Name, nil, nil)
		if err != nil && !kubeapi.IsStatus(err, http.StatusNotFound) {
			return false, err
		}
	}
	return len(list.Items) > 0, nil
}
