package cluster

import (
	"encoding/base64"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// hostile is text with special characters of shell, TOML and YAML. Validation refuses most of it, but rendering does
// not rely on that.
const hostile = "a'b\"c $(touch ran) `touch ran` ${HOME} \\ # : {} [x] ü\n- line; touch ran & | > <"

// fill sets every text in a value to hostile text, at any depth.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Interface:
		v.Set(reflect.ValueOf(hostile))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		item := reflect.New(v.Type().Elem()).Elem()
		fill(item)
		v.SetMapIndex(reflect.ValueOf("key"), item)
	}
}

// hostileSettings returns settings with hostile text in every field. Exceptions are the version, which selects a
// release, and the TOML, which is appended unchanged.
func hostileSettings() *config.Config {
	cfg := &config.Config{}
	fill(reflect.ValueOf(cfg).Elem())
	cfg.Cluster.KubernetesVersion = "1.36.3"
	cfg.Kubernetes.Containerd = ""
	return cfg
}

// words returns how a real shell splits a command. It runs in an empty folder, in which no file may appear.
func words(t *testing.T, command string) []string {
	t.Helper()
	cmd := exec.Command("bash", "-c", "sudo() { printf '%s\\0' \"$@\"; }\n"+command+"\n[ -z \"$(ls)\" ] || echo ran")
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

var setting = regexp.MustCompile(`(?s)^[A-Z][A-Z0-9_]*=`)

func TestHostileTextStaysTextInCommands(t *testing.T) {
	r := deploy(t, func(a *Args) {
		hosts := a.Hosts
		a.Config = hostileSettings()
		for i := range hosts {
			hosts[i].InstanceType = hostile
			hosts[i].Labels = map[string]string{"key": hostile}
			hosts[i].Taints = []config.Taint{{Key: hostile, Value: hostile, Effect: hostile}}
		}
	})
	values := map[string]string{}
	for name, args := range r.commands() {
		got := words(t, text(t, args, "create"))
		if got[0] != "env" {
			t.Fatalf("%s runs %q", name, got[0])
		}
		n := 1
		for ; n < len(got) && setting.MatchString(got[n]); n++ {
			key, value, _ := strings.Cut(got[n], "=")
			values[name+" "+key] = value
		}
		if n+2 >= len(got) || got[n] != "bash" || !strings.HasPrefix(got[len(got)-1], stepline.ScriptDir) {
			t.Errorf("%s: behind its settings comes %.80q", name, strings.Join(got[n:], " "))
		}
	}
	for key, want := range map[string]string{
		"etcd-backup S3_ENDPOINT":           hostile,
		"etcd-backup PREFIX":                hostile + "/etcd",
		"master-prepare KUBERNETES_APT":     hostile,
		"master-prepare ETCD_RELEASES":      hostile,
		"worker-1-prepare CONTAINERD_APT":   hostile,
		"worker-1-prepare REGISTRY_MIRRORS": "key " + hostile + "\n",
		"worker-1-node LABELS":              "key=" + hostile + "\n",
		"master-init RESTORE_FROM":          hostile,
	} {
		if values[key] != want {
			t.Errorf("%s is %q, want %q", key, values[key], want)
		}
	}
	var documents []object
	decoder := yaml.NewDecoder(strings.NewReader(values["master-init KUBEADM_CONFIG"]))
	for {
		var d object
		if err := decoder.Decode(&d); err != nil {
			break
		}
		documents = append(documents, d)
	}
	if len(documents) != 4 || documents[1]["clusterName"] != hostile || documents[2]["key"] != hostile {
		t.Errorf("kubeadm reads %v", documents)
	}
}

func TestHostileTextStaysTextInHostsFiles(t *testing.T) {
	mirrors := hostileSettings().Mirrors.Registries
	files, err := registryFiles(mirrors)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Host map[string]struct {
			CA     string
			Header map[string]string
		}
	}
	if _, err := toml.Decode(files["key/hosts.toml"], &read); err != nil {
		t.Fatal(err)
	}
	entry, ok := read.Host[hostile+"/v2"]
	if !ok || len(read.Host) != 1 || entry.CA != certsDir+"/key/ca.crt" || files["key/ca.crt"] != hostile {
		t.Errorf("containerd reads %v", read)
	}
	login, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(entry.Header["Authorization"], "Basic "))
	if err != nil || string(login) != hostile+":"+hostile {
		t.Errorf("the login is %q, %v", login, err)
	}
}

// backup.sh writes a file that etcd-snapshot.sh sources as root.
func TestHostileTextStaysTextInTheBackupSettings(t *testing.T) {
	h := newScriptHost(t)
	h.stub("systemctl", "")
	h.stub("systemd-analyze", "")
	keys := []string{"BUCKET", "PREFIX", "AWS_REGION", "S3_ENDPOINT", "NODE"}
	h.env = map[string]string{"BACKUP_SCHEDULE": "hourly", "ETCD_SNAPSHOT": h.file("etcd-snapshot.sh", "#!/bin/sh")}
	for _, key := range keys {
		h.env[key] = key + hostile
	}
	if o := h.run("backup.sh", ""); o.code != 0 {
		t.Fatal(o.stderr)
	}
	cmd := exec.Command("bash", "-c", `. "$1"; shift; for v; do printf '%s\0' "${!v}"; done; ls`,
		"bash", h.at("/etc/kubernetes/etcd-backup.env"), "BUCKET", "PREFIX", "AWS_REGION", "S3_ENDPOINT", "NODE")
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, key := range keys {
		want = append(want, key+hostile)
	}
	if got := strings.Split(string(out), "\x00"); !slices.Equal(got, append(want, "")) {
		t.Errorf("the snapshot reads %q", got)
	}
}
