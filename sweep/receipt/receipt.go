// Package receipt has the record of one run of the sweep. The sweep writes it, as text and as JSON. The driver reads
// the JSON.
package receipt

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/sweep/sweepline"
)

// Receipt lists what a run found, removed and left. Lists are in the order in which the resources were
// found.
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
	// Kept stays by choice: volumes with keep, snapshots always.
	Kept []Item `json:"kept"`
	// NotTouched is in the VPC without the cluster's tags, and the VPC cannot be deleted before it; or it is a volume
	// of another cluster of this name. The reason says which.
	NotTouched []Item `json:"notTouched"`
	// Instances of the cluster that are not terminated.
	Instances []Item `json:"instances"`
	// Error is why the run ended early; empty when nothing is left.
	Error string `json:"error,omitempty"`
}

// Item is one resource in the account.
type Item struct {
	Kind string `json:"kind"`
	// ID identifies the resource in AWS: an id, an ARN, or name and type of a record.
	ID string `json:"id"`
	// Name is for people; may be empty.
	Name string `json:"name,omitempty"`
	// Detail is size, zone, PVC and the like; may be empty.
	Detail string `json:"detail,omitempty"`
	// Reason explains why the resource is kept, left or not touched.
	Reason string `json:"reason,omitempty"`
}

func (i Item) String() string {
	text := i.Kind + " " + i.ID
	if i.Name != "" && i.Name != i.ID {
		text += " " + i.Name
	}
	if i.Detail != "" {
		text += " (" + i.Detail + ")"
	}
	if i.Reason != "" {
		text += ": " + i.Reason
	}
	return text
}

// New returns the empty receipt of a run that starts now.
func New(l sweepline.Line) *Receipt {
	return &Receipt{
		Cluster: l.Cluster, Region: l.Region, VPC: l.VPC, Volumes: l.Volumes, DryRun: l.DryRun,
		Started: time.Now().UTC().Truncate(time.Second),
		Found:   []Item{}, Removed: []Item{}, Left: []Item{}, Kept: []Item{}, NotTouched: []Item{}, Instances: []Item{},
	}
}

// Update records what is left. An item of an earlier call that is missing now counts as removed.
func (r *Receipt) Update(left []Item) {
	r.Left = append([]Item{}, left...)
	still := map[string]bool{}
	for _, item := range left {
		still[item.ID] = true
		if !slices.ContainsFunc(r.Found, func(f Item) bool { return f.ID == item.ID }) {
			r.Found = append(r.Found, item)
		}
	}
	r.Removed = []Item{}
	for _, f := range r.Found {
		if !still[f.ID] {
			f.Reason = ""
			r.Removed = append(r.Removed, f)
		}
	}
}

// Close sets the end of the run and why it ended early; nil when nothing is left.
func (r *Receipt) Close(err error) {
	r.Finished = time.Now().UTC().Truncate(time.Second)
	if err != nil {
		r.Error, _, _ = strings.Cut(err.Error(), "\n")
	}
}

// Text is the receipt for a person. Its last line says how much is left.
func (r *Receipt) Text() string {
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

// Write writes the receipt as JSON.
func (r *Receipt) Write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the receipt: %w", err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the receipt: %w", err)
	}
	return nil
}

// Read reads what Write has written. A file that does not exist is os.ErrNotExist.
func Read(file string) (*Receipt, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Receipt{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("the sweep's receipt %s: %w", file, err)
	}
	return r, nil
}
