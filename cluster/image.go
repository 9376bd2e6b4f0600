package cluster

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// ImageCommand is a command that root runs over SSH on a machine that becomes an image.
type ImageCommand struct {
	Name, Text string
	// Stdin is secret.
	Stdin string
}

// ImageGiB is the root disk of an image: the smallest that a node may have, so that every node can boot it.
const ImageGiB = config.MinVolumeSize

// ImageCommands returns the commands that prepare a new machine and remove what belongs to it. They are the steps ready
// and prepare of a control plane, with the scripts and the settings of the nodes: a worker needs less, and a node from
// the image does nothing again. images are pulled in addition to those of kubeadm.
func ImageCommands(cfg *config.Config, images []string) ([]ImageCommand, error) {
	release, err := config.ReleaseOf(cfg.Cluster.KubernetesVersion)
	if err != nil {
		return nil, err
	}
	byRole, err := newScripts(nil)
	if err != nil {
		return nil, err
	}
	all := byRole[config.ControlPlane].only(imageScripts)
	clean, err := scriptFiles.ReadFile("scripts/" + imageClean + ".sh")
	if err != nil {
		return nil, fmt.Errorf("scripts: %w", err)
	}
	all[imageClean] = string(clean)
	s := steps{cfg: cfg, release: release, scripts: all}
	node := Host{Node: config.Node{Name: "image", Role: config.ControlPlane, VolumeSize: ImageGiB},
		ProviderID: pulumi.String("image")}
	prepare, err := s.prepare(node)
	if err != nil {
		return nil, err
	}
	prepare.Run.Env["IMAGES"] = pulumi.String(strings.Join(append(strings.Fields(string(
		prepare.Run.Env["IMAGES"].(pulumi.String))), images...), " "))
	var commands []ImageCommand
	for _, step := range []Step{s.ready(node), prepare,
		{Name: imageClean, Node: node.Name, Minutes: 5, Run: Script{Name: imageClean}}} {
		command, err := imageCommand(all, step)
		if err != nil {
			return nil, err
		}
		commands = append(commands, command)
	}
	return commands, nil
}

// imageCommand returns the command of a step whose settings and files are all known. The first step brings the scripts.
func imageCommand(all scripts, step Step) (ImageCommand, error) {
	command := ImageCommand{Name: step.Name}
	line := stepline.Line{Name: step.Name, Node: step.Node, Env: map[string]string{},
		Args: []string{all.path("limit"), strconv.Itoa(step.Minutes * 60), all.path(step.Run.Name)}}
	for key, value := range step.Run.Env {
		line.Env[key] = string(value.(pulumi.String))
	}
	if step.Name == "ready" {
		archive, err := all.archive()
		if err != nil {
			return command, err
		}
		line.Args = append([]string{"-c", installScript, "bash", archive}, line.Args...)
	}
	command.Text = line.Format()
	if len(step.Files) == 0 {
		return command, nil
	}
	files := map[string]string{}
	for name, content := range step.Files {
		files[name] = string(content.(pulumi.String))
	}
	var err error
	command.Stdin, err = stepline.Pack(files)
	return command, err
}
