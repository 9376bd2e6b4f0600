// Package sweepline has the command line of the sweep. The infra package writes it into the stack. The sweep parses its
// own arguments with it. The driver and the sandbox parse what a stack has registered.
package sweepline

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The values of Line.Volumes and Line.Images.
const (
	Delete = "delete"
	Keep   = "keep"
)

// Program is how the sweep is started in the directory of the project.
const Program = "go run ./sweep"

// DefaultTimeout is the limit of a sweep without --timeout.
const DefaultTimeout = 10 * time.Minute

// Line is one call of the sweep. No value may hold a space: they are names, ids and file names.
type Line struct {
	// Cluster is the name of the cluster, Region such as eu-west-1, VPC the id of its VPC.
	Cluster, Region, VPC string
	// Account is the number of the account; empty checks none.
	Account string
	// Volumes is Delete or Keep.
	Volumes string
	// Images is Delete or Keep. Format leaves Delete out, because states of older programs do not have it.
	Images string
	// Zone is the id of the hosted zone to look for records in; empty for none.
	Zone string
	// Receipt is the file for the receipt; empty for none.
	Receipt string
	// DryRun lists and removes nothing.
	DryRun bool
	// Timeout bounds the run; Format leaves zero and DefaultTimeout out.
	Timeout time.Duration
}

// Args returns the flags of the line in a fixed order, without those that are not set.
func (l Line) Args() []string {
	var args []string
	for _, f := range []struct{ name, value string }{
		{"cluster", l.Cluster}, {"region", l.Region}, {"account", l.Account}, {"vpc", l.VPC}, {"volumes", l.Volumes},
		{"receipt", l.Receipt}, {"zone", l.Zone},
	} {
		if f.value != "" {
			args = append(args, "--"+f.name, f.value)
		}
	}
	if l.Images == Keep {
		args = append(args, "--images", Keep)
	}
	if l.DryRun {
		args = append(args, "--dry-run")
	}
	if l.Timeout != 0 && l.Timeout != DefaultTimeout {
		args = append(args, "--timeout", l.Timeout.String())
	}
	return args
}

// Format returns the command, such as "go run ./sweep --cluster dev --region eu-west-1 --vpc vpc-1 --volumes delete".
func (l Line) Format() string { return strings.Join(append([]string{Program}, l.Args()...), " ") }

// Parse reads what Format returns.
func Parse(command string) (Line, error) {
	args, is := strings.CutPrefix(command, Program+" ")
	if !is {
		return Line{}, fmt.Errorf("a sweep begins with %q, not with %.40q", Program, command)
	}
	var l Line
	flags := flag.NewFlagSet("sweep", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	l.Register(flags)
	if err := flags.Parse(strings.Fields(args)); err != nil {
		return Line{}, fmt.Errorf("the sweep's command: %w", err)
	}
	if flags.NArg() > 0 {
		return Line{}, fmt.Errorf("the sweep's command: unexpected argument %q", flags.Arg(0))
	}
	return l, l.Validate()
}

// Register defines the line's flags on a flag set.
func (l *Line) Register(flags *flag.FlagSet) {
	flags.StringVar(&l.Cluster, "cluster", "", "")
	flags.StringVar(&l.Region, "region", "", "")
	flags.StringVar(&l.Account, "account", "", "")
	flags.StringVar(&l.VPC, "vpc", "", "")
	flags.StringVar(&l.Zone, "zone", "", "")
	flags.StringVar(&l.Volumes, "volumes", "", "")
	flags.StringVar(&l.Images, "images", Delete, "")
	flags.StringVar(&l.Receipt, "receipt", "", "")
	flags.BoolVar(&l.DryRun, "dry-run", false, "")
	flags.DurationVar(&l.Timeout, "timeout", DefaultTimeout, "")
}

// Validate returns an error that names every flag that is missing or wrong.
func (l Line) Validate() error {
	var faults []string
	for name, value := range map[string]string{"cluster": l.Cluster, "region": l.Region, "vpc": l.VPC} {
		if value == "" {
			faults = append(faults, "--"+name+" is missing")
		}
	}
	if l.Volumes != Delete && l.Volumes != Keep {
		faults = append(faults, fmt.Sprintf("--volumes is %q: say delete or keep", l.Volumes))
	}
	if l.Images != Delete && l.Images != Keep {
		faults = append(faults, fmt.Sprintf("--images is %q: say delete or keep", l.Images))
	}
	if l.Timeout <= 0 {
		faults = append(faults, "--timeout must be more than 0")
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return errors.New(strings.Join(faults, "; "))
}
