package report

import "time"

// Receipt is the JSON summary that destroy writes to disk.
type Receipt struct {
	Stack   string    `json:"stack"`
	Cloud   string    `json:"cloud"`
	Cluster string    `json:"cluster"`
	Ended   time.Time `json:"ended"`
	// Removed counts what Pulumi deleted.
	Removed int `json:"removed"`
	// Swept is what controllers had made and the sweep removed.
	Swept []string `json:"swept"`
	// Kept is what stays because the settings say so.
	Kept []string `json:"kept"`
	// Left is what should be gone and is not.
	Left []string `json:"left"`
}
