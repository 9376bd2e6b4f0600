// Package schematest checks the golden files of package cluster with the types and the rules of Kubernetes.
package schematest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/apis/apiserver"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	apiservervalidation "k8s.io/apiserver/pkg/apis/apiserver/validation"
	auditpolicy "k8s.io/apiserver/pkg/audit/policy"
	clientcmd "k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/version"
	kubeletconfig "k8s.io/kubelet/config/v1beta1"
	"k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	kubeadmv1beta4 "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/v1beta4"
	"k8s.io/kubernetes/cmd/kubeadm/app/componentconfigs"
	"k8s.io/kubernetes/cmd/kubeadm/app/constants"
	kubeadmutil "k8s.io/kubernetes/cmd/kubeadm/app/util"
	kubeadmconfig "k8s.io/kubernetes/cmd/kubeadm/app/util/config"
	"k8s.io/kubernetes/cmd/kubeadm/app/util/config/strict"

	kubeadmscheme "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/scheme"
)

const testdata = "../testdata"

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldens(t *testing.T, pattern string, least int) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testdata, pattern))
	if err != nil || len(files) < least {
		t.Fatalf("%d files match %s, %v", len(files), pattern, err)
	}
	for i, f := range files {
		files[i], _ = filepath.Rel(testdata, f)
	}
	return files
}

var (
	documentSeparator = regexp.MustCompile(`(?m)^---\n`)
	apiVersionLine    = regexp.MustCompile(`(?m)^apiVersion: (.+)$`)
	kindLine          = regexp.MustCompile(`(?m)^kind: (.+)$`)
)

func documents(t *testing.T, text []byte) map[schema.GroupVersionKind][]byte {
	t.Helper()
	found := map[schema.GroupVersionKind][]byte{}
	for _, d := range documentSeparator.Split(string(text), -1) {
		gv, err := schema.ParseGroupVersion(apiVersionLine.FindStringSubmatch(d)[1])
		if err != nil {
			t.Fatal(err)
		}
		found[gv.WithKind(kindLine.FindStringSubmatch(d)[1])] = []byte(d)
	}
	return found
}

// kubeadm only warns about an unknown field.
func TestKubeadmFilesHaveNoUnknownField(t *testing.T) {
	for _, file := range goldens(t, "kubeadm/*.yaml", 5) {
		t.Run(file, func(t *testing.T) {
			for gvk, text := range documents(t, read(t, file)) {
				if err := strict.VerifyUnmarshalStrict([]*runtime.Scheme{kubeadmscheme.Scheme, componentconfigs.Scheme}, gvk,
					text); err != nil {
					t.Errorf("%s: %v", gvk.Kind, err)
				}
			}
		})
	}
}

func TestUnknownFieldsAreFound(t *testing.T) {
	gvk := kubeadmv1beta4.SchemeGroupVersion.WithKind("JoinConfiguration")
	text := append(documents(t, read(t, "kubeadm/join.yaml"))[gvk], "nodeRegistraton: {}\n"...)
	if err := strict.VerifyUnmarshalStrict([]*runtime.Scheme{kubeadmscheme.Scheme}, gvk, text); err == nil {
		t.Error("a misspelt field was accepted")
	}
}

func TestInitIsValidForKubeadm(t *testing.T) {
	for _, file := range goldens(t, "kubeadm/init*.yaml", 3) {
		t.Run(file, func(t *testing.T) {
			cfg, err := kubeadmconfig.BytesToInitConfiguration(read(t, file), true)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.ControlPlaneEndpoint != "api.dev.internal:6443" ||
				cfg.EncryptionAlgorithmType() != kubeadm.EncryptionAlgorithmECDSAP256 {
				t.Errorf("endpoint %q, algorithm %q", cfg.ControlPlaneEndpoint, cfg.EncryptionAlgorithmType())
			}
			for _, arg := range cfg.APIServer.ExtraArgs {
				if arg.Name == "cloud-provider" {
					t.Error("the API server ends with --cloud-provider since 1.33")
				}
			}
			for component, args := range map[string][]kubeadm.Arg{"controller manager": cfg.ControllerManager.ExtraArgs,
				"kubelet": cfg.NodeRegistration.KubeletExtraArgs} {
				if !slices.Contains(args, kubeadm.Arg{Name: "cloud-provider", Value: "external"}) {
					t.Errorf("the %s does not have --cloud-provider=external", component)
				}
			}
			if len(cfg.ComponentConfigs) == 0 {
				t.Error("no component configuration was read")
			}
		})
	}
}

// The first issuer signs. kubeadm writes its own flags too, and has sorted repeated ones in some releases.
func TestTheStacksIssuerComesFirst(t *testing.T) {
	cfg, err := kubeadmconfig.BytesToInitConfiguration(read(t, "kubeadm/init-identity.yaml"), true)
	if err != nil {
		t.Fatal(err)
	}
	const kubeadms = "https://kubernetes.default.svc.cluster.local"
	base := []kubeadm.Arg{{Name: "service-account-issuer", Value: kubeadms}}
	var issuers []string
	for _, flag := range kubeadmutil.ArgumentsToCommand(base, cfg.APIServer.ExtraArgs) {
		if issuer, ok := strings.CutPrefix(flag, "--service-account-issuer="); ok {
			issuers = append(issuers, issuer)
		}
	}
	// Its name sorts after kubeadm's, so that sorting is seen.
	want := []string{"https://oidc.example.com", kubeadms}
	if !slices.Equal(issuers, want) {
		t.Errorf("issuers %v, want %v", issuers, want)
	}
}

func TestJoinIsValidForKubeadm(t *testing.T) {
	for _, file := range goldens(t, "kubeadm/join*.yaml", 2) {
		t.Run(file, func(t *testing.T) {
			// The file that discovery refers to exists only on a host.
			text := strings.ReplaceAll(string(read(t, file)), "/run/kubeadm-aws/discovery.conf", absolute(t, "kubeconfig.yaml"))
			path := filepath.Join(t.TempDir(), "join.yaml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := kubeadmconfig.LoadJoinConfigurationFromFile(path,
				kubeadmconfig.LoadOrDefaultConfigurationOptions{SkipCRIDetect: true})
			if err != nil {
				t.Fatal(err)
			}
			if len(cfg.NodeRegistration.Taints) != 1 || cfg.NodeRegistration.Taints[0].Key != "kubeadm-aws/unconfigured" {
				t.Errorf("a worker registers with the taints %v", cfg.NodeRegistration.Taints)
			}
		})
	}
}

// kubeadm takes defaults for what the configuration does not have: certificates are renewed and images pulled.
func TestUpgradeIsValidForKubeadm(t *testing.T) {
	cfg, err := kubeadmconfig.BytesToUpgradeConfiguration(read(t, "kubeadm/upgrade.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	apply, node := cfg.Apply, cfg.Node
	if !strings.HasPrefix(apply.KubernetesVersion, "v1.") || *apply.EtcdUpgrade || *node.EtcdUpgrade {
		t.Errorf("version %q, etcd with the rest: %v %v", apply.KubernetesVersion, *apply.EtcdUpgrade, *node.EtcdUpgrade)
	}
	if !*apply.CertificateRenewal || apply.ImagePullPolicy != "IfNotPresent" || len(apply.IgnorePreflightErrors) == 0 ||
		len(node.IgnorePreflightErrors) == 0 {
		t.Errorf("apply %+v, node %+v", apply, node)
	}
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(testdata, name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUserSettingsReachTheKubelet(t *testing.T) {
	gvk := kubeletconfig.SchemeGroupVersion.WithKind("KubeletConfiguration")
	var cfg kubeletconfig.KubeletConfiguration
	if err := runtime.DecodeInto(componentconfigs.Codecs.UniversalDeserializer(),
		documents(t, read(t, "kubeadm/init-extended.yaml"))[gvk], &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.MaxPods != 60 || cfg.FailCgroupV1 == nil || *cfg.FailCgroupV1 {
		t.Errorf("maxPods %d, failCgroupV1 %v", cfg.MaxPods, cfg.FailCgroupV1)
	}
	if cfg.SystemReserved["memory"] != "1Gi" || cfg.SystemReserved["cpu"] != "100m" {
		t.Errorf("systemReserved %v: one key is the user's, the other the program's", cfg.SystemReserved)
	}
}

func TestEncryptionConfigurationIsValid(t *testing.T) {
	scheme := runtime.NewScheme()
	utilruntime.Must(apiserver.AddToScheme(scheme))
	utilruntime.Must(apiserverv1.AddToScheme(scheme))
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder(apiserver.SchemeGroupVersion)
	obj, err := runtime.Decode(decoder, read(t, "apiserver/encryption.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := obj.(*apiserver.EncryptionConfiguration)
	if errs := apiservervalidation.ValidateEncryptionConfiguration(cfg, true); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
	providers := cfg.Resources[0].Providers
	if providers[0].Secretbox == nil || providers[len(providers)-1].Identity == nil {
		t.Error("the first provider encrypts, the last one reads plain text")
	}
}

func TestAuditPolicyIsValid(t *testing.T) {
	if _, err := auditpolicy.LoadPolicyFromBytes(read(t, "apiserver/audit-policy.yaml")); err != nil {
		t.Error(err)
	}
}

func TestKubeconfigIsValid(t *testing.T) {
	cfg, err := clientcmd.Load(read(t, "kubeconfig.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.Validate(*cfg); err != nil {
		t.Error(err)
	}
	if server := cfg.Clusters[cfg.Contexts[cfg.CurrentContext].Cluster].Server; server != "https://203.0.113.7:6443" {
		t.Errorf("server %q", server)
	}
}

// prepare.sh pulls exactly the images that this kubeadm uses.
func TestImagesAreKubeadms(t *testing.T) {
	images := string(read(t, "images-control-plane-"+version.DefaultKubeBinaryVersion+".txt"))
	for _, want := range []string{
		"/pause:" + constants.PauseVersion,
		"/etcd:" + constants.DefaultEtcdVersion,
		"/coredns/coredns:" + constants.CoreDNSVersion,
	} {
		if !strings.Contains(images, want+"\n") {
			t.Errorf("kubeadm asks for %s; pulled ahead are\n%s", want, images)
		}
	}
}
