package recovery

import (
	"context"
	"net"
	"net/url"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// inCluster matches every object and release of the cluster, and not its provider.
const inCluster = "**$kubernetes:**"

// FindLost takes machines that no longer exist out of the state, if the API of the cluster does not answer. Lost
// machines may be the reason, and a plan with them would run commands on them. It costs nothing while the API
// answers.
func FindLost(ctx context.Context, w *workspace.Workspace) error {
	silent, err := FindStopped(ctx, w)
	if err != nil || !silent {
		return err
	}
	return RefreshAll(ctx, w, silent)
}

// FindStopped refuses to continue if the API of the cluster does not answer because machines are stopped: a person
// only has to start them. silent reports that the API does not answer for another reason.
func FindStopped(ctx context.Context, w *workspace.Workspace) (silent bool, err error) {
	st, err := w.State(ctx)
	if err != nil || len(st.Resources) == 0 {
		return false, err
	}
	silent, err = apiSilent(ctx, w)
	if err != nil || !silent {
		return false, err
	}
	outputs, err := w.Outputs(ctx)
	if err != nil {
		return true, err
	}
	machines, _, err := account.Machines(ctx, w, st, outputs)
	if err != nil {
		return true, report.Fail(report.ExitUnreachable, "With credentials that may list instances, run this again.",
			"the API of the cluster does not answer, and the account could not be asked about its machines: %w", err)
	}
	return true, account.RefuseStopped(w, machines)
}

// RefreshAll updates the state from the account. If the API does not answer (silent), the objects in the cluster keep
// their state, because they cannot be read.
func RefreshAll(ctx context.Context, w *workspace.Workspace, silent bool) error {
	var options []optrefresh.Option
	if silent {
		w.Log.Warn("The API of the cluster does not answer. " +
			"Looking what became of the machines; what is in the cluster is taken to be as it was.")
		options = append(options, optrefresh.Exclude([]string{inCluster}))
	}
	return w.Refresh(ctx, options...)
}

// apiSilent reports whether the stack has a cluster whose API accepts no connection.
func apiSilent(ctx context.Context, w *workspace.Workspace) (bool, error) {
	model := w.Cloud == report.CloudSandbox
	if model && w.Sandbox.Cluster.APIAnswers() {
		return false, nil
	}
	all, err := w.Outputs(ctx)
	if err != nil {
		return false, err
	}
	text, _ := all["apiUrl"].Value.(string)
	if model {
		return text != "", nil
	}
	at, err := url.Parse(text)
	if err != nil || at.Host == "" {
		return false, nil
	}
	for range 2 {
		conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", at.Host)
		if err == nil {
			conn.Close()
			return false, nil
		}
	}
	return true, nil
}
