// Kubeadm-aws brings a stack up, changes it and takes it down. It runs the same program as `pulumi up`, and adds
// checks of the settings before anything starts, progress, recovery of interrupted runs, reports, and exit codes for
// pipelines.
//
//	go run ./cmd/kubeadm-aws up --stack dev                  rehearse in the simulated sandbox
//	go run ./cmd/kubeadm-aws up --stack dev --cloud hosts    on docker hosts of this machine, with a real kubeadm
//	go run ./cmd/kubeadm-aws up --stack dev --cloud aws      for real
//
// `go run` folds every failure into exit code 1; build the command to see the codes (docs/driver.md).
package main

import (
	"context"
	"os"

	"kubeadm-aws/internal/driver"
)

func main() {
	os.Exit(driver.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
