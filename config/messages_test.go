package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestExamplesFitTheValue checks that the example in a message is derived from the value that was written.
func TestExamplesFitTheValue(t *testing.T) {
	for text, want := range map[string]string{
		`backup: {keepBucket: "false"}`:          "false (without quotes)",
		`backup: {keepBucket: "yes"}`:            "true (without quotes)",
		"backup: {keepBucket: 0}":                "false (without quotes)",
		`addons: {redis: {enabled: "maybe"}}`:    "true or false (without quotes)",
		nodesWith(`{name: x, volumeSize: "60"}`): "60 (without quotes)",
		nodesWith(`{name: x, volumeSize: big}`):  "a number such as 40 (without quotes)",
		nodesWith("{name: x, volumeSize: 40.5}"): "40",
		"access: {adminCidrs: 203.0.113.0/24}":   `["203.0.113.0/24"]`,
		"registry: {repositories: [api]}":        "pulumi config rm kubeadm-aws:registry",
		"dns: {ingressHosts: 7}":                 `["7"]`,
		"nodes: master":                          "- key: value lines, one - for each",
		"nodes: {name: master}":                  "- before the first line of the mapping",
		"network: {podCidr: 10.96.0.0/16}":       "10.0.0.0/16 is taken: any but the refused one",
		"image: {generation: 20261124}":          `"20261124" in quotes, or by command: pulumi config set --path --type string 'kubeadm-aws:image.generation' 20261124`,
		`image: {generation: "\"20261124\""}`: "pulumi config set --path --type string " +
			"'kubeadm-aws:image.generation' 20261124",
		"cluster: {kubernetesVersion: 1.36}": `"1.36.3"`, "cluster: {cni: false}": "calico or none",
		"maintenance: {reboots: true, start: 22}": `"02:00"`, nodesWith("{name: 7}"): "worker-3",
		"access: {adminCidrs: [198.51.100.7/32, 10]}":           adminCommand(1),
		"kubernetes: {apiServer: {max-requests-inflight: 600}}": `"600" in quotes, or by command: pulumi config set --path --type string 'kubeadm-aws:kubernetes.apiServer.max-requests-inflight' 600`,
		"access: {adminCidrs: [198.51.100.7/32, 8.8.8.8]}":      "8.8.8.8/32",
		"access: {adminCidrs: [9.9.9.9/32, ten]}":               adminCommand(1),
		"access: {adminCidrs: [9.9.9.9/32, 127.0.0.0/8]}":       adminCommand(1),
		"access: {adminCidrs: [8.8.8.8/24]}":                    "8.8.8.0/24, or 8.8.8.8/32",
		"addons: {argocd: {repoUrl: /srv/git}}": "https://github.com/example/platform.git " +
			"or ssh://git@github.com/example/platform.git",
		"environment: prod\naccess: {adminCidrs: [9.9.9.9/32, 0.0.0.0/0]}":    adminCommand(1),
		"mirrors: {charts: {'https://charts.jetstak.io': 'https://m.ex.io'}}": "did you mean https://charts.jetstack.io?",
		"mirrors: {registries: {index.docker.io: 'https://m.ex.io'}}":         "docker.io: https://m.ex.io",
	} {
		_, err := loadText(t, "dev", text)
		faults := faultsOf(t, err)
		if strings.Contains(want, "any but the refused one") {
			if len(faults) != 1 || faults[0].Example == "10.96.0.0/16" {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if !slices.ContainsFunc(faults, func(f FieldError) bool { return f.Example == want }) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

// TestNoExampleIsTheRefusedValue checks the example of every case of TestRefused.
func TestNoExampleIsTheRefusedValue(t *testing.T) {
	for _, c := range refused {
		_, err := loadText(t, "dev", c.yaml)
		for _, f := range faultsOf(t, err) {
			if bare := strings.Trim(f.Value, `"`); bare != "" && (f.Example == bare || f.Example == f.Value) {
				t.Errorf("%s: %s", c.name, f.Error())
			}
		}
	}
}

// TestExamplesOfNumbers writes text and a fraction into each setting that is a number. The number in the message must
// be one that the setting takes.
func TestExamplesOfNumbers(t *testing.T) {
	number := regexp.MustCompile(`^(?:a number such as )?"?([0-9.]+)"?(?: \(without quotes\))?$`)
	follow := func(key string, at func(value string) string) {
		for _, wrong := range []string{`"lots"`, "0.5"} {
			_, err := loadText(t, "dev", at(wrong))
			fault := faultAt(faultsOf(t, err), key)
			found := number.FindStringSubmatch(fault.Example)
			if found == nil {
				t.Errorf("%s = %s: %s", key, wrong, fault.Error())
				continue
			}
			_, err = loadText(t, "dev", at(found[1]))
			if again := faultAt(faultsOf(t, err), key); again.Key != "" {
				t.Errorf("%s: the example %s is refused: %s", key, found[1], again.Error())
			}
		}
	}
	for _, key := range leaves() {
		if kindOf(key) == reflect.Int {
			follow(strings.Replace(key, "nodes[]", "nodes[3]", 1), func(value string) string {
				return strings.Replace(oneSetting(key, "lots"), `"lots"`, value, 1)
			})
		}
	}
	follow("nodes[3].zones[0]", func(value string) string { return nodesWith("{name: x, count: 2, zones: [" + value + "]}") })
	follow("kubernetes.kubelet.maxPods", func(value string) string {
		return "kubernetes: {kubelet: {maxPods: " + value + "}}"
	})
	for _, flag := range []string{"v", "goaway-chance", "max-requests-inflight"} {
		fault := faultOfFlag(t, flag, "lots")
		if found := number.FindStringSubmatch(fault.Example); found == nil || faultOfFlag(t, flag, found[1]).Key != "" {
			t.Errorf("the example of %s cannot be followed: %s", flag, fault.Error())
		}
	}
}

func faultOfFlag(t *testing.T, flag, value string) FieldError {
	_, err := loadText(t, "dev", fmt.Sprintf("kubernetes: {apiServer: {%s: '%s'}}", flag, value))
	return faultAt(faultsOf(t, err), "kubernetes.apiServer."+flag)
}

// faultAt returns the fault of a key, or an empty one.
func faultAt(faults Errors, key string) FieldError {
	for _, f := range faults {
		if f.Key == Namespace+":"+key {
			return f
		}
	}
	return FieldError{}
}

// TestMessagesShowEveryCharacter checks that a message shows characters that a terminal does not.
func TestMessagesShowEveryCharacter(t *testing.T) {
	for text, want := range map[string]string{
		`cluster: {name: "a\u200bb"}`: `"a\u200bb"`, `backup: {restoreFrom: "\u202elatest"}`: `"\u202elatest"`,
		`kubernetes: {kubelet: {allowedUnsafeSysctls: "a\0"}}`: `[a\x00]`, "dns: {domain: 자료}": `"자료"`,
	} {
		_, err := loadText(t, "dev", text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: no %s in %v", text, want, err)
		}
	}
}

// TestFreeRangeIsFree checks that the offered range has the requested size and overlaps none of the used ones.
func TestFreeRangeIsFree(t *testing.T) {
	for _, c := range [][]string{
		{"10.96.0.0/16", "10.0.0.0/16", "10.96.0.0/16"}, {"10.0.0.0/8", "10.0.0.0/16"},
		{"10.0.0.0/12", "10.0.0.0/8", "172.16.0.0/16"},
		{"192.168.0.0/22", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/18"}, {"10.0.0.0/16", "10.0.0.0/14"},
	} {
		wanted := netip.MustParsePrefix(c[0])
		var taken []netip.Prefix
		for _, text := range c[1:] {
			taken = append(taken, netip.MustParsePrefix(text))
		}
		got, err := netip.ParsePrefix(freeRange(wanted, taken))
		if err != nil || ownRangeFault(got) != "" || slices.ContainsFunc(taken, got.Overlaps) {
			t.Errorf("%v: got %v, %v", c, got, err)
		}
	}
}

// TestMessagesHideSecretsInURLs sets a password and a token in every setting that takes a URL.
func TestMessagesHideSecretsInURLs(t *testing.T) {
	for _, url := range []string{
		"https://user:s3cret@m.example.com", "https://s3cret@m.example.com/x", "user:s3cret@m.example.com",
		"https://m.example.com/x?token=s3cret",
		"https://user:s3cret" + strings.Repeat("x", 150) + "@m.example.com", "ssh://git:s3cret@m.example.com/x",
		"https://user:a/s3cret@m.example.com",
	} {
		for _, text := range []string{
			"mirrors: {kubernetesApt: '%s'}", "mirrors: {containerdApt: '%s'}", "mirrors: {etcd: '%s'}",
			"mirrors: {s3Endpoint: '%s'}",
			"mirrors: {registries: {quay.io: '%s'}}", "mirrors: {registries: {'%s': 'https://m.example.com'}}",
			"mirrors: {charts: {'https://charts.jetstack.io': '%s'}}", "mirrors: {charts: {'%s': 'https://m.example.com'}}",
			"addons: {argocd: {repoUrl: '%s'}}", "addons: {acme: {server: '%s'}}", "mirrors: {registries: '%s'}",
			"cluster: {name: '%s'}",
		} {
			_, err := loadText(t, "dev", fmt.Sprintf(text, url))
			if err == nil {
				t.Errorf(text+" is accepted", url)
			} else if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the secret is shown: %v", err)
			}
		}
	}
	_, err := loadText(t, "dev", "addons: {redis: {values: {'': 1, password: s3cret}}, monitoring: {values: [s3cret]}}")
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Helm values are shown: %v", err)
	}
}

// TestMessagesHideMisplacedSecrets writes a credential where the program does not read one.
func TestMessagesHideMisplacedSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"addons: {grafanaPassword: s3cret}": secretCommand("grafanaPassword"),

		"addons: {redis: {password: s3cret}}": "addons.redis.password",

		"addons: {redis: {maxMemoryMib: 256, passwords: 777}}": "did you mean maxMemoryMiB?",

		"addons: {argocd: {token: s3cret}}": "addons.argocd.token",

		"addons: {argocd: {githubApp: {id: 3, key: s3cret}}}": "githubApp.key",

		"addons: [{argocd: {repoToken: s3cret}}]": "[secret]",

		"notifications: {url: 'https://hooks.example.com/s3cret'}": "notifications.url",

		"notifications: {receiver: 'https://hooks.example.com/s3cret'}": secretCommand(NotificationsURL),

		"notifications: {receiver: email, email: {pass: s3cret}}": "email.pass",

		"mirrors: {passwords: {quay.io: s3cret}}": "mirrors.passwords",

		"mirrors: {registries: {quay.io: {url: 'https://m.example.com', username: 'a:s3cret', password: a}}}": "no colon",

		`{"aws:assumeRole": {secretKey: s3cret}}`: "secretKey",
	} {
		_, err := loadText(t, "dev", text)
		switch {
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%s: no %q in %v", text, want, err)
		case strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "777"):
			t.Errorf("%s: the secret is shown: %v", text, err)
		}
	}
}

// harmless are settings whose text may contain every character, because only their own validated format reads them.
var harmless = []string{"kubernetes.containerd"}

// TestTextKeepsOutOfShells puts the special characters of shell, TOML and YAML into every text setting.
func TestTextKeepsOutOfShells(t *testing.T) {
	valid := map[string]string{
		"mirrors.kubernetesApt": "https://m.example.com/a%sb", "mirrors.containerdApt": "https://m.example.com/a%sb",
		"mirrors.etcd": "https://m.example.com/a%sb", "mirrors.s3Endpoint": "https://m.example.com/a%sb",
		"addons.argocd.repoUrl": "https://m.example.com/a%sb", "addons.acme.server": "https://m.example.com/a%sb",
		"addons.acme.email": "a%sb@example.com", "backup.restoreFrom": "platform/a%sb.db", "cluster.dnsDomain": "a%sb.local",
	}
	for _, key := range leaves() {
		if kind := kindOf(key); kind != reflect.String || slices.Contains(harmless, key) {
			continue
		}
		form := valid[key]
		if form == "" {
			form = "a%sb"
		}
		for _, hostile := range []string{"'", `"`, "$", "`", `\`, "\n", "\r", "\x00", "\x1b", "{", "}", "<", ">", ";", "|",
			"$(id)", "é\u2028"} {
			text := oneSetting(key, fmt.Sprintf(form, hostile))
			if _, err := loadText(t, "dev", text); err == nil {
				t.Errorf("%s takes %q", key, hostile)
			}
		}
	}
}

// kindOf returns the kind of the setting at a key, in the notation of leaves.
func kindOf(key string) reflect.Kind {
	t := reflect.TypeFor[Config]()
	for _, name := range strings.Split(key, ".") {
		name, list := strings.CutSuffix(name, "[]")
		t = t.FieldByIndex(fieldsOf(t)[name]).Type
		if list {
			t = t.Elem()
		}
	}
	return t.Kind()
}

// oneSetting returns YAML that sets one text. For a node's setting it contains a whole list of nodes.
func oneSetting(key, value string) string {
	if field, ok := strings.CutPrefix(key, "nodes[]."); ok {
		node := map[string]any{"name": "x"}
		if inner, ok := strings.CutPrefix(field, "taints[]."); ok {
			taint := map[string]any{"key": "a", "effect": "NoSchedule"}
			taint[inner] = value
			node["taints"] = []any{taint}
		} else {
			node[field] = value
		}
		text, err := json.Marshal(node)
		if err != nil {
			panic(err)
		}
		return nodesWith(string(text))
	}
	if field, ok := strings.CutPrefix(key, "identity.serviceAccounts[]."); ok {
		account := map[string]any{"namespace": "apps", "name": "api", "policy": "arn:aws:iam::123456789012:policy/api"}
		account[field] = value
		text, err := json.Marshal(map[string]any{"enabled": true, "serviceAccounts": []any{account}})
		if err != nil {
			panic(err)
		}
		return "identity: " + string(text)
	}
	parts := strings.Split(key, ".")
	text := fmt.Sprintf("%q", value)
	for _, name := range slices.Backward(parts) {
		text = fmt.Sprintf("{%s: %s}", name, text)
	}
	return text
}
