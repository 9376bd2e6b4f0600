package dockerhosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	image      = "kubeadm-aws-host:debian12"
	labelStack = "kubeadm-aws.stack"
	labelID    = "kubeadm-aws.instance"
	labelRole  = "kubeadm-aws.profile"

	closeTimeout = 30 * time.Second
)

// docker runs the docker client and returns its trimmed output.
func docker(ctx context.Context, args ...string) (string, error) {
	return run(exec.CommandContext(ctx, "docker", args...))
}

// dockerIn runs the docker client with a standard input.
func dockerIn(ctx context.Context, stdin string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "docker", args...)
	c.Stdin = strings.NewReader(stdin)
	return run(c)
}

func run(c *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if err != nil {
		name := append([]string{filepath.Base(c.Path)}, c.Args[1:min(len(c.Args), 3)]...)
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(name, " "), err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// isGone reports whether err is docker's answer for an object that does not exist.
func isGone(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "No such") ||
		strings.Contains(strings.ToLower(err.Error()), "not found"))
}

// buildImage builds the image of the hosts, unless docker has it.
func buildImage(ctx context.Context, o Options) error {
	if _, err := docker(ctx, "image", "inspect", image); err != nil {
		o.Log("building the host image: once, about a minute")
	}
	if _, err := run(exec.CommandContext(ctx, filepath.Join(o.Mirror, "host", "image"))); err != nil {
		return fmt.Errorf("build the host image: %w", err)
	}
	return nil
}

var errNoAddress = errors.New("no free address")
