package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// steps builds the steps of one cluster. These functions decide what runs; cluster.go decides in which order.
type steps struct {
	cfg     *config.Config
	release config.Release
	pki     *pki
	args    Args
	scripts scripts
	// upgrade is nil if the update changes the release of no running node.
	upgrade *Upgrade
	// controlPlanes begins with the one that is initialised.
	controlPlanes []Host
}

// ready brings the scripts of the other steps and waits until the machine has booted. It fails on a machine that they
// do not support.
func (s steps) ready(h Host) Step {
	// A new machine with the same name and address needs a new wait.
	env := map[string]pulumi.StringInput{"MACHINE": h.ProviderID}
	if h.Architecture() != config.AMD64 {
		env["ARCHITECTURE"] = pulumi.String(h.Architecture())
	}
	return Step{Name: "ready", Node: h.Name, Minutes: 10, Run: Script{Name: "ready", Env: env}}
}

// prepare installs everything that a node needs before it belongs to a cluster.
func (s steps) prepare(h Host) (Step, error) {
	step := Step{Name: "prepare", Node: h.Name, Minutes: 20}
	env := map[string]pulumi.StringInput{
		"MACHINE":            h.ProviderID,
		"TIME_LIMIT":         pulumi.String(strconv.Itoa((step.Minutes - 1) * 60)),
		"VOLUME_SIZE":        pulumi.String(strconv.Itoa(h.VolumeSize)),
		"SHUTDOWN_SECONDS":   pulumi.String(strconv.Itoa(shutdownSeconds(s.cfg))),
		"KUBERNETES_VERSION": pulumi.String(s.release.Version),
		"KUBERNETES_APT":     pulumi.String(or(s.cfg.Mirrors.KubernetesApt, config.DefaultKubernetesApt)),
		"KUBERNETES_APT_KEY": pulumi.String(strings.ToUpper(or(s.cfg.Mirrors.KubernetesAptKey, config.KubernetesAptKey))),
		"CONTAINERD_VERSION": pulumi.String(config.ContainerdVersion),
		"CONTAINERD_APT":     pulumi.String(or(s.cfg.Mirrors.ContainerdApt, config.DefaultContainerdApt)),
		"CONTAINERD_APT_KEY": pulumi.String(strings.ToUpper(or(s.cfg.Mirrors.ContainerdAptKey, config.ContainerdAptKey))),
		"CONTAINERD_CONFIG":  pulumi.String(containerdConfig(s.release, s.cfg.Kubernetes.Containerd)),
		"REGISTRY_MIRRORS":   pulumi.String(registryMirrors(s.cfg.Mirrors.Registries)),
		"ECR_CREDENTIALS":    pulumi.String(s.scripts.path("ecr-credentials")),
		"KUBELET_PLUGINS":    pulumi.String(kubeletPlugins),
		"REBOOT":             pulumi.String(s.scripts.path("reboot")),
		"IMAGES":             pulumi.String(strings.Join(s.release.Images(h.Role == config.ControlPlane), " ")),
	}
	if h.Role == config.ControlPlane {
		env["ETCD_VERSION"] = pulumi.String(config.EtcdToolsVersion)
		env["ETCD_RELEASES"] = pulumi.String(or(s.cfg.Mirrors.Etcd, config.DefaultEtcdReleases))
		env["ETCD_SHA256"] = pulumi.String(or(s.cfg.Mirrors.EtcdSHA256, config.EtcdToolsSHA256))
	}
	step.Run = Script{Name: "prepare", Env: env}
	files, err := registryFiles(s.cfg.Mirrors.Registries)
	if err != nil {
		return Step{}, err
	}
	if len(files) > 0 {
		step.Files = map[string]pulumi.StringInput{}
	}
	for name, content := range files {
		step.Files[name] = pulumi.String(content)
	}
	return step, nil
}

// init creates the control plane, or applies changed settings or another release to a running one.
func (s steps) init(h Host) Step {
	env := map[string]pulumi.StringInput{
		"KUBERNETES_VERSION": pulumi.String(s.release.Version),
		"KUBEADM_CONFIG":     s.initConfig(h),
		"AUDIT_POLICY":       pulumi.String(auditPolicy),
		"AUDIT_POLICY_FILE":  pulumi.String(auditPolicyFile()),
		// The settings that no running cluster can change. The script refuses a change instead of applying half of
		// it.
		"IDENTITY": pulumi.String(fmt.Sprintf(identityFormat,
			s.cfg.Network.PodCIDR, s.cfg.Network.ServiceCIDR, s.cfg.Cluster.DNSDomain, s.args.Endpoint)),
		"FLAGS":   pulumi.String(flagLines(s.cfg.Kubernetes)),
		"COREDNS": pulumi.String(s.coreDNS()),
	}
	maps.Copy(env, s.backupEnv())
	maps.Copy(env, s.upgradeEnv())
	maps.Copy(env, members{s}.leaveEnv())
	if from := s.cfg.Backup.RestoreFrom; from != "" {
		env["RESTORE_FROM"] = pulumi.String(from)
	}
	if s.pki.tokenKeys.Rotated && s.cfg.Identity.RotateHours > 0 {
		env["TOKEN_KEYS"] = pulumi.String(s.scripts.path("token-keys"))
	}
	files := s.pki.files()
	if s.several() {
		maps.Copy(env, members{s}.env(h))
		files["discovery.conf"] = s.discovery()
	}
	return Step{
		Name: "init", Node: h.Name, Minutes: 25,
		Run:   Script{Name: "init", Env: env},
		Files: files,
	}
}

// join makes a worker of the host, or applies changed settings or another release to a worker that has joined.
func (s steps) join(h, controlPlane Host) Step {
	env := map[string]pulumi.StringInput{
		"KUBERNETES_VERSION": pulumi.String(s.release.Version),
		"KUBEADM_CONFIG":     s.joinConfig(h),
		"ENDPOINT":           pulumi.String(s.args.Endpoint + ":" + apiPort),
		// The kubelet's settings come from the cluster. With their digest here, the worker fetches changed ones.
		"KUBELET_SETTINGS": pulumi.String(s.kubeletDigest()),
		// After a control plane was restored from a snapshot, the worker checks that the cluster still contains it.
		"CONTROL_PLANE": controlPlane.ProviderID,
	}
	maps.Copy(env, s.upgradeEnv())
	return Step{
		Name: "join", Node: h.Name, Minutes: 15,
		Run:   Script{Name: "join", Env: env},
		Files: map[string]pulumi.StringInput{"discovery.conf": s.discovery()},
	}
}

// discovery returns the kubeconfig with which a machine joins.
func (s steps) discovery() pulumi.StringOutput {
	return kubeconfig(s.cfg.Cluster.Name, pulumi.String(s.args.Endpoint), s.pki.cluster, "join", s.pki.join)
}

// node sets the labels and taints of a node. It runs on the control plane, because only an administrator may set most
// of them.
func (s steps) node(h, controlPlane Host) Step {
	step := Step{
		Name: "node", Node: h.Name, Minutes: 10,
		Run: Script{Name: "node", Env: map[string]pulumi.StringInput{
			"ROLE":          pulumi.String(h.Role),
			"LABELS":        pulumi.String(labelLines(h.Labels)),
			"TAINTS":        pulumi.String(taintLines(h.Taints)),
			"STARTUP_TAINT": pulumi.String(StartupTaint),
			"CONTROL_PLANE": controlPlane.ProviderID,
			// The state shows with it which machine the node has.
			"GENERATION": pulumi.String(s.cfg.Image.MachineGeneration(h.Node)),
			// A worker that is upgraded returns to service when it runs this release.
			"KUBERNETES_VERSION": pulumi.String(s.release.Version),
		}},
	}
	if h.Role == config.Worker || s.several() {
		step.Run.Env["PROVIDER_ID"] = h.ProviderID
	}
	if h.Role == config.ControlPlane && s.several() {
		// The state shows with it whether the node has come back with its new size.
		step.Run.Env["INSTANCE_TYPE"] = pulumi.String(h.InstanceType)
	}
	if h.Role == config.Worker {
		// A refresh can take a machine out of the state. The step of the old machine is then deleted after the new
		// one has joined.
		step.Delete = &Script{Name: "node-delete", Env: map[string]pulumi.StringInput{"PROVIDER_ID": h.ProviderID}}
		// The delete waits for its turn, for a node that left before, and for disruption budgets.
		step.DeleteMinutes = 90
		// For another machine with this name, the node of the old one is drained and deleted before the new one
		// joins.
		step.Triggers = pulumi.Array{h.ProviderID}
	}
	return step
}

// drain takes a node out of service before its release changes. The step node returns a worker, and join a control
// plane.
func (s steps) drain(h, controlPlane Host) Step {
	return Step{
		Name: "drain", Node: h.Name, Minutes: 35,
		Run: Script{Name: "node-drain", Env: map[string]pulumi.StringInput{
			"KUBERNETES_VERSION": pulumi.String(s.release.Version),
			// A snapshot does not know that the node was drained after it.
			"CONTROL_PLANE": controlPlane.ProviderID,
		}},
	}
}

// upgradeEnv returns the settings with which upgrade.sh moves a node to the release, and the paths of that script and
// of kubelet.sh.
func (s steps) upgradeEnv() map[string]pulumi.StringInput {
	// The configuration consists of maps, lists and text, so rendering cannot fail.
	text, _ := renderYAML(upgradeConfig(s.cfg, s.release))
	return map[string]pulumi.StringInput{
		"KUBELET":        pulumi.String(s.scripts.path("kubelet")),
		"UPGRADE":        pulumi.String(s.scripts.path("upgrade")),
		"UPGRADE_CONFIG": pulumi.String(text),
	}
}

// backup installs the timer that takes etcd snapshots. Its delete records that the cluster is destroyed on purpose.
func (s steps) backup(h Host) Step {
	env := s.backupEnv()
	// A replaced control plane has no timer yet.
	env["MACHINE"] = h.ProviderID
	env["BACKUP_SCHEDULE"] = pulumi.String(s.cfg.Backup.Calendar())
	return Step{
		Name: "backup", Node: h.Name, Minutes: 5,
		Run:    Script{Name: "backup", Env: env},
		Delete: &Script{Name: "backup-stop"},
	}
}

// backupEnv returns the settings with which etcd-snapshot.sh finds the bucket, and the path of the script.
func (s steps) backupEnv() map[string]pulumi.StringInput {
	return map[string]pulumi.StringInput{
		"ETCD_SNAPSHOT": pulumi.String(s.scripts.path("etcd-snapshot")),
		"BUCKET":        s.args.BackupBucket,
		"PREFIX":        pulumi.String(s.cfg.Cluster.Name + "/etcd"),
		"AWS_REGION":    pulumi.String(s.cfg.Region),
		"S3_ENDPOINT":   pulumi.String(s.cfg.S3Endpoint()),
	}
}

func (s steps) initConfig(h Host) pulumi.StringOutput {
	var issuer pulumi.StringInput = pulumi.String("")
	if s.args.Issuer != nil {
		issuer = s.args.Issuer.URL
	}
	inputs := []any{h.PrivateIP, h.ProviderID, issuer, s.args.PublicEndpoint}
	for _, san := range s.args.CertSANs {
		inputs = append(inputs, san)
	}
	return pulumi.All(inputs...).ApplyT(func(v []any) (string, error) {
		facts := controlPlaneFacts{node: s.facts(h, v[0].(string), v[1].(string)), endpoint: s.args.Endpoint,
			issuer: v[2].(string), keys: s.pki.tokenKeys}
		for _, san := range append([]any{s.args.Endpoint, v[0]}, v[3:]...) {
			if !slices.Contains(facts.certSANs, san.(string)) {
				facts.certSANs = append(facts.certSANs, san.(string))
			}
		}
		return initConfig(s.cfg, s.release, facts)
	}).(pulumi.StringOutput)
}

func (s steps) joinConfig(h Host) pulumi.StringOutput {
	return pulumi.All(h.PrivateIP, h.ProviderID).ApplyT(func(v []any) (string, error) {
		return joinConfig(s.cfg, s.facts(h, v[0].(string), v[1].(string)))
	}).(pulumi.StringOutput)
}

func (s steps) coreDNS() string {
	var nodes []config.Node
	for _, h := range s.args.Hosts {
		nodes = append(nodes, h.Node)
	}
	return coreDNSPatch(nodes)
}

// flagLines returns the flags of the settings, each with the component that gets it.
func flagLines(k config.Kubernetes) string {
	var b strings.Builder
	for _, c := range []struct {
		component string
		flags     map[string]string
	}{{"kube-apiserver", k.APIServer}, {"kube-controller-manager", k.ControllerManager}, {"kube-scheduler", k.Scheduler}} {
		for _, name := range slices.Sorted(maps.Keys(c.flags)) {
			fmt.Fprintf(&b, "%s --%s=%s\n", c.component, name, c.flags[name])
		}
	}
	return b.String()
}

func (s steps) facts(h Host, privateIP, providerID string) nodeFacts {
	return nodeFacts{Node: h.Node, privateIP: privateIP, providerID: providerID, region: s.cfg.Region, zone: h.Zone}
}

func (s steps) kubeletDigest() string {
	text, err := renderYAML(kubeletConfig(s.cfg))
	if err != nil {
		// initConfig renders the same settings and reports the error.
		return ""
	}
	return digest(text)[:16]
}

func labelLines(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "%s=%s\n", k, labels[k])
	}
	return b.String()
}

func taintLines(taints []config.Taint) string {
	lines := make([]string, len(taints))
	for i, t := range taints {
		lines[i] = fmt.Sprintf("%s=%s:%s\n", t.Key, t.Value, t.Effect)
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// addressesOf returns the private addresses of hosts, separated by blanks.
func addressesOf(hosts []Host) pulumi.StringOutput {
	all := make([]any, len(hosts))
	for i, h := range hosts {
		all[i] = h.PrivateIP
	}
	return pulumi.All(all...).ApplyT(spaced[any]).(pulumi.StringOutput)
}

// spaced returns a list with blanks between its items.
func spaced[T any](list []T) string { return strings.Trim(fmt.Sprint(list), "[]") }

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return strings.TrimSuffix(value, "/")
}
