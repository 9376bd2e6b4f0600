package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Receipt is what a run found, what it removed and what it left. Lists are in the order in which things were found.
type Receipt struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
	VPC     string `json:"vpc"`
	// Volumes is delete or keep.
	Volumes string `json:"volumes"`
	DryRun  bool   `json:"dryRun"`
	// Started and Finished are UTC.
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// Found is everything that had to go; each item is in Removed or in Left too.
	Found   []Item `json:"found"`
	Removed []Item `json:"removed"`
	// Left was in the last listing. In a dry run that is everything found.
	Left []Item `json:"left"`
	// Kept is what stays by choice: volumes with keep, snapshots always.
	Kept []Item `json:"kept"`
	// NotTouched is in the VPC without the cluster's tags, and the VPC cannot be deleted before it; or it is a volume
	// of another cluster of this name. The reason says which.
	NotTouched []Item `json:"notTouched"`
	// Instances of the cluster that are not terminated.
	Instances []Item `json:"instances"`
	// Error is why the run ended early; empty when nothing is left.
	Error string `json:"error,omitempty"`
}

func newReceipt(o options) *Receipt {
	return &Receipt{
		Cluster: o.cluster, Region: o.region, VPC: o.vpc, Volumes: o.volumes, DryRun: o.dryRun,
		Started: time.Now().UTC().Truncate(time.Second),
		Found:   []Item{}, Removed: []Item{}, Left: []Item{}, Kept: []Item{}, NotTouched: []Item{}, Instances: []Item{},
	}
}

// see takes a survey in: what was found earlier and is not in it has been removed.
func (r *Receipt) see(now *survey) {
	r.Left = []Item{}
	left := map[string]bool{}
	for _, t := range now.things {
		r.Left = append(r.Left, t.Item)
		left[t.ID] = true
		if !slices.ContainsFunc(r.Found, func(f Item) bool { return f.ID == t.ID }) {
			r.Found = append(r.Found, t.Item)
		}
	}
	r.Removed = []Item{}
	for _, f := range r.Found {
		if !left[f.ID] {
			f.Reason = ""
			r.Removed = append(r.Removed, f)
		}
	}
	r.Kept = append([]Item{}, now.kept...)
	r.NotTouched = append([]Item{}, now.foreign...)
	r.Instances = append([]Item{}, now.alive...)
}

// explain takes over the reasons that a round found.
func (r *Receipt) explain(things []thing) {
	for i, t := range things {
		r.Left[i].Reason = t.Reason
	}
}

func (r *Receipt) close(err error) {
	r.Finished = time.Now().UTC().Truncate(time.Second)
	if err != nil {
		r.Error, _, _ = strings.Cut(err.Error(), "\n")
	}
}

// text is the receipt for a person; its last line is the verdict.
func (r *Receipt) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sweep of cluster %s in %s, %s: %d found, %d removed, %d kept\n", r.Cluster, r.Region, r.VPC,
		len(r.Found), len(r.Removed), len(r.Kept))
	for _, part := range []struct {
		title string
		items []Item
	}{
		{"removed", r.Removed},
		{"kept", r.Kept},
		{"not touched", r.NotTouched},
		{"still running", r.Instances},
		{map[bool]string{false: "LEFT", true: "would remove"}[r.DryRun], r.Left},
	} {
		for _, item := range part.items {
			fmt.Fprintf(&b, "  %-13s %s\n", part.title, item)
		}
	}
	switch {
	case r.DryRun:
		fmt.Fprintf(&b, "dry run: %d would be removed, nothing was changed\n", len(r.Left))
	case r.Error != "" && len(r.Left) == 0:
		fmt.Fprintln(&b, "not finished: what is left is not known")
	default:
		fmt.Fprintf(&b, "%d left\n", len(r.Left))
	}
	return b.String()
}

func (r *Receipt) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the receipt: %w", err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the receipt: %w", err)
	}
	return nil
}
