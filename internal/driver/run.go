package driver

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/bootstrap"
	"kubeadm-aws/internal/chartvalues"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// instrument lets tests watch and stop a simulation; nil otherwise.
var instrument func(*sandbox.Options)

// run is one run of the command.
type run struct {
	op  operation
	log *report.Log
	cli *workspace.CLI
	cfg *config.Config
	// begun is when the command started, so that the figures include the time before the engine.
	begun time.Time
	// changed reports whether the engine began to change something.
	changed bool
	in      *bufio.Reader
	out     io.Writer
}

// Run carries out one command of the driver, prints to stdout and stderr, and returns the exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "bootstrap" {
		return bootstrap.Run(ctx, args[1:], stdout, stderr)
	}
	op, cmd, flags, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		usage(stdout, flags)
		return report.ExitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "kubeadm-aws: %v\n`kubeadm-aws help` lists commands and flags.\n", err)
		return report.ExitUsage
	}
	s := &run{op: op, begun: time.Now(), in: bufio.NewReader(os.Stdin), out: stdout}
	events := stdout
	if op.output != "" {
		events = stderr // standard output is for the one value
	}
	s.log = &report.Log{Now: time.Now, To: &report.Text{Out: events, Begun: s.begun}}
	if op.json {
		s.log.To = report.JSON{Out: events}
	}
	// Without this, the end of a reader such as head would kill the run at its next line.
	closed := make(chan os.Signal, 1)
	signal.Notify(closed, syscall.SIGPIPE)
	defer signal.Stop(closed)
	err = s.execute(ctx, cmd)
	s.finish(err)
	return report.CodeOf(err)
}

func (s *run) execute(ctx context.Context, cmd *command) error {
	cfg, err := config.LoadFile(s.op.Stack, s.op.dir)
	if err != nil {
		return s.refused(err)
	}
	s.cfg = cfg
	if cmd.makes {
		if err := warnOfValues(s.cfg, s.log); err != nil {
			return err
		}
	}
	if faults := cfg.RefusedOnAWS(); cmd.makes && s.op.Cloud == report.CloudAWS && len(faults) > 0 {
		return s.refused(faults)
	}
	cli, err := workspace.FindCLI(ctx, s.op.dir)
	if err != nil {
		return err
	}
	s.cli = cli
	defer s.handleSignals()()
	return cmd.run(ctx, s)
}

// warnOfValues reports Helm values of the settings that their charts do not have.
func warnOfValues(cfg *config.Config, log *report.Log) error {
	warnings, err := chartvalues.Misspelt(cfg)
	for _, w := range warnings {
		log.Warn(w)
	}
	return err
}

// refused reports every error in the settings.
func (s *run) refused(err error) error {
	var faults config.Errors
	if errors.As(err, &faults) {
		for _, f := range faults {
			s.log.Emit(report.Event{Kind: report.KindInvalid, Message: f.Error()})
		}
		return report.Fail(report.ExitInvalid, "Correct Pulumi."+s.op.Stack+".yaml, or use: pulumi config set --path --stack "+s.op.Stack+" KEY VALUE",
			"%d %s refused; nothing was attempted", len(faults), report.Plural(len(faults), "setting is", "settings are"))
	}
	return report.Fail(report.ExitInvalid, "", "%w", err)
}

// handleSignals passes each Ctrl-C and SIGTERM on to the engine as one interrupt, and reports the effect.
func (s *run) handleSignals() (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for count := 1; ; count++ {
			select {
			case <-signals:
				s.log.Warn(stopping(count))
				s.cli.Interrupt()
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

// stopping describes the effect of the nth interrupt.
func stopping(n int) string {
	if n == 1 {
		return "Stopping: what is in flight is finished and saved, nothing new is begun. Ctrl-C once more ends the run at once: " +
			"the state then notes what had begun, and the next run finds out first what became of it."
	}
	return "Ending at once. The state notes what had begun; the next up, destroy or refresh finds out first what became of it."
}

// finish reports how the run ended.
func (s *run) finish(err error) {
	code := report.CodeOf(err)
	e := report.Event{Kind: report.KindResult, Command: s.op.Command, Stack: s.op.Stack, Cloud: s.op.Cloud, Code: &code,
		Begun: s.changed, Seconds: time.Since(s.begun).Seconds()}
	e.Status = "done"
	if err != nil {
		e.Status, e.Message = "failed", err.Error()
	}
	var f *report.Failure
	if errors.As(err, &f) {
		e.Next = f.Next
	}
	s.log.Emit(e)
	if err := report.WriteGitHubResult(e); err != nil {
		s.log.Warn(err.Error())
	}
}

// open opens the stack of the run.
func (s *run) open(ctx context.Context) (*workspace.Workspace, error) {
	return workspace.Open(ctx, workspace.Options{
		Subject: s.op.Subject, Project: s.op.dir, Config: s.cfg, CLI: s.cli, Log: s.log, Parallel: s.op.parallel,
		Redacted: s.op.redacted, Instrument: instrument,
	})
}

// openState opens the stack of a run, says so, and reads its state. The caller closes the workspace.
func openState(ctx context.Context, s *run) (*workspace.Workspace, state.State, error) {
	w, err := s.open(ctx)
	if err != nil {
		return nil, state.State{}, err
	}
	s.start(w)
	st, err := w.State(ctx)
	if err != nil {
		w.Close()
		return nil, state.State{}, err
	}
	return w, st, nil
}

// start reports which command runs, on which stack, and where its state is.
func (s *run) start(w *workspace.Workspace) {
	s.log.Emit(report.Event{Kind: report.KindStart, Command: s.op.Command, Stack: s.op.Stack, Cloud: s.op.Cloud,
		State: w.Location})
	var names []string
	for _, n := range s.cfg.Nodes {
		names = append(names, n.Name)
	}
	if len(names) > 8 {
		names = append(names[:8], "...")
	}
	s.log.Emit(report.Event{Kind: report.KindSettings, Message: fmt.Sprintf("Pulumi.%s.yaml: cluster %s, Kubernetes %s, %s, %d nodes (%s)",
		s.op.Stack, s.cfg.Cluster.Name, s.cfg.Cluster.KubernetesVersion, s.cfg.Region, len(s.cfg.Nodes), strings.Join(names, ", "))})
	if s.op.Cloud == report.CloudHosts {
		s.log.Emit(report.Event{Kind: report.KindSettings, Message: addonsText(s.cfg, w.Real)})
	}
}

// addonsText describes which add-ons run on hosts of this machine, and which charts are only recorded.
func addonsText(cfg *config.Config, real []string) string {
	var run, recorded []string
	for _, a := range catalog.Addons {
		if a.Key != "" && !cfg.Addons.ByKey()[a.Key].On() {
			continue
		}
		for _, c := range a.Charts {
			if slices.Contains(real, c.Release) {
				run = append(run, c.Release)
			} else {
				recorded = append(recorded, c.Release)
			}
		}
	}
	if len(run) == 0 {
		return "add-ons: their charts are recorded and not installed (ADDONS=real installs what the mirror has)"
	}
	const comma = ", "
	return fmt.Sprintf("add-ons: %s run for real; only recorded: %s", strings.Join(run, comma),
		strings.Join(recorded, comma))
}
