package schematest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	cliflag "k8s.io/component-base/cli/flag"
	componentbase "k8s.io/component-base/config"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletscheme "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	kubeletvalidation "k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	proxyconfig "k8s.io/kubernetes/pkg/proxy/apis/config"
	proxyscheme "k8s.io/kubernetes/pkg/proxy/apis/config/scheme"
	proxyvalidation "k8s.io/kubernetes/pkg/proxy/apis/config/validation"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"sigs.k8s.io/yaml"
)

// TestCases checks the cases of package config with the types, flags and checks of Kubernetes.
func TestCases(t *testing.T) {
	text, err := os.ReadFile("../testdata/kubernetes-cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	key := signingKey(t)
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' {
			continue
		}
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		var setting map[string]any
		if err := yaml.Unmarshal([]byte(words[2]), &setting); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if err := play(words[0], setting, key); (err == nil) != (words[1] == "ok") {
			t.Errorf("%sKubernetes says: %v", line, err)
		}
	}
}

// play gives a setting to its component.
func play(kind string, setting map[string]any, key string) error {
	switch kind {
	case "kubelet":
		return kubelet(setting)
	case "kubeProxy":
		return kubeProxy(setting)
	case "apiServer":
		return apiServer(setting, key)
	case "controllerManager":
		return controllerManager(setting)
	case "scheduler":
		return schedulerFlags(setting)
	}
	return fmt.Errorf("no component %s", kind)
}

// TestAcceptedSettings checks that Kubernetes refuses none of the settings that package config accepts for this
// release. The file has a value of each kind for every field and flag.
func TestAcceptedSettings(t *testing.T) {
	text, err := os.ReadFile("../testdata/kubernetes-accepted-" + version.DefaultKubeBinaryVersion + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	key := signingKey(t)
	for line := range strings.Lines(string(text)) {
		kind, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(value, "singleProcessOOMKill") {
			continue // depends on the version of cgroups of the machine
		}
		var setting map[string]any
		if err := yaml.Unmarshal([]byte(value), &setting); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if err := play(kind, setting, key); err != nil {
			t.Errorf("%sKubernetes says: %v", line, err)
		}
	}
}

// rendered returns a document of the golden file of package cluster with the user's fields merged over it.
func rendered(kind string, setting map[string]any) ([]byte, error) {
	text, err := os.ReadFile("../../cluster/testdata/kubeadm/init-" + version.DefaultKubeBinaryVersion + ".yaml")
	if err != nil {
		return nil, err
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return nil, err
		}
		if object["kind"] == kind {
			merge(object, setting)
			return yaml.Marshal(object)
		}
	}
	return nil, fmt.Errorf("no document of kind %s", kind)
}

func merge(into, over map[string]any) {
	for key, value := range over {
		below, ok := value.(map[string]any)
		if own, isMap := into[key].(map[string]any); ok && isMap {
			merge(own, below)
			continue
		}
		into[key] = value
	}
}

// kubelet decodes strictly, fills in the defaults and validates, as the kubelet does when it starts.
func kubelet(setting map[string]any) (err error) {
	defer func() { // the kubelet panics at an unknown feature gate
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	// The machine of the test may use version 1 of cgroups, which the nodes never do.
	merge(setting, map[string]any{"failCgroupV1": false})
	text, err := rendered("KubeletConfiguration", setting)
	if err != nil {
		return err
	}
	_, codecs, err := kubeletscheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		return err
	}
	object, err := runtime.Decode(codecs.UniversalDecoder(), text)
	if err != nil {
		return err
	}
	return kubeletvalidation.ValidateKubeletConfiguration(object.(*config.KubeletConfiguration),
		utilfeature.DefaultFeatureGate)
}

// kubeProxy does the same for kube-proxy.
func kubeProxy(setting map[string]any) error {
	text, err := rendered("KubeProxyConfiguration", setting)
	if err != nil {
		return err
	}
	decoder := serializer.NewCodecFactory(proxyscheme.Scheme, serializer.EnableStrict).UniversalDecoder()
	object, err := runtime.Decode(decoder, text)
	if err != nil {
		return err
	}
	return proxyvalidation.Validate(object.(*proxyconfig.KubeProxyConfiguration)).ToAggregate()
}

// parse passes the flags on as the command line does. Feature gates are tested on a copy, because the flag sets them
// for the whole process.
func parse(sets cliflag.NamedFlagSets, setting map[string]any, kubeadm ...string) error {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		all.AddFlagSet(set)
	}
	args := kubeadm
	for name, value := range setting {
		if name == "feature-gates" {
			if err := utilfeature.DefaultMutableFeatureGate.DeepCopy().Set(value.(string)); err != nil {
				return err
			}
			continue
		}
		args = append(args, fmt.Sprintf("--%s=%s", name, value))
	}
	return all.Parse(args)
}

// apiServer parses, completes and validates kubeadm's flags with the user's flags over them.
func apiServer(setting map[string]any, key string) error {
	options := apiserver.NewServerRunOptions()
	err := parse(options.Flags(), setting,
		"--advertise-address=10.0.1.10", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--etcd-servers=http://127.0.0.1:2379", "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+key, "--service-account-signing-key-file="+key,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--cert-dir="+filepath.Dir(key), "--audit-log-path="+filepath.Join(filepath.Dir(key), "audit.log"),
	)
	if err != nil {
		return err
	}
	if errs := logsapi.Validate(options.Logs, utilfeature.DefaultFeatureGate, nil); len(errs) > 0 {
		return errs.ToAggregate()
	}
	if _, err := cliflag.TLSCipherSuites(options.SecureServing.CipherSuites); err != nil {
		return err // the options read the names when they are applied
	}
	completed, err := options.Complete(context.Background())
	if err != nil {
		return err
	}
	return utilerrors.NewAggregate(completed.Validate())
}

func controllerManager(setting map[string]any) error {
	options, err := controllermanager.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	if err := parse(options.Flags(nil, nil, nil), setting,
		"--kubeconfig=/etc/kubernetes/controller-manager.conf"); err != nil {
		return err
	}
	if errs := logsapi.Validate(options.Logs, utilfeature.DefaultFeatureGate, nil); len(errs) > 0 {
		return errs.ToAggregate()
	}
	return errors.Join(options.Validate(nil, nil, nil), leaderElection(options.Generic.LeaderElection))
}

func schedulerFlags(setting map[string]any) error {
	options := scheduler.NewOptions()
	if err := parse(*options.Flags, setting, "--kubeconfig=/etc/kubernetes/scheduler.conf"); err != nil {
		return err
	}
	var err error
	if options.ComponentConfig, err = latest.Default(); err != nil {
		return err
	}
	options.ApplyDeprecated()
	options.ApplyLeaderElectionTo(options.ComponentConfig)
	return errors.Join(append(options.Validate(), leaderElection(options.ComponentConfig.LeaderElection))...)
}

// leaderElection creates an elector as a component does when it starts.
func leaderElection(c componentbase.LeaderElectionConfiguration) error {
	if !c.LeaderElect {
		return nil
	}
	_, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:          &resourcelock.LeaseLock{LockConfig: resourcelock.ResourceLockConfig{Identity: "test"}},
		LeaseDuration: c.LeaseDuration.Duration, RenewDeadline: c.RenewDeadline.Duration, RetryPeriod: c.RetryPeriod.Duration,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) {}, OnStoppedLeading: func() {}},
	})
	return err
}

// signingKey writes a key for service account tokens.
func signingKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sa.key")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
