// Automation brings a stack up, changes it and takes it down: the same program as `pulumi up`, with the settings checked
// before anything starts, progress that a person can follow, and exit codes that a pipeline can act on. Nothing
// essential lives here: `pulumi up` by hand does the same work.
//
//	go run ./automation up --stack dev                  rehearse in the simulated sandbox
//	go run ./automation up --stack dev --cloud hosts    on docker hosts of this machine, with a real kubeadm
//	go run ./automation up --stack dev --cloud aws      for real
//
// `go run` folds every failure into exit code 1; build the command to see the codes (exit.go).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A closed pipe (`| head`) must not kill a run half way. Ignoring the signal would make every child ignore it too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
