package driver

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/internal/report"
)

// operation is a parsed command line.
type operation struct {
	report.Subject
	// dir is the project's directory, absolute.
	dir  string
	json bool
	yes  bool
	// expectNoChanges makes a preview with changes an error.
	expectNoChanges bool
	// refresh makes a preview look at what exists before it plans.
	refresh bool
	// atApplied makes a preview take the commit that the stack was brought up with.
	atApplied bool
	// redacted makes a preview work on the copy of the state without secrets.
	redacted bool
	// showSecrets prints the values of secret outputs.
	showSecrets bool
	// dryRun makes a sweep or a repair list only.
	dryRun bool
	// to is the commit that a rollback goes to.
	to string
	// output names the one output to print; empty prints all.
	output string
	// wait is how long verify repeats checks that fail. A rollback verifies at its end unless it is zero.
	wait time.Duration
	// receipt is the file that destroy writes its receipt to; empty takes the default.
	receipt string
	// without is the name of a cluster that the user gives up; destroy then continues without it.
	without string
	// access is how long access open lets this machine in, and admit how long up does. Zero is not at all.
	access, admit time.Duration
	// address is the address to let in; empty asks a public service.
	address string
	// parallel bounds the operations that the engine has in flight.
	parallel int
}

type command struct {
	name, about string
	run         func(context.Context, *run) error
	// makes reports whether the command carries out the settings. They then have to be valid for the cloud of the stack.
	makes bool
}

var commands = []command{
	{name: "up", about: "bring the stack up, or change it to what the settings say", run: up, makes: true},
	{name: "preview", about: "show what up would change, and change nothing", run: preview, makes: true},
	{name: "destroy", about: "take the stack down and prove that nothing is left", run: destroy},
	{name: "rebuild", about: "destroy the stack and, when nothing is left, bring it up again", run: rebuild, makes: true},
	{name: "rollback", about: "bring the stack to what an earlier commit says: --to COMMIT", run: rollback},
	{name: "refresh", about: "compare the state with what exists, and take over what differs", run: refresh},
	{name: "outputs", about: "print the outputs of the stack", run: outputs},
	{name: "verify", about: "check a live cluster", run: verify},
	{name: "redact", about: "write the copy of the state without secrets, for previews of pull requests", run: redact},
	{name: "repair", about: "replace the workers that AWS or the cluster reports as failed, one after the other",
		run: repair, makes: true},
	{name: "sweep", about: "list, then remove what controllers left in the account", run: sweep},
	{name: "access open", about: "let this machine reach SSH and the API of the nodes, for a limited time",
		run: accessOpen},
	{name: "access close", about: "take that back, and remove what has expired", run: accessClose},
	{name: "image build", about: "make a machine image with which nodes start faster", run: imageBuild, makes: true},
	{name: "cancel", about: "remove the lock of a run that is dead", run: cancel},
}

func usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprint(w, "kubeadm-aws COMMAND --stack NAME [flags]\n\nCommands\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-12s  %s\n", c.name, c.about)
	}
	fmt.Fprint(w, "  bootstrap     make what the account needs once; `kubeadm-aws bootstrap -h` lists its flags\n\nFlags\n")
	flags.SetOutput(w)
	flags.PrintDefaults()
	fmt.Fprint(w, `
Exit codes
  0 done    1 cannot start    2 usage    3 settings refused    4 locked by another run or an upgrade
  5 failed, run it again to go on    6 something is left    7 verify found a fault
  8 preview found changes (with --expect-no-changes), or repair --dry-run workers to replace    9 the cluster cannot be reached, nothing was changed
  10 failed, and again until the named cause is removed    11 verify found faults of applications only
  12 rollback: no earlier commit is verified    130 interrupted
`)
}

// parse reads the command line.
func parse(args []string) (operation, *command, *flag.FlagSet, error) {
	var op operation
	flags := flag.NewFlagSet("kubeadm-aws", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&op.Stack, "stack", "", "the `name` of the stack: Pulumi.<name>.yaml")
	flags.StringVar(&op.Cloud, "cloud", report.CloudSandbox, "`where`: sandbox (simulated), hosts (docker on this machine) or aws")
	flags.StringVar(&op.dir, "dir", ".", "the project's `directory`")
	flags.BoolVar(&op.json, "json", false, "print one JSON event per line")
	flags.StringVar(new(string), "o", "", "`text` or json")
	flags.BoolVar(&op.yes, "yes", false, "on aws: do not ask before a change")
	flags.BoolVar(&op.expectNoChanges, "expect-no-changes", false, "preview: exit 8 when there are changes")
	flags.BoolVar(&op.refresh, "refresh", false, "preview: compare with what exists, not with what the state says")
	flags.BoolVar(&op.atApplied, "applied", false, "preview: with the driver and the settings of the commit that the stack was brought up with")
	flags.BoolVar(&op.redacted, "redacted", false, "preview: work on the copy of the state that redact wrote")
	flags.StringVar(&op.to, "to", "", "rollback: the `commit`, tag or branch, or last-verified; without it those that are known to be good are listed")
	flags.BoolVar(&op.dryRun, "dry-run", false, "sweep, repair: list, and change nothing")
	flags.BoolVar(&op.showSecrets, "show-secrets", false, "outputs: print the values of secrets")
	flags.StringVar(&op.output, "output", "", "outputs: print only the value of this `name`")
	flags.DurationVar(&op.wait, "wait", 0, "verify: how `long` faults may take to go away; rollback: verify at the end, with that time")
	flags.StringVar(&op.receipt, "receipt", "", "destroy: the `file` for the receipt")
	flags.StringVar(&op.without, "without-cluster", "",
		"destroy, rebuild: the `name` of a cluster that does not answer; what is in it is given up")
	flags.DurationVar(&op.access, "for", 90*time.Minute, "access open: for how `long`")
	flags.DurationVar(&op.admit, "admit", 0,
		"up, rebuild: let this machine reach the nodes for so `long`, as access open does, also those of a new stack")
	flags.StringVar(&op.address, "address", "",
		"access open, up --admit: the IPv4 `address` to let in; without it checkip.amazonaws.com is asked")
	flags.IntVar(&op.parallel, "parallel", 128, "how `many` operations may be in flight")
	if len(args) == 0 {
		return op, nil, flags, errors.New("which command?")
	}
	if slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		return op, nil, flags, flag.ErrHelp
	}
	name, rest := args[0], args[1:]
	if (name == "access" || name == "image") && len(rest) > 0 {
		name, rest = name+" "+rest[0], rest[1:]
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		return op, nil, flags, fmt.Errorf("there is no command %q", name)
	}
	if err := flags.Parse(rest); err != nil {
		return op, nil, flags, err
	}
	op.Command = commands[i].name
	if err := checkAccess(op); err != nil {
		return op, nil, flags, err
	}
	op.address = strings.TrimSuffix(op.address, "/32")
	if flags.NArg() > 0 {
		return op, nil, flags, fmt.Errorf("%q is not a flag; flags start with --", flags.Arg(0))
	}
	switch format := flags.Lookup("o").Value.String(); format {
	case "", "text":
	case "json":
		op.json = true
	default:
		return op, nil, flags, fmt.Errorf("-o %s: text or json", format)
	}
	if op.Stack == "" {
		return op, nil, flags, fmt.Errorf("--stack is missing%s", knownStacks(op.dir))
	}
	if strings.ContainsAny(op.Stack, "/\\") || op.Stack == "." || op.Stack == ".." {
		return op, nil, flags, fmt.Errorf("--stack %s: the plain name, without organisation or project", op.Stack)
	}
	if !slices.Contains([]string{report.CloudSandbox, report.CloudHosts, report.CloudAWS}, op.Cloud) {
		return op, nil, flags, fmt.Errorf("--cloud %s: sandbox, hosts or aws", op.Cloud)
	}
	dir, err := filepath.Abs(op.dir)
	if err != nil {
		return op, nil, flags, err
	}
	op.dir = dir
	if _, err := os.Stat(filepath.Join(dir, "Pulumi.yaml")); err != nil {
		return op, nil, flags, fmt.Errorf("%s holds no Pulumi.yaml; run this from the project, or give --dir", dir)
	}
	return op, &commands[i], flags, nil
}

func knownStacks(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "Pulumi.*.yaml"))
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "Pulumi."), ".yaml"))
	}
	if len(names) == 0 {
		return ""
	}
	return "; here are settings for " + strings.Join(names, ", ")
}
