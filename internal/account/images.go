package account

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/question"
)

// Images makes and lists the machine images of a stack.
type Images struct {
	// VPC, Subnet and Group are where a builder runs: the ids of the stack's network, its first subnet by id, and the
	// security group of the nodes.
	VPC, Subnet, Group string

	w *workspace.Workspace
	// sweep is zero in a simulation.
	sweep program
}

// OpenImages returns the images of the stack that a state contains. The caller closes it.
func OpenImages(ctx context.Context, w *workspace.Workspace, d state.State) (*Images, error) {
	i := &Images{w: w}
	for _, r := range d.Resources {
		id := string(r.ID)
		switch r.Type {
		case "aws:ec2/vpc:Vpc":
			i.VPC = id
		case "aws:ec2/subnet:Subnet":
			if i.Subnet == "" || id < i.Subnet {
				i.Subnet = id
			}
		case firewallType:
			i.Group, _ = r.Outputs["nodes"].(string)
		}
	}
	if i.VPC == "" || i.Subnet == "" || i.Group == "" {
		return nil, report.Fail(report.ExitCannotStart, fmt.Sprintf("Bring it up first: go run ./cmd/kubeadm-aws up --stack %s --cloud %s",
			w.Stack, w.Cloud), "stack %s has no network for a builder", w.Stack)
	}
	if w.Sandbox != nil {
		return i, nil
	}
	var err error
	i.sweep, err = buildSweep(ctx, w)
	return i, err
}

// Close removes the temporary files.
func (i *Images) Close() { i.sweep.remove() }

// imageTimeout is the limit of one question, in which EC2 copies a disk into a snapshot.
const imageTimeout = "1h"

// Ask asks the account about its images, and changes them as the question says.
func (i *Images) Ask(ctx context.Context, q question.ImageRequest) (answer question.ImageAnswer, err error) {
	q.Cluster, q.VPC = i.w.Config.Cluster.Name, i.VPC
	if i.w.Sandbox != nil {
		return i.w.Sandbox.Images.Ask(ctx, q)
	}
	asked, err := json.Marshal(q)
	if err != nil {
		return answer, err
	}
	text, err := i.sweep.run(i.w, func(cmd *exec.Cmd) error { return runUntil(ctx, cmd) }, asked,
		"--"+question.Image, "--region", i.w.Config.Region, "--timeout", imageTimeout)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("the answer of the sweep: %w", err)
	}
	return answer, nil
}

// PreparedImages returns the ids of the images that builds of the stack made. It is nil if the settings name no image,
// and if the account cannot be asked: they only make a prediction more exact.
func PreparedImages(ctx context.Context, w *workspace.Workspace, d state.State) map[string]bool {
	if w.Config.Image.AMI == "" {
		return nil
	}
	i, err := OpenImages(ctx, w, d)
	if err != nil {
		return nil
	}
	defer i.Close()
	answer, err := i.Ask(ctx, question.ImageRequest{Do: question.ImageList})
	if err != nil {
		return nil
	}
	ids := map[string]bool{}
	for id := range answer.Images {
		ids[id] = true
	}
	return ids
}

// Sandboxed reports whether the builder is a part of the model: nothing runs on it.
func (i *Images) Sandboxed() bool { return i.w.Cloud == report.CloudSandbox }

// SettingOf returns the command with which a person sets the image.
func SettingOf(stack, image string) string {
	return strings.Join([]string{"pulumi config set --path kubeadm-aws:image.ami", image, "--stack", stack}, " ")
}
