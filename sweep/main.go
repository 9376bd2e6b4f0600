// Command sweep removes from an AWS account what the controllers of one cluster made and left: load balancers with
// their listeners, target groups and DNS records, security groups and the rules that refer to them, network interfaces,
// and volumes. It finds a cluster's resources by the tags that its controllers set and by its VPC, and touches nothing
// else.
//
// With --find or --states it changes nothing: it answers the driver's questions about the account (find.go, states.go).
// With --access it opens the nodes for one address and a limited time, and closes them again (access.go). With --image
// it makes machine images of the cluster (image.go).
//
// It stands alone, with the AWS SDK only, so that running it in a destroy does not build the rest of the project.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"kubeadm-aws/sweep/question"
	"kubeadm-aws/sweep/receipt"
	"kubeadm-aws/sweep/sweepline"
)

// Exit codes.
const (
	exitClean = 0 // nothing is left, or the dry run has listed everything
	exitLeft  = 1 // something is left, or the account could not be read
	exitUsage = 2
)

const usage = `usage: go run ./sweep --cluster NAME --region REGION --vpc ID --volumes delete|keep [--images keep] [--account NUMBER] [--zone ID] [--dry-run] [--receipt FILE] [--timeout 10m]
       go run ./sweep --find --region REGION < WANTED.json
       go run ./sweep --states --region REGION < INSTANCE-IDS.json
       go run ./sweep --access --region REGION < ACCESS.json
       go run ./sweep --image --region REGION < IMAGE.json

Removes what the controllers of the cluster left in the account, and proves by listing again that nothing is left.
With --find it removes nothing: it prints the ids of the resources that standard input asks for.
With --states it removes nothing: it prints the states of the instances whose ids standard input lists.
With --access it opens or closes ports of security groups for one address, and removes its own rules whose time is over.
With --image it launches and ends builders of machine images, and makes, lists and replaces images.
Credentials come from the environment, as for the AWS CLI, or from the profile SWEEP_PROFILE; credentials of another
account than NUMBER are refused. For a role set SWEEP_ROLE_ARN (and SWEEP_ROLE_SESSION_NAME,
SWEEP_ROLE_EXTERNAL_ID, SWEEP_ROLE_DURATION). SWEEP_ALLOWED_ACCOUNTS and SWEEP_FORBIDDEN_ACCOUNTS are lists with commas.
Exit code 0: nothing is left (or --dry-run), 1: something is, 2: usage.
`

// options are the command line.
type options struct {
	sweepline.Line
	find   bool
	states bool
	access bool
	image  bool
}

// ask returns the function that answers the driver's question; nil for a sweep.
func (o options) ask() func(context.Context, string, io.Reader, io.Writer) error {
	switch {
	case o.find:
		return find
	case o.states:
		return states
	case o.access:
		return access
	case o.image:
		return image
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	opts, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitClean
	}
	if err != nil {
		fmt.Fprintf(stderr, "sweep: %v\n\n%s", err, usage)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	if ask := opts.ask(); ask != nil {
		if err := ask(ctx, opts.Region, stdin, stdout); err != nil {
			fmt.Fprintf(stderr, "sweep: %v\n", err)
			return exitLeft
		}
		return exitClean
	}
	account, err := open(ctx, scopeOf(opts.Line), opts.Region)
	if err != nil {
		fmt.Fprintf(stderr, "sweep: %v\n", err)
		return exitLeft
	}
	s := &sweep{
		account:  account,
		receipt:  receipt.New(opts.Line),
		progress: func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) },
		pause:    pause,
	}
	err = s.run(ctx)
	s.receipt.Close(err)
	fmt.Fprint(stdout, s.receipt.Text())
	if opts.Receipt != "" {
		err = errors.Join(err, s.receipt.Write(opts.Receipt))
	}
	if err != nil {
		fmt.Fprintf(stderr, "sweep: %v\n", err)
		return exitLeft
	}
	return exitClean
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("sweep", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.Register(flags)
	flags.BoolVar(&o.find, question.Find, false, "")
	flags.BoolVar(&o.states, question.States, false, "")
	flags.BoolVar(&o.access, question.Access, false, "")
	flags.BoolVar(&o.image, question.Image, false, "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.ask() == nil {
		return o, o.Validate()
	}
	if o.Region == "" {
		return o, errors.New("--region is missing")
	}
	if o.Timeout <= 0 {
		return o, errors.New("--timeout must be more than 0")
	}
	return o, nil
}
