package driver

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
	"kubeadm-aws/infra"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/remote"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox/backend"
	check "kubeadm-aws/internal/verify"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/question"
)

// Limits of a build. The builder ends itself after builderMinutes, also when its driver was killed.
const (
	builderMinutes = 60
	// The builder boots for up to four minutes.
	bootDials, bootDialTime = 60, 4 * time.Second
)

// imageBuild makes a machine image: a builder is prepared like a node and cleaned, and its disk is saved.
func imageBuild(ctx context.Context, s *run) error {
	w, st, err := openState(ctx, s)
	if err != nil {
		return err
	}
	defer w.Close()
	images, err := account.OpenImages(ctx, w, st)
	if err != nil {
		return err
	}
	defer images.Close()
	b := &imageBuilder{run: s, w: w, images: images}
	if err := b.plan(ctx); err != nil {
		return err
	}
	if err := s.confirm("Build a machine image? It takes about ten minutes."); err != nil {
		return err
	}
	until, stop := s.cli.Until(ctx)
	defer stop()
	err = b.build(until)
	// Also after Ctrl-C, and after a launch whose answer was lost.
	_, failed := images.Ask(context.WithoutCancel(ctx), question.ImageRequest{Do: question.ImageDiscard})
	if failed != nil {
		s.log.Warn(fmt.Sprintf("The builder could not be ended: %v. It ends itself within an hour; the next build, sweep and "+
			"destroy end it too.", failed))
	}
	switch {
	case s.cli.Stopped():
		return report.Fail(report.ExitInterrupted, "Run it again: it begins with a new builder.", "image build was interrupted")
	case err != nil:
		return report.Fail(report.ExitFailed, "The builder has to be reached by SSH, as the nodes are: access open lets this "+
			"machine in. Then run it again: it begins with a new builder.", "the image was not built: %w", err)
	}
	return nil
}

// imageBuilder is one build.
type imageBuilder struct {
	*run
	w        *workspace.Workspace
	images   *account.Images
	cfg      *config.Config
	commands []cluster.ImageCommand
}

// plan finds out what runs on the builder.
func (b *imageBuilder) plan(ctx context.Context) error {
	var err error
	// On hosts of this machine, the settings of the stack are those of the simulation's directory.
	if b.cfg, err = config.LoadFile(b.op.Stack, b.w.Dir); err != nil {
		return b.refused(err)
	}
	if err := b.passwords(ctx); err != nil {
		return err
	}
	var shared []string
	if b.op.Cloud != report.CloudSandbox {
		api, err := openAPI(ctx, b.w)
		if err == nil && api != nil {
			shared, err = check.DaemonSetImages(ctx, api)
		}
		if err != nil {
			b.log.Warn(fmt.Sprintf("The cluster does not answer, so the image has only the container images of kubeadm: %v",
				err))
		}
	}
	if b.commands, err = cluster.ImageCommands(b.cfg, shared); err != nil {
		return report.Fail(report.ExitCannotStart, "", "%w", err)
	}
	return nil
}

// passwords decrypts the passwords of registries, which a file of settings holds encrypted.
func (b *imageBuilder) passwords(ctx context.Context) error {
	for name, m := range b.cfg.Mirrors.Registries {
		if m.Username == "" {
			continue
		}
		key := fmt.Sprintf("%s:mirrors.registries[%q].password", config.Namespace, name)
		text, err := b.w.Pulumi(ctx, "config", "get", "--path", key, "--stack", b.op.Stack)
		if err != nil {
			return report.Fail(report.ExitCannotStart, "Is the passphrase or the key there?", "read the setting %s: %w",
				key, err)
		}
		m.Password = config.Secret(strings.TrimSuffix(text, "\n"))
		b.cfg.Mirrors.Registries[name] = m
	}
	return nil
}

// build launches the builder, prepares it and saves its disk.
func (b *imageBuilder) build(ctx context.Context) error {
	began := time.Now()
	login, err := remote.NewKey()
	if err != nil {
		return err
	}
	host, err := remote.NewKey()
	if err != nil {
		return err
	}
	newest, user := infra.NewestImage(b.cfg.Image.OS)
	userData, err := builderUserData(login, host)
	if err != nil {
		return err
	}
	name := b.cfg.Cluster.Name + "-image"
	launched, err := b.images.Ask(ctx, question.ImageRequest{Do: question.ImageLaunch, Builder: question.Builder{
		Name: name, Type: b.cfg.ControlPlane().InstanceType, Subnet: b.images.Subnet, Group: b.images.Group, Newest: newest,
		Pinned: b.cfg.Image.AMI, RootGiB: cluster.ImageGiB, UserData: userData,
	}})
	if err != nil {
		return err
	}
	b.log.Info(fmt.Sprintf("The builder %s runs, from %s.", launched.Instance, launched.Base))
	at := backend.RemoteCommand{Host: launched.Address, User: user, PrivateKey: login.Private, HostKey: host.Public,
		DialErrorLimit: bootDials, PerDialTimeout: bootDialTime}
	if err := b.prepare(ctx, at); err != nil {
		return err
	}
	b.log.Info("The builder is prepared and clean. Its disk becomes an image; this takes some minutes.")
	saved, err := b.images.Ask(ctx, question.ImageRequest{Do: question.ImageSave, Instance: launched.Instance,
		Name: name + "-" + began.UTC().Format("20060102-150405"), Keep: b.cfg.Image.AMI, Tags: b.tags(launched.Base)})
	if err != nil {
		return err
	}
	b.tell(saved, time.Since(began))
	return nil
}

// prepare runs the commands on the builder.
func (b *imageBuilder) prepare(ctx context.Context, at backend.RemoteCommand) error {
	for _, c := range b.commands {
		if b.images.Sandboxed() {
			b.log.Info(c.Name + ": simulated")
			continue
		}
		began := time.Now()
		at.Command, at.Stdin = c.Text, c.Stdin
		said, progress, err := remote.Run(ctx, at)
		if err != nil {
			lines := strings.Split(strings.TrimSpace(progress), "\n")
			return fmt.Errorf("%s fails on the builder: %s", c.Name,
				strings.Join(append(lines[max(0, len(lines)-10):], firstLine(err)), "\n"))
		}
		b.log.Info(fmt.Sprintf("%s: %s, in %.1f s", c.Name, said, time.Since(began).Seconds()))
	}
	return nil
}

// firstLine returns an error without the command text that follows its first line.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), ": running ")
	return text
}

// tags describe the content of the image.
func (b *imageBuilder) tags(base string) map[string]string {
	sum := sha256.New()
	for _, c := range b.commands {
		sum.Write([]byte(c.Text))
	}
	return map[string]string{
		question.ImageBaseTag: base, question.ImageKubernetesTag: b.cfg.Cluster.KubernetesVersion,
		question.ImageContentTag: fmt.Sprintf("%x", sum.Sum(nil)[:8]),
	}
}

func (b *imageBuilder) tell(saved question.ImageAnswer, took time.Duration) {
	for _, left := range saved.Left {
		b.log.Warn("An older image could not be removed: " + left)
	}
	if len(saved.Removed) > 0 {
		b.log.Info("Removed older images: " + strings.Join(saved.Removed, ", ") + ".")
	}
	b.log.Info(fmt.Sprintf("%s has Kubernetes %s, for x86, after %s. To replace the workers by machines from it, one after the "+
		"other, and then up:\n%s", saved.Image, b.cfg.Cluster.KubernetesVersion, took.Round(time.Second),
		account.SettingOf(b.op.Stack, saved.Image)))
}

// builderUserData is the cloud-config of a builder. Its keys are made for one build.
func builderUserData(login, host remote.Key) (string, error) {
	text, err := json.MarshalIndent(map[string]any{
		"hostname": "image", "ssh_deletekeys": true, "ssh_pwauth": false, "disable_root": true,
		"ssh_keys":            map[string]string{"ed25519_private": host.Private, "ed25519_public": host.Public},
		"ssh_authorized_keys": []string{login.Public},
		"package_update":      false, "package_upgrade": false,
		"power_state": map[string]any{"mode": "poweroff", "delay": builderMinutes},
	}, "", "  ")
	return "#cloud-config\n" + string(text) + "\n", err
}
