package cluster

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// The scripts run as root on Debian 12 and Ubuntu 24.04. Each is self-contained and describes its settings with
// --help.
//
//go:embed scripts/*.sh
var scriptFiles embed.FS

// installScript is the only script that is part of a command. It puts the others on the host.
//
//go:embed scripts/install.sh
var installScript string

// scripts are the scripts that one host gets, by name: the file name without .sh. The first step of a host brings
// them. The commands of all its steps then only name their files, because a state contains each command twice.
type scripts map[string]string

// workerScripts are the scripts that a worker gets. A control plane gets all.
var workerScripts = []string{"limit", "ready", "prepare", "join", "kubelet", "upgrade", "ecr-credentials", "reboot",
	"balancer", "balancer-stop", "api-name"}

// imageClean is the script that no node gets: it makes an image of a machine.
const imageClean = "image-clean"

// imageScripts are the scripts of a machine that becomes an image.
var imageScripts = []string{"limit", "ready", "prepare", "ecr-credentials", "reboot"}

// servingScripts are the scripts that the step control-planes brings itself: the host may have those of an older
// program.
var servingScripts = []string{"limit", "control-planes"}

// newScripts returns the scripts of the hosts by role. The control plane also gets those of more, which may be nil.
func newScripts(more fs.FS) (map[string]scripts, error) {
	all := scripts{}
	for _, files := range []fs.FS{scriptFiles, more} {
		if files == nil {
			continue
		}
		names, err := fs.Glob(files, "scripts/*.sh")
		if err != nil {
			return nil, fmt.Errorf("scripts: %w", err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				return nil, fmt.Errorf("scripts: %w", err)
			}
			all[strings.TrimSuffix(path.Base(name), ".sh")] = string(text)
		}
	}
	delete(all, "install")
	delete(all, imageClean)
	return map[string]scripts{config.ControlPlane: all, config.Worker: all.only(workerScripts)}, nil
}

// only returns the scripts with these names.
func (s scripts) only(names []string) scripts {
	some := scripts{}
	for _, name := range names {
		some[name] = s[name]
	}
	return some
}

// limitFile is the script that runs the others. Its name has no digest, so a change of it does not run every step
// again. It must therefore accept the arguments of commands in older states.
const limitFile = "limit.sh"

// file returns the name of a script on the host. It contains the digest of the text: a changed script runs again, and
// the commands of an older state find their own version.
func (s scripts) file(name string) string {
	if name == "limit" {
		return limitFile
	}
	sum := sha256.Sum256([]byte(s[name]))
	return fmt.Sprintf("%s.%x.sh", name, sum[:6])
}

// path returns the location of a script on the host.
func (s scripts) path(name string) string { return path.Join(stepline.ScriptDir, s.file(name)) }

// archive returns all scripts in the form that install.sh reads. Another release of Go may compress differently: then
// the first step of each host runs again, and no other.
func (s scripts) archive() (string, error) {
	files := map[string]string{}
	for name, text := range s {
		files[s.file(name)] = text
	}
	return stepline.Pack(files)
}
