// Package schematest compares the tables in package config with the types, flags and checks of Kubernetes itself.
package schematest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // its flags are in the real binaries too
	metricsfeatures "k8s.io/component-base/metrics/features"
	"k8s.io/component-base/version"
	kubeproxyv1alpha1 "k8s.io/kube-proxy/config/v1alpha1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

var update = flag.Bool("update", false, "write the table instead of comparing it")

func init() {
	// The real programs add these gates when they start.
	gates := utilfeature.DefaultMutableFeatureGate
	if err := errors.Join(logsapi.AddFeatureGates(gates), metricsfeatures.AddFeatureGates(gates)); err != nil {
		panic(err)
	}
}

// TestTable compares ../kubernetes-<minor>.txt with the release that the module file requires.
func TestTable(t *testing.T) {
	got := table(t)
	path := filepath.Join("..", "kubernetes-"+version.DefaultKubeBinaryVersion+".txt")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from the real types and flags; run this test with -update and read the diff", path)
	}
}

// table returns one line for each field, flag, feature gate and admission plugin: the kind, the name and the type.
func table(t *testing.T) []byte {
	t.Helper()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	fields("kubelet", "", reflect.TypeFor[kubeletv1beta1.KubeletConfiguration](), add)
	fields("kubeProxy", "", reflect.TypeFor[kubeproxyv1alpha1.KubeProxyConfiguration](), add)
	server := apiserver.NewServerRunOptions()
	flags("apiServer", server.Flags(), add)
	manager, err := controllermanager.NewKubeControllerManagerOptions()
	if err != nil {
		t.Fatal(err)
	}
	flags("controllerManager", manager.Flags(nil, nil, nil), add)
	flags("scheduler", *scheduler.NewOptions().Flags, add)
	for _, name := range server.Admission.GenericAdmission.Plugins.Registered() {
		add("admission %s plugin", name)
	}
	for name, spec := range utilfeature.DefaultMutableFeatureGate.GetAll() {
		kind := "gate"
		if spec.LockToDefault {
			kind = fmt.Sprintf("locked=%v", spec.Default)
		}
		if name != "AllAlpha" && name != "AllBeta" {
			add("gate %s %s", name, kind)
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n") + "\n")
}

// fields adds the fields of a configuration type, including those of nested objects. A list of objects is written
// name[].
func fields(kind, prefix string, t reflect.Type, add func(string, ...any)) {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || f.Anonymous && name != "" {
			continue
		}
		if len(f.Index) > 1 && reflect.DeepEqual(f.Type, reflect.TypeFor[metav1.TypeMeta]()) {
			continue
		}
		typ := f.Type
		path := prefix + name
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ.Kind() == reflect.Slice && object(typ.Elem()):
			add("%s %s list", kind, path)
			fields(kind, path+"[].", typ.Elem(), add)
		case object(typ):
			add("%s %s object", kind, path)
			fields(kind, path+".", typ, add)
		default:
			add("%s %s %s", kind, path, typeName(typ))
		}
	}
}

// object reports whether a type is written as a mapping with fixed keys.
func object(t reflect.Type) bool { return t.Kind() == reflect.Struct && typeName(t) == "" }

// typeName returns the type as it is written in YAML. It is empty for a mapping with fixed keys.
func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[metav1.Duration]():
		return "duration"
	case reflect.TypeFor[time.Duration]():
		return "nanoseconds"
	case reflect.TypeFor[resource.Quantity](), reflect.TypeFor[resource.QuantityValue]():
		return "quantity"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Map:
		return "map:" + typeName(t.Elem())
	case reflect.Struct:
		if t.PkgPath() == "k8s.io/component-base/logs/api/v1" && t.Name() == "TimeOrMetaDuration" {
			return "duration|nanoseconds"
		}
		return ""
	}
	return t.Kind().String()
}

// flags adds the flags of a component with the type that pflag prints. Deprecated and hidden flags are included.
func flags(kind string, sets cliflag.NamedFlagSets, add func(string, ...any)) {
	seen := map[string]bool{}
	for _, set := range sets.FlagSets {
		set.VisitAll(func(f *pflag.Flag) {
			if seen[f.Name] {
				return
			}
			seen[f.Name] = true
			add("%s %s %s", kind, f.Name, strings.ReplaceAll(f.Value.Type(), " ", ""))
		})
	}
}
