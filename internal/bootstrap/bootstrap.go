// Package bootstrap is the driver's command of the same name: it brings the account's once-only stack up and prints
// what to set on GitHub, or takes the stack down when no other is left.
package bootstrap

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"

	"kubeadm-aws/bootstrap/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// stackName is the one stack of the project in bootstrap/.
const stackName = "account"

// run is one run of the command.
type run struct {
	cloud, repository string
	// project is the directory with the Pulumi.yaml of the account's stack.
	project      string
	destroy, yes bool

	log *report.Log
	cli *workspace.CLI
	in  io.Reader
	out io.Writer
	// program is the program that the engine runs on AWS; tests set another.
	program func() auto.LocalWorkspaceOption
}

// Run carries out the command and returns its exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	r := &run{in: os.Stdin, out: stdout}
	r.program = func() auto.LocalWorkspaceOption { return auto.Program(account.In(r.project)) }
	begun := time.Now()
	r.log = &report.Log{Now: time.Now, To: &report.Text{Out: stdout, Begun: begun}}
	dir, err := r.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return report.ExitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "kubeadm-aws bootstrap: %v\n", err)
		return report.ExitUsage
	}
	if r.cli, err = workspace.FindCLI(ctx, dir); err == nil {
		defer r.handleSignals()()
		err = r.execute(ctx)
	}
	code := report.CodeOf(err)
	e := report.Event{Kind: report.KindResult, Command: "bootstrap", Stack: stackName, Cloud: r.cloud, Code: &code,
		Status:  "done",
		Seconds: time.Since(begun).Seconds()}
	if err != nil {
		e.Status, e.Message = "failed", err.Error()
		if f := (*report.Failure)(nil); errors.As(err, &f) {
			e.Next = f.Next
		}
	}
	r.log.Emit(e)
	return code
}

func (r *run) parse(args []string) (dir string, err error) {
	flags := flag.NewFlagSet("kubeadm-aws bootstrap", flag.ContinueOnError)
	flags.SetOutput(r.out)
	flags.StringVar(&r.repository, "repository", "", "the GitHub `repository` whose pipelines get the roles: OWNER/NAME, or OWNER@ID/NAME@ID")
	flags.StringVar(&r.cloud, "cloud", report.CloudSandbox, "`where`: sandbox (simulated) or aws")
	flags.StringVar(&dir, "dir", ".", "the project's `directory`")
	flags.BoolVar(&r.destroy, "destroy", false, "take everything away; refused while a stack of a cluster exists")
	flags.BoolVar(&r.yes, "yes", false, "on aws: do not ask before a change")
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if flags.NArg() > 0 {
		return "", fmt.Errorf("%q is not a flag; flags start with --", flags.Arg(0))
	}
	if r.cloud != report.CloudSandbox && r.cloud != report.CloudAWS {
		return "", fmt.Errorf("--cloud %s: sandbox or aws", r.cloud)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	r.project = filepath.Join(dir, "bootstrap")
	if _, err := os.Stat(filepath.Join(r.project, "Pulumi.yaml")); err != nil {
		return "", fmt.Errorf("%s holds no bootstrap/Pulumi.yaml; run this from the project, or give --dir", dir)
	}
	return dir, nil
}

// handleSignals hands interrupts on to the engine, which finishes what is in flight and saves the state.
func (r *run) handleSignals() (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				r.log.Warn("Stopping: what is in flight is finished and saved. The same command goes on from there.")
				r.cli.Interrupt()
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

func (r *run) execute(ctx context.Context) error {
	place, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer place.close()
	r.log.Emit(report.Event{Kind: report.KindStart, Command: "bootstrap", Stack: stackName, Cloud: r.cloud,
		State: place.location})
	if r.destroy {
		return r.takeDown(ctx, place)
	}
	outputs, err := r.up(ctx, place)
	if err != nil {
		return err
	}
	if err := place.moveState(ctx); err != nil {
		return err
	}
	return printNext(r.out, outputs)
}

// up shows the plan, asks, and carries it out.
func (r *run) up(ctx context.Context, at *place) (auto.OutputMap, error) {
	plan := report.NewWatcher(r.log, nil, true)
	err := plan.Follow(func(stream chan<- events.EngineEvent) error {
		_, err := at.stack.Preview(ctx, optpreview.EventStreams(stream), optpreview.SuppressProgress())
		return err
	})
	if err != nil {
		return nil, r.failure(err, plan)
	}
	r.log.Emit(plan.PlanEvent())
	if len(plan.Done) > 0 {
		if err := r.confirm("Make these changes?"); err != nil {
			return nil, err
		}
	}
	watcher := report.NewWatcher(r.log, plan.Done, false)
	var outputs auto.OutputMap
	err = watcher.Follow(func(stream chan<- events.EngineEvent) error {
		result, err := at.stack.Up(ctx, optup.EventStreams(stream), optup.SuppressProgress(), optup.ShowSecrets(false))
		outputs = result.Outputs
		return err
	})
	if err != nil {
		return nil, r.failure(err, watcher)
	}
	return outputs, nil
}

// takeDown lifts the protection and destroys what no cluster can need any more.
func (r *run) takeDown(ctx context.Context, at *place) error {
	if err := at.refuseOthers(ctx); err != nil {
		return err
	}
	err := r.confirm("Remove the bucket of the state with all old versions, its key and the roles? Images stay.")
	if err != nil {
		return err
	}
	if err := at.leaveBucket(ctx); err != nil {
		return err
	}
	if err := r.removeAll(ctx, at); err != nil {
		return err
	}
	r.log.Info("The images and their repositories stay. To remove one: aws ecr delete-repository --force --repository-name NAME. " +
		"To give it to a new stack of the account: " + importCommand("NAME"))
	return at.forget(ctx)
}

// importCommand sets that the stack takes over a repository of the image registry.
func importCommand(image string) string {
	return "pulumi -C bootstrap config set --stack " + stackName + " --path '" + account.Namespace + ":importImages[0]' " + image
}

// removeAll lifts the protection, also in the settings, and destroys the stack. The settings are protected again at the
// end, however it ends.
func (r *run) removeAll(ctx context.Context, at *place) (err error) {
	protect := account.Namespace + ":protect"
	if err := at.stack.SetConfig(ctx, protect, auto.ConfigValue{Value: "false"}); err != nil {
		return report.Fail(report.ExitFailed, "", "lift the protection: %w", err)
	}
	defer func() {
		if failed := at.stack.RemoveConfig(context.WithoutCancel(ctx), protect); failed != nil && err == nil {
			err = report.Fail(report.ExitFailed, "", "%w", failed)
		}
	}()
	if _, err := at.stack.Up(ctx, optup.SuppressProgress(), optup.ShowSecrets(false)); err != nil {
		return r.failure(err, nil)
	}
	watcher := report.NewWatcher(r.log, nil, false)
	err = watcher.Follow(func(stream chan<- events.EngineEvent) error {
		_, err := at.stack.Destroy(ctx, optdestroy.EventStreams(stream), optdestroy.SuppressProgress(),
			optdestroy.ShowSecrets(false))
		return err
	})
	if err != nil {
		return r.failure(err, watcher)
	}
	return nil
}

// imageExists matches what AWS, or the model of it, says of a repository of the image registry.
var imageExists = regexp.MustCompile(`RepositoryAlreadyExists|EntityAlreadyExists: \S*ecr\S*`)

// failure explains an error of the engine.
func (r *run) failure(err error, watcher *report.Watcher) error {
	how := report.Outcome{Interrupted: r.cli.Stopped()}
	if watcher != nil {
		how.Said, how.Begun = watcher.Said, !watcher.Preview && len(watcher.Spans) > 0
	}
	subject := report.Subject{Command: "up", Stack: stackName, Cloud: r.cloud}
	failed := report.EngineFailure(err, subject, how)
	if strings.Contains(err.Error(), "EntityAlreadyExists") && strings.Contains(err.Error(), "OIDC") {
		failed = report.Fail(report.ExitBlocked, "pulumi -C bootstrap config set --stack account "+account.Namespace+":createOidcProvider false",
			"the account has an identity provider for GitHub already, and it can have only one")
	}
	if imageExists.MatchString(err.Error()) {
		failed = report.Fail(report.ExitBlocked, importCommand("NAME")+", with [1], [2] for more; remove importImages after the run",
			"the account has an image repository of that name already, which an earlier stack of the account has left")
	}
	return failed
}

// confirm asks before a change to a real account.
func (r *run) confirm(question string) error {
	if r.cloud != report.CloudAWS || r.yes {
		return nil
	}
	fmt.Fprintf(r.out, "\n%s Type yes: ", question)
	var answer string
	_, _ = fmt.Fscanln(r.in, &answer)
	if answer != "yes" {
		return report.Fail(report.ExitCannotStart, "", "not confirmed; nothing was changed")
	}
	return nil
}

// settingsOf are what the command line adds to the settings of the stack.
func (r *run) settingsOf() map[string]any {
	if r.repository == "" {
		return nil
	}
	return map[string]any{account.Namespace + ":repository": r.repository}
}
