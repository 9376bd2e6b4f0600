package driver

import (
	"context"
	"net"
	"net/url"
	"time"

	"kubeadm-aws/internal/report"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
)

// inCluster matches every object and release of the cluster, and not its provider.
const inCluster = "**$kubernetes:**"

// findLost takes machines that are gone out of the state, when the cluster's API is silent: that may be why, and a plan
// that does not know of it would run commands on machines that no longer exist. While the API answers it costs nothing.
func (s *session) findLost(ctx context.Context, p *place) error {
	silent, err := s.findStopped(ctx, p)
	if err != nil || !silent {
		return err
	}
	return s.refreshAll(ctx, p, silent)
}

// findStopped refuses to go on with a cluster that is silent because machines of it were stopped: they only have to be
// started. It reports whether the cluster is silent for another reason.
func (s *session) findStopped(ctx context.Context, p *place) (silent bool, err error) {
	st, err := s.state(ctx, p)
	if err != nil || len(st.Resources) == 0 {
		return false, err
	}
	silent, err = s.apiSilent(ctx, p)
	if err != nil || !silent {
		return false, err
	}
	outputs, err := p.Outputs(ctx)
	if err != nil {
		return true, s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	machines, _, err := s.machines(ctx, p, st, outputs)
	if err != nil {
		return true, report.Fail(report.ExitUnreachable, "With credentials that may list instances, run this again.",
			"the API of the cluster does not answer, and the account could not be asked about its machines: %w", err)
	}
	return true, s.refuseStopped(machines)
}

// refreshAll takes over what differs. Of a silent cluster nothing can be read, so what is in it stays as the state has it.
func (s *session) refreshAll(ctx context.Context, p *place, silent bool) error {
	var options []optrefresh.Option
	if silent {
		s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Message: "The API of the cluster does not answer. " +
			"Looking what became of the machines; what is in the cluster is taken to be as it was."})
		options = append(options, optrefresh.Exclude([]string{inCluster}))
	}
	return s.read(ctx, p, options...)
}

// read takes over what differs in the resources that the options choose.
func (s *session) read(ctx context.Context, p *place, options ...optrefresh.Option) error {
	w := report.NewWatcher(s.log, nil, false)
	err := w.Follow(func(stream chan<- events.EngineEvent) error {
		_, err := p.Refresh(ctx, append(options, optrefresh.Parallel(s.op.parallel), optrefresh.SuppressProgress(), optrefresh.ShowSecrets(false),
			optrefresh.EventStreams(stream))...)
		return err
	})
	if err != nil {
		return s.engine(err, w)
	}
	return nil
}

// apiSilent says whether the stack has a cluster whose API cannot be connected to.
func (s *session) apiSilent(ctx context.Context, p *place) (bool, error) {
	model := s.op.Cloud == report.CloudSandbox
	if model && p.sandbox.Cluster.APIAnswers() {
		return false, nil
	}
	all, err := p.Outputs(ctx)
	if err != nil {
		return false, s.engine(err, report.NewWatcher(s.log, nil, false))
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
