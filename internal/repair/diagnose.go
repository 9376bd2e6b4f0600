// Package repair decides which workers of a running cluster are replaced, and records when they were.
package repair

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	check "kubeadm-aws/internal/verify"
)

// awsRecovery is how long a status check may fail before a machine counts as failed. AWS moves a machine to other
// hardware by itself within this time.
const awsRecovery = 10 * time.Minute

// Facts are what is known about the nodes of a stack at one time.
type Facts struct {
	Now      time.Time
	Settings *config.Config
	// Machines are those in the state. Joined are the workers whose last step is in the state.
	Machines []account.Machine
	Joined   []string
	Nodes    []check.NodeHealth
	History  History
	// Kept returns what a replacement of a worker would lose.
	Kept func(check.NodeHealth) ([]string, error)
}

// FailedWorker is a worker to replace.
type FailedWorker struct {
	Name string
	// URN is its machine in the state. It is empty if an interrupted repair has ended the machine: the rest of the
	// replacement is then to be done.
	URN string
	// Machine is the id of its machine, and Why what is wrong with it.
	Machine, Why string
}

func (p FailedWorker) String() string {
	if p.Machine == "" {
		return p.Name + ": " + p.Why
	}
	return fmt.Sprintf("%s (%s) %s", p.Name, p.Machine, p.Why)
}

// Diagnosis is what a repair does and what it leaves to a person.
type Diagnosis struct {
	// Replace are the workers to replace: first those whose replacement has begun, then by name.
	Replace []FailedWorker
	// Left are the nodes that are not well and are not replaced, each with the reason.
	Left []string
	// Notes are nodes that are not well and need nothing yet, or that someone took out of service on purpose.
	Notes []string
	// Workers counts the workers, and Unhealthy those of them that are not well. Zones are the zones of these.
	Workers, Unhealthy int
	Zones              []string
	// History is that of the facts, without the replacements that have ended since: up finished them, or the worker left
	// the settings.
	History History
}

// Diagnose judges every node.
func Diagnose(f Facts) (Diagnosis, error) {
	d := Diagnosis{History: f.History}
	d.History.Unfinished = map[string]string{}
	for _, n := range f.Settings.Nodes {
		if n.Role == config.Worker {
			d.Workers++
		}
		v, err := f.judge(n)
		if err != nil {
			return d, err
		}
		had, unfinished := f.History.Unfinished[n.Name]
		if unfinished && v.kind != well {
			d.History.Unfinished[n.Name] = had
		}
		switch v.kind {
		case note:
			d.Notes = append(d.Notes, n.Name+" "+v.why)
		case left:
			d.Left = append(d.Left, n.Name+" "+v.why)
		case replace:
			d.Replace = append(d.Replace, FailedWorker{Name: n.Name, URN: v.machine.URN, Machine: v.machine.ID, Why: v.why})
		}
		if v.unhealthy && n.Role == config.Worker {
			d.Unhealthy++
			if zone := f.Settings.AvailabilityZone(n.Zone); !slices.Contains(d.Zones, zone) {
				d.Zones = append(d.Zones, zone)
			}
		}
	}
	slices.SortFunc(d.Replace, func(a, b FailedWorker) int {
		_, begunA := d.History.Unfinished[a.Name]
		_, begunB := d.History.Unfinished[b.Name]
		switch {
		case begunA == begunB:
			return strings.Compare(a.Name, b.Name)
		case begunA:
			return -1
		}
		return 1
	})
	return d, nil
}

// TooMany reports whether so many workers are unhealthy that their machines are not the cause. One is never too many.
func (d Diagnosis) TooMany(maxPercent int) bool {
	return d.Unhealthy > 1 && d.Unhealthy*100 > maxPercent*d.Workers
}

// kind is what happens with a node.
type kind int

const (
	well kind = iota
	note
	left
	replace
)

// verdict is the judgement of one node.
type verdict struct {
	kind      kind
	unhealthy bool
	why       string
	machine   account.Machine
}

// judge decides about one node of the settings.
func (f Facts) judge(n config.Node) (verdict, error) {
	v := verdict{}
	i := slices.IndexFunc(f.Machines, func(m account.Machine) bool { return m.Name == n.Name })
	joined := n.Role == config.ControlPlane || slices.Contains(f.Joined, n.Name)
	_, unfinished := f.History.Unfinished[n.Name]
	switch {
	case i >= 0 && joined:
	case unfinished:
		// The first part of its replacement is done, and the rest needs no judgement.
		v = verdict{kind: replace, unhealthy: true, why: "an earlier repair of it was interrupted"}
		if i >= 0 && f.History.goesOn(n.Name, f.Machines[i].ID) {
			v.machine = f.Machines[i]
		}
		return v, nil
	case i < 0 && !slices.Contains(f.Joined, n.Name) && len(recent(f.History.Began[n.Name], f.Now)) == 0:
		return verdict{kind: note, why: "is in the settings only: up brings it up"}, nil
	default:
		return verdict{kind: left, why: "was not brought up to the end: up does that"}, nil
	}
	v.machine = f.Machines[i]
	node, present := f.node(n.Name)
	fault := f.fault(v.machine, node, present)
	if fault == nil {
		return v, nil
	}
	v.unhealthy, v.why = !fault.onPurpose, fault.why
	switch {
	case fault.onPurpose:
		v.kind = note
		return v, nil
	case node.Off:
		return verdict{kind: note, why: v.why + "; the annotation kubeadm-aws/repair=off keeps repairs away"}, nil
	case f.Now.Before(fault.due):
		v.kind = note
		v.why += fmt.Sprintf("; it counts as failed after %s", fault.due.Sub(fault.since))
		return v, nil
	case n.Role == config.ControlPlane:
		v.kind = left
		v.why += `; a control plane is not replaced by repair: docs/recovery.md, "A new machine for the control plane"`
		return v, nil
	}
	if why := f.History.refuse(n.Name, f.Now); why != "" && !f.History.goesOn(n.Name, v.machine.ID) {
		v.kind, v.why = left, v.why+"; "+why
		return v, nil
	}
	return f.loses(v, node)
}

// loses refuses to replace a machine if that would lose something. A machine that has ended has lost it already.
func (f Facts) loses(v verdict, node check.NodeHealth) (verdict, error) {
	v.kind = replace
	if v.machine.Ended() || node.Name == "" {
		return v, nil
	}
	kept, err := f.Kept(node)
	if err != nil {
		return v, err
	}
	if len(kept) > 0 {
		v.kind, v.why = left, v.why+"; "+strings.Join(kept, ", ")
	}
	return v, nil
}

func (f Facts) node(name string) (check.NodeHealth, bool) {
	i := slices.IndexFunc(f.Nodes, func(n check.NodeHealth) bool { return n.Name == name })
	if i < 0 {
		return check.NodeHealth{}, false
	}
	return f.Nodes[i], true
}

// fault is what is wrong with a node.
type fault struct {
	why string
	// since is when it began, and due when the node counts as failed.
	since, due time.Time
	// onPurpose reports whether someone stopped the machine.
	onPurpose bool
}

// fault finds what is wrong with a node, from what AWS says about its machine and the cluster about its node. It
// returns nil if nothing is.
func (f Facts) fault(m account.Machine, node check.NodeHealth, present bool) *fault {
	notReady := time.Duration(f.Settings.Repair.NotReadyMinutes) * time.Minute
	switch {
	case m.Ended():
		return &fault{why: "has no machine any more: it is " + m.State}
	case m.StoppedByAWS():
		return &fault{why: "was stopped by AWS (" + m.Reason + ")"}
	case m.Stopped():
		return &fault{why: "was stopped in the account (" + m.Reason + "), so it stays", onPurpose: true}
	case present && !node.Ready && f.Now.Sub(node.Since) >= notReady:
		return &fault{why: fmt.Sprintf("is not Ready since %s: %s", stamp(node.Since), node.Message), since: node.Since}
	case !m.FailedSince.IsZero():
		return &fault{why: "fails a status check of EC2 since " + stamp(m.FailedSince), since: m.FailedSince,
			due: m.FailedSince.Add(awsRecovery)}
	case present && !node.Ready:
		return &fault{why: fmt.Sprintf("is not Ready since %s: %s", stamp(node.Since), node.Message), since: node.Since,
			due: node.Since.Add(notReady)}
	case !present || node.Instance != "" && node.Instance != m.ID:
		return &fault{why: "has a machine that runs, and the cluster has no node of it", since: m.Launched,
			due: m.Launched.Add(notReady)}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
