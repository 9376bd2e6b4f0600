package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// step is a command of the form `sudo env STEP='join' NODE='worker-1' KEY='value' bash limit.sh SECONDS SCRIPT`. The
// simulation does not run the script. It changes the model as the step changes a host, and fails where the host would.
type step struct {
	node    string
	env     map[string]string
	stdin   string
	machine *store.Object
	*Cluster
}

// steps are the steps that the program may run, by name. The delete of a step has the suffix "-delete".
var steps = map[string]func(s *step) (string, error){
	"ready":                  (*step).ready,
	"prepare":                (*step).prepare,
	"init":                   (*step).init,
	"join":                   (*step).join,
	"node":                   (*step).label,
	"node-delete":            (*step).drain,
	"balancer":               installBalancer,
	"control-planes":         func(s *step) (string, error) { return member{s}.serve() },
	"balancer-delete":        func(*step) (string, error) { return "balances nothing", nil },
	"backup":                 (*step).backup,
	"backup-delete":          (*step).backupStop,
	"drain":                  func(s *step) (string, error) { return upgrade{s}.takeOut() },
	"nodes-ready":            (*step).nodesReady,
	"token-keys":             tokenKeysInUse,
	"password":               (*step).password,
	"backup-credentials":     (*step).backupCredentials,
	"rabbitmq-backup":        rabbitmqBackup,
	"claims":                 func(*step) (string, error) { return "unchanged", nil }, // the model has no sizes
	"release-gate":           func(s *step) (string, error) { return gate{s}.hold() },
	"release-gate-delete":    func(s *step) (string, error) { return gate{s}.release() },
	"rabbitmq-backup-delete": rabbitmqBackup,
	// No machine of the model needs a reboot.
	"reboots":        func(*step) (string, error) { return "reboots", nil },
	"reboots-delete": func(*step) (string, error) { return "reboots are stopped", nil },
	// It deletes the Secret of the credentials too.
	"backup-credentials-delete": (*step).backupCredentials,
}

// Shell runs the steps of the program on the machines of the model.
type Shell struct{ cluster *Cluster }

// NewShell returns the shell of a cluster's machines.
func NewShell(c *Cluster) Shell { return Shell{c} }

// Run runs a command as SSH does: it finds the machine, checks both keys and runs the step.
func (s Shell) Run(to backend.RemoteCommand, text, stdin string) (string, error) {
	c := s.cluster
	c.Lock()
	defer c.Unlock()
	machine := c.MachineAt(to.Host)
	if machine == nil || aws.IsStopped(machine) {
		return "", notDialled(to, fmt.Errorf("dial tcp %s:%d: i/o timeout", to.Host, to.Port))
	}
	if err := c.ReachableFromOutside(machine, float64(to.Port)); err != nil {
		return "", notDialled(to, fmt.Errorf("dial tcp %s:%d: i/o timeout: %w", to.Host, to.Port, err))
	}
	if err := s.login(machine, to); err != nil {
		return "", notDialled(to, err)
	}
	line, err := stepline.Parse(text)
	if err != nil {
		return "", err
	}
	if line.Name == "" { // a command of the user: the model ignores it
		return "", nil
	}
	run, ok := steps[line.Name]
	if !ok {
		return "", fmt.Errorf("the sandbox does not know the step %q: add it to steps in internal/sandbox/kube/steps.go",
			line.Name)
	}
	step := &step{node: line.Node, env: line.Env, stdin: stdin, machine: machine, Cluster: c}
	if err := step.script(line); err != nil {
		return "", err
	}
	return run(step)
}

// notDialled returns the error of the command provider after its last try, also for a refused key. Without a limit of
// tries the context of the provider ends first, and the error does not contain the reason.
func notDialled(to backend.RemoteCommand, err error) error {
	if to.DialErrorLimit < 0 {
		return context.DeadlineExceeded
	}
	return fmt.Errorf("after %d failed attempts: %w", to.DialErrorLimit, err)
}

// login is the SSH handshake. It compares the user's key with the key pair, and the host key with the pinned one.
func (s Shell) login(machine *store.Object, to backend.RemoteCommand) error {
	if to.HostKey != "" && fields2(to.HostKey) != fields2(machine.State.Str("hostKey")) {
		return errors.New("ssh: handshake failed: ssh: host key mismatch")
	}
	pair := s.cluster.Find(aws.KeyPairType, machine.Inputs.Str("keyName"))
	if pair == nil {
		return nil // without a pair, or with a deleted one, the model does not know the key on the disk
	}
	key, err := ssh.ParsePrivateKey([]byte(to.PrivateKey))
	if err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	if fields2(string(ssh.MarshalAuthorizedKey(key.PublicKey()))) != fields2(pair.Inputs.Str("publicKey")) {
		return errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no " +
			"supported methods remain")
	}
	return nil
}

// fields2 returns kind and key of an authorized_keys line, without its comment.
func fields2(line string) string {
	f := strings.Fields(line)
	return strings.Join(f[:min(2, len(f))], " ")
}

// host returns the content of the machine's disk, which later steps read.
func (s *step) host() *store.Object {
	if o := s.Find(hostType, s.machine.ID); o != nil {
		return o
	}
	o := &store.Object{Type: hostType, ID: s.machine.ID, State: props.Map{}}
	s.Put(o)
	return o
}

func (s *step) remember(facts props.Map) {
	s.Change(s.host(), func(_, state props.Map) {
		for k, v := range facts {
			state[k] = v
		}
	})
}

// script checks that the machine has the files that the command and its settings name. Any version of a file counts,
// because a machine can be newer than the state; limit.sh does the same. The command of the first step contains an
// archive, and script stores its files first.
func (s *step) script(line stepline.Line) error {
	if len(line.Args) == 0 {
		return nil
	}
	if path.Dir(line.Args[len(line.Args)-1]) != stepline.ScriptDir {
		return nil // The command contains the text of its script: it is from an older state.
	}
	if line.Args[0] == "-c" {
		files, err := stepline.Unpack(line.Args[3])
		if err != nil {
			return fmt.Errorf("install: the scripts: %w", err)
		}
		has := append(strings.Fields(s.host().Str("scripts")), slices.Collect(maps.Keys(files))...)
		slices.Sort(has)
		s.remember(props.Map{"scripts": strings.Join(slices.Compact(has), " ")})
	}
	has := strings.Fields(s.host().Str("scripts"))
	for _, text := range append(slices.Collect(maps.Values(line.Env)), line.Args...) {
		directory, file := path.Split(text)
		name, _, _ := strings.Cut(file, ".")
		if path.Clean(directory) == stepline.ScriptDir &&
			!slices.ContainsFunc(has, func(file string) bool { return strings.HasPrefix(file, name+".") }) {
			return fmt.Errorf("%s is not on this machine: the step ready has to bring it", text)
		}
	}
	return nil
}

func (s *step) ready() (string, error) {
	s.remember(props.Map{"booted": true})
	return "ready", nil
}

func (s *step) prepare() (string, error) {
	if err := s.HasInternet(s.machine); err != nil {
		return "", fmt.Errorf("apt-get update: cannot reach the package repository: %w", err)
	}
	if err := (upgrade{s}).downloaded(); err != nil {
		return "", err
	}
	s.remember(props.Map{"prepared": s.env["KUBERNETES_VERSION"]})
	return "prepared", nil
}

// endpoint finds the API's name in a kubeadm configuration.
var endpoint = regexp.MustCompile(`(?m)controlPlaneEndpoint: *"?([^\s":]+)`)

func (s *step) init() (string, error) {
	if s.host().Str("prepared") == "" {
		return "", errors.New("kubeadm: command not found: the host is not prepared")
	}
	cluster := s.Find(clusterType, "cluster")
	made, err := madeWith(s)
	if err != nil {
		return "", err
	}
	if cluster != nil && slices.Contains(members(cluster), s.machine.ID) {
		if err := s.sameCluster(made); err != nil {
			return "", err
		}
		if err := (upgrade{s}).upgradeControlPlane(); err != nil {
			return "", err
		}
		return "initialised", member{s}.leave(cluster)
	}
	if _, err := s.api(); s.env["JOINS"] != "" || s.env["PEERS"] != "" && err == nil {
		return "initialised", member{s}.join(made)
	}
	if m := endpoint.FindStringSubmatch(s.env["KUBEADM_CONFIG"]); m != nil {
		found := s.Resolve(m[1], s.VPCOf(s.machine))
		if !slices.Contains(found, s.machine.Str("privateIp")) {
			return "", fmt.Errorf("kubeadm init: the API's name %s resolves to %v and not to this host, %s", m[1], found,
				s.machine.Str("privateIp"))
		}
	}
	if cluster == nil {
		if err := (member{s}).noneAlive(); err != nil {
			return "", err
		}
		if err := s.recover(made.Str("authorities")); err != nil {
			return "", err
		}
	}
	s.Put(&store.Object{Type: clusterType, ID: "cluster", State: props.Map{
		"controlPlane": s.machine.ID, "version": s.env["KUBERNETES_VERSION"],
	}})
	member{s}.became(made)
	s.mark(false)
	return "initialised", nil
}

func (s *step) join() (string, error) {
	if s.env["JOINS"] != "" {
		return s.init()
	}
	if s.host().Str("prepared") == "" {
		return "", errors.New("kubeadm: command not found: the host is not prepared")
	}
	api, err := s.api()
	if err != nil {
		return "", fmt.Errorf("kubeadm join: %w", err)
	}
	if name := aws.HostOf(s.env["ENDPOINT"]); name != "" && len(s.Resolve(name, s.VPCOf(s.machine))) == 0 {
		return "", fmt.Errorf("kubeadm join: lookup %s: no such host", name)
	}
	if err := s.Reaches(s.machine, api, "tcp", 6443); err != nil {
		return "", fmt.Errorf("kubeadm join: %w", err)
	}
	if node := s.object("Node", "", s.node); node != nil {
		if node.Str("instance") != s.machine.ID && s.Find(aws.InstanceType, node.Str("instance")) != nil {
			return "", fmt.Errorf("kubeadm join: a node with name %q exists already", s.node)
		}
		if node.Str("instance") == s.machine.ID {
			return "joined", upgrade{s}.upgradeWorker(node)
		}
	}
	if err := (upgrade{s}).notNewerThanAPI(); err != nil {
		return "", fmt.Errorf("kubeadm join: %w", err)
	}
	s.remember(props.Map{"kubelet": s.env["KUBERNETES_VERSION"]})
	s.putNode(s.node, s.machine.ID, false)
	return "joined", nil
}

func (s *step) putNode(name, instance string, controlPlane bool) {
	s.Put(&store.Object{Type: "k8s/Node", ID: "/" + name, State: props.Map{
		"name": name, "instance": instance, "controlPlane": controlPlane, "unconfigured": !controlPlane,
	}})
}

func (s *step) label() (string, error) {
	node, err := s.ownNode()
	if err != nil {
		return "", err
	}
	if err := (upgrade{s}).upgraded(node); err != nil {
		return "", err
	}
	s.Change(node, func(_, state props.Map) {
		delete(state, "drained")
		state["unconfigured"] = false
		state["labels"], state["taints"] = s.env["LABELS"], s.env["TAINTS"]
	})
	return "configured", nil
}

// ownNode returns the node that the step is about, from the API on this host.
func (s *step) ownNode() (*store.Object, error) {
	if _, err := s.api(); err != nil {
		return nil, err
	}
	node := s.object("Node", "", s.node)
	if node == nil {
		return nil, fmt.Errorf("kubectl: Error from server (NotFound): nodes %q not found", s.node)
	}
	return node, nil
}

func (s *step) drain() (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	// Without a provider id, the step is from an older state.
	id := s.env["PROVIDER_ID"]
	if node := s.object("Node", "", s.node); node != nil && (id == "" || path.Base(id) == node.Str("instance")) {
		s.Remove(node)
	}
	return "deleted", nil
}

func (s *step) nodesReady() (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	for _, name := range strings.Fields(s.env["NODES"]) {
		if why := s.notReady(name); why != "" {
			return "", fmt.Errorf("timed out waiting for the nodes: %s is not Ready: %s", name, why)
		}
	}
	return "ready", nil
}
