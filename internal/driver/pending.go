package driver

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
)

// A run that is killed leaves in the state what it had begun: the engine notes it before it asks a provider. Whether a thing that was
// being made exists, and by which id, nobody heard. The next run would make it a second time, or fail because the name is taken; and
// a destroy would leave it. `pulumi refresh --import-pending-creates` is meant for this, and in v3.259.0 drops what it is told to import.

// settle finds out what became of such things before anything else is done. What exists is taken over into the state, the rest is
// dropped from it, so that it is made again. It returns the state as it is then. dead says that the cluster is known to be
// gone, and with it everything in it.
func (s *session) settle(ctx context.Context, p *place, dead bool) (state.State, error) {
	exported, err := p.export(ctx)
	if err != nil {
		return state.State{}, s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	st, err := state.Parse(exported)
	if err != nil {
		return state.State{}, err
	}
	cut, adopted := st.Creating(), st.Unread()
	if again := slices.Concat(st.Changing(), st.BegunSteps(), st.Unregistered()); len(st.Pending)+len(again) > 0 {
		ids, err := s.search(ctx, p, st, cut)
		if err != nil {
			return state.State{}, err
		}
		changed, err := state.Adopt(exported, ids, again)
		if err != nil {
			return state.State{}, err
		}
		if err := s.replaceState(ctx, p, changed); err != nil {
			return state.State{}, err
		}
		for _, r := range cut {
			if ids[r.URN] != "" {
				adopted = append(adopted, r.URN)
			}
		}
	}
	if urns := slices.Concat(adopted, st.Changing()); len(urns) > 0 {
		if err := s.readAgain(ctx, p, urns, dead); err != nil {
			return state.State{}, err
		}
		if st, err = s.state(ctx, p); err != nil {
			return state.State{}, err
		}
		if len(adopted) > 0 {
			s.tellAdopted(st, adopted)
		}
	}
	return st, nil
}

// search returns the ids of those things that exist, or may, by URN. Whether a thing exists of which the id is known shows when it is read.
func (s *session) search(ctx context.Context, p *place, st state.State, cut []state.Resource) (map[string]string, error) {
	if len(st.Pending) == 0 {
		return nil, nil
	}
	message := "An earlier run was killed."
	things := slices.DeleteFunc(slices.Clone(cut), func(r state.Resource) bool { return !state.Counted(r.Type, r.Custom) })
	if n := len(things); n > 0 {
		message = fmt.Sprintf("An earlier run was killed while it made %s. Looking what became of %s.", listed(things), report.Plural(n, "it", "them"))
	}
	s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Message: message})
	ids := map[string]string{}
	var ask []wanted
	for _, r := range cut {
		w, there, err := follow(r, s.cfg)
		switch {
		case err != nil:
			return nil, s.unsettled(r, err)
		case !there, w.ID != "" && st.Knows(r.Type, w.ID):
		case w.ID != "":
			ids[r.URN] = w.ID
		default:
			ask = append(ask, w)
		}
	}
	found, err := s.askAccount(ctx, p, ask)
	if err != nil {
		return nil, err
	}
	for _, w := range ask {
		strange := slices.DeleteFunc(found[w.URN], func(id string) bool { return st.Knows(w.Type, id) })
		switch len(strange) {
		case 0:
		case 1:
			ids[w.URN] = strange[0]
		default:
			return nil, report.Fail(report.ExitCannotStart, "Find out which one nothing uses, delete it in the console, and run this again.",
				"a run was killed while it made %s, and the account has %d that it could be: %s", state.Readable(w.URN), len(strange), strings.Join(strange, ", "))
		}
	}
	return ids, nil
}

// tellCut says what a plan does not know: of what a run that was killed was making, some may exist.
func (s *session) tellCut(ctx context.Context, p *place) error {
	st, err := s.state(ctx, p)
	if err != nil {
		return err
	}
	if len(st.Creating()) > 0 {
		s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Message: "An earlier run was killed. Some of what this plan creates may exist; " +
			"up, destroy and refresh find that out first."})
	}
	return nil
}

// unsettled is for what the driver cannot decide.
func (s *session) unsettled(r state.Resource, err error) error {
	return report.Fail(report.ExitCannotStart, fmt.Sprintf("Look for it in the console and delete it, if it is there. Then: pulumi refresh --stack %s --clear-pending-creates", s.op.Stack),
		"a run was killed while it made %s, and what became of it is not known: %w", state.Readable(r.URN), err)
}

// readAgain fills in what the account shows of resources that were taken over or were being changed, and drops those that do not exist.
func (s *session) readAgain(ctx context.Context, p *place, urns []string, dead bool) error {
	var outside, cluster []string
	for _, urn := range urns {
		types, _ := state.SplitURN(urn)
		if strings.HasPrefix(types[len(types)-1], "kubernetes:") {
			cluster = append(cluster, urn)
		} else {
			outside = append(outside, urn)
		}
	}
	if len(outside) > 0 {
		if err := s.read(ctx, p, optrefresh.Target(outside)); err != nil {
			return err
		}
	}
	if len(cluster) > 0 {
		return s.readInCluster(ctx, p, cluster, dead)
	}
	return nil
}

// tellAdopted says what was taken over.
func (s *session) tellAdopted(st state.State, urns []string) {
	var exist []state.Resource
	for _, r := range st.Resources {
		if slices.Contains(urns, r.URN) {
			exist = append(exist, r)
		}
	}
	message := "Nothing of it is outside the state."
	if len(exist) > 0 {
		message = fmt.Sprintf("Taken over, because it exists: %s.", listed(exist))
	}
	s.log.Emit(report.Event{Kind: report.KindLog, Severity: "info", Message: message})
}

// readInCluster reads objects and releases. With the cluster dead they are dropped. While it does not answer, what was
// being made is dropped as well, because making it again takes over what exists; the rest stays in the state, marked, and
// is read by the next run.
func (s *session) readInCluster(ctx context.Context, p *place, urns []string, dead bool) error {
	silent := dead
	if !dead {
		var err error
		if silent, err = s.apiSilent(ctx, p); err != nil {
			return err
		}
	}
	if !silent {
		err := s.read(ctx, p, optrefresh.Target(urns))
		if err == nil || s.cli.Stopped() || s.op.Cloud == report.CloudSandbox && p.sandbox.Cluster.APIAnswers() {
			return err
		}
	}
	exported, err := p.export(ctx)
	if err != nil {
		return s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	st, err := state.Parse(exported)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, r := range st.Resources {
		if slices.Contains(urns, r.URN) && (dead || slices.Contains(r.InitErrors, state.InterruptedCreate)) {
			gone[r.URN] = true
		}
	}
	if len(gone) == 0 {
		return nil
	}
	s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning",
		Message: "The API of the cluster does not answer, so what was being made in the cluster is forgotten."})
	without, err := state.WithoutResources(exported, gone)
	if err != nil {
		return err
	}
	return s.replaceState(ctx, p, without)
}

// state reads the state.
func (s *session) state(ctx context.Context, p *place) (state.State, error) {
	exported, err := p.export(ctx)
	if err != nil {
		return state.State{}, s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	return state.Parse(exported)
}

// replaceState writes a changed export back.
func (s *session) replaceState(ctx context.Context, p *place, state []byte) error {
	if _, err := p.pulumiWithInput(ctx, bytes.NewReader(state), "stack", "import"); err != nil {
		return s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	return nil
}

// listed names resources for a person.
func listed(resources []state.Resource) string {
	const most = 8
	names := mapped(resources, func(r state.Resource) string { return state.Readable(r.URN) })
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

func mapped[T any](list []T, f func(T) string) []string {
	out := make([]string, len(list))
	for i, element := range list {
		out[i] = f(element)
	}
	return out
}
