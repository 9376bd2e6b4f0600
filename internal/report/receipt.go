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
	// Swept are the resources of controllers that the sweep removed.
	Swept []string `json:"swept"`
	// Kept are the resources that stay because of the settings.
	Kept []string `json:"kept"`
	// Left are the resources that should have been removed and still exist.
	Left []string `json:"left"`
}
