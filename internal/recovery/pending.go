// Package recovery finishes what interrupted runs left, and decides what to do about a cluster that does not answer.
package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// An interrupted run leaves pending operations in the state: the engine records each one before it calls the provider.
// For each one the resource may or may not exist, and its id is unknown. Creating it again would duplicate it or fail
// on the name; destroy would miss it. `pulumi refresh --import-pending-creates` is meant for this, but in v3.259.0 it
// drops the resources that it is given to import.

// RecoverPending resolves the pending operations in the state and returns the state after that. Every command that
// changes something calls it first. A resource that exists is imported into the state. A pending create without a
// resource is dropped, so that it is created again. dead means that the cluster is known to be gone, with
// everything in it.
func RecoverPending(ctx context.Context, w *workspace.Workspace, dead bool) (state.State, error) {
	st, err := w.State(ctx)
	if err != nil {
		return state.State{}, err
	}
	creating, adopted := st.Creating(), st.Unread()
	if again := slices.Concat(st.Changing(), st.BegunSteps(), st.Unregistered()); len(st.PendingOperations)+
		len(again) > 0 {
		ids, err := findPending(ctx, w, st, creating)
		if err != nil {
			return state.State{}, err
		}
		if err := w.Import(ctx, st.Adopt(ids, again)); err != nil {
			return state.State{}, err
		}
		for _, r := range creating {
			if ids[r.URN] != "" {
				adopted = append(adopted, r.URN)
			}
		}
	}
	if urns := slices.Concat(adopted, st.Changing()); len(urns) > 0 {
		if err := readAgain(ctx, w, urns, dead); err != nil {
			return state.State{}, err
		}
		if st, err = w.State(ctx); err != nil {
			return state.State{}, err
		}
		if len(adopted) > 0 {
			reportAdopted(w, st, adopted)
		}
	}
	return st, nil
}

// findPending returns the ids of the pending creates whose resource exists or may exist, by URN. A resource whose id
// follows from its inputs is not looked for: the refresh shows later whether it exists.
func findPending(ctx context.Context, w *workspace.Workspace, st state.State,
	creating []state.Resource) (map[state.URN]string, error) {
	if len(st.PendingOperations) == 0 {
		return nil, nil
	}
	message := "An earlier run was killed."
	named := slices.DeleteFunc(slices.Clone(creating),
		func(r state.Resource) bool { return !state.IsCounted(r.Type, r.Custom) })
	if n := len(named); n > 0 {
		message = fmt.Sprintf("An earlier run was killed while it made %s. Looking what became of %s.", listed(named),
			report.Plural(n, "it", "them"))
	}
	w.Log.Warn(message)
	ids := map[state.URN]string{}
	var lookups []account.Lookup
	for _, r := range creating {
		lookup, found, err := resolve(r, w.Config)
		switch {
		case err != nil:
			return nil, report.Fail(report.ExitCannotStart,
				fmt.Sprintf("Look for it in the console and delete it, if it is there. Then: pulumi refresh --stack %s "+
					"--clear-pending-creates", w.Stack),
				"a run was killed while it made %s, and what became of it is not known: %w", state.Readable(r.URN), err)
		case !found, lookup.ID != "" && st.Knows(lookup.Type, lookup.ID):
		case lookup.ID != "":
			ids[r.URN] = lookup.ID
		default:
			lookups = append(lookups, lookup)
		}
	}
	found, err := account.Find(ctx, w, lookups)
	if err != nil {
		return nil, err
	}
	for _, lookup := range lookups {
		unknown := slices.DeleteFunc(found[lookup.URN], func(id string) bool { return st.Knows(lookup.Type, id) })
		switch len(unknown) {
		case 0:
		case 1:
			ids[lookup.URN] = unknown[0]
		default:
			return nil, report.Fail(report.ExitCannotStart,
				"Find out which one nothing uses, delete it in the console, and run this again.",
				"a run was killed while it made %s, and the account has %d that it could be: %s",
				state.Readable(lookup.URN), len(unknown), strings.Join(unknown, ", "))
		}
	}
	return ids, nil
}

// WarnPending warns that a plan does not contain what an interrupted run created.
func WarnPending(ctx context.Context, w *workspace.Workspace) error {
	st, err := w.State(ctx)
	if err != nil {
		return err
	}
	if len(st.Creating()) > 0 {
		w.Log.Warn("An earlier run was killed. Some of what this plan creates may exist; up, destroy and refresh find " +
			"that out first.")
	}
	return nil
}

// readAgain refreshes resources that were adopted or were being changed. It drops those that do not exist.
func readAgain(ctx context.Context, w *workspace.Workspace, urns []state.URN, dead bool) error {
	var outside, cluster []state.URN
	for _, urn := range urns {
		types, _ := state.SplitURN(urn)
		if strings.HasPrefix(types[len(types)-1], "kubernetes:") {
			cluster = append(cluster, urn)
		} else {
			outside = append(outside, urn)
		}
	}
	if len(outside) > 0 {
		if err := w.Refresh(ctx, optrefresh.Target(texts(outside))); err != nil {
			return err
		}
	}
	if len(cluster) > 0 {
		return readInCluster(ctx, w, cluster, dead)
	}
	return nil
}

// reportAdopted reports which resources were imported into the state.
func reportAdopted(w *workspace.Workspace, st state.State, urns []state.URN) {
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
	w.Log.Info(message)
}

// readInCluster refreshes objects and releases. If the cluster is dead, they are dropped. If the API does not answer,
// pending creates are dropped as well, because creating them again takes over what exists. The rest stays in the
// state, marked, and the next run refreshes it.
func readInCluster(ctx context.Context, w *workspace.Workspace, urns []state.URN, dead bool) error {
	silent := dead
	if !dead {
		var err error
		if silent, err = apiSilent(ctx, w); err != nil {
			return err
		}
	}
	if !silent {
		err := w.Refresh(ctx, optrefresh.Target(texts(urns)))
		if err == nil || w.CLI.Stopped() || w.Cloud == report.CloudSandbox && w.Sandbox.Cluster.APIAnswers() {
			return err
		}
	}
	return dropFromState(ctx, w, func(st state.State) map[state.URN]bool {
		gone := map[state.URN]bool{}
		for _, r := range st.Resources {
			if slices.Contains(urns, r.URN) && (dead || state.IsInterruptedCreate(r)) {
				gone[r.URN] = true
			}
		}
		if len(gone) > 0 {
			w.Log.Warn("The API of the cluster does not answer, so what was being made in the cluster is forgotten.")
		}
		return gone
	})
}

// texts returns URNs as the options of the engine take them.
func texts(urns []state.URN) []string {
	var all []string
	for _, urn := range urns {
		all = append(all, string(urn))
	}
	return all
}

// listed names resources for a person.
func listed(resources []state.Resource) string {
	const most = 8
	var names []string
	for i, r := range resources {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(resources)-most))
			break
		}
		names = append(names, state.Readable(r.URN))
	}
	return strings.Join(names, ", ")
}
