package addons

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/internal/testenv"
)

const definitionOfRabbitMQ = "definition-rabbitmqclusters.rabbitmq.com"

// withoutDescriptions removes the descriptions from a definition. A property with the name description stays.
func withoutDescriptions(node any, isProperties bool) any {
	switch node := node.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, value := range node {
			if key != "description" || isProperties {
				kept[key] = withoutDescriptions(value, key == "properties" && !isProperties)
			}
		}
		return kept
	case []any:
		kept := make([]any, 0, len(node))
		for _, item := range node {
			kept = append(kept, withoutDescriptions(item, false))
		}
		return kept
	}
	return node
}

// The definition that the program installs equals the operator's own, at the version that the chart runs.
func TestDefinitionIsTheOperatorsOwn(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(sourceOf(t, clusterOperator), "config", "crd", "bases",
		"rabbitmq.com_rabbitmqclusters.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var upstream map[string]any
	if err := yaml.Unmarshal(text, &upstream); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	want.WriteString("# RabbitmqCluster as github.com/rabbitmq/cluster-operator defines it (Copyright VMware, " +
		"MPL-2.0), without descriptions.\n" +
		"# Written by: go test ./addons -run TestDefinitionIsTheOperatorsOwn -update\n")
	encoder := yaml.NewEncoder(&want)
	encoder.SetIndent(2)
	if err := encoder.Encode(withoutDescriptions(upstream, false)); err != nil {
		t.Fatal(err)
	}
	const path = "definitions/rabbitmqclusters.rabbitmq.com.yaml"
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not the operator's: run this test with -update", path)
	}
}

// In an older stack, Helm created the definition. The program adopts it. That needs force, because Helm owns the
// fields, and the clusters are kept.
func TestDefinitionOfHelmIsTakenOver(t *testing.T) {
	a := startAPI(t)
	a.kubectl("create", "-f", filepath.Join(sourceOf(t, clusterOperator), "config", "crd", "bases"),
		"--field-manager=helm")
	a.definitionsAreEstablished()
	a.kubectl("create", "namespace", dataNamespace)
	a.apply(
		`{apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, metadata: {name: rabbitmq, namespace: data}, spec: {replicas: 1}}`)
	uids := func() string {
		return a.get(dataNamespace, rabbitMQObject, "{.metadata.uid}") +
			a.get("", "crd/rabbitmqclusters.rabbitmq.com", "{.metadata.uid}")
	}
	before := uids()

	entry := install(t, nil, everything).find(t, definitionOfRabbitMQ)
	object := jsonOf(t, plainMap(entry.inputs))
	if out, err := a.try(object, "apply", "--server-side", "-f", "-"); err == nil || !strings.Contains(out, "conflict") {
		t.Errorf("without force: %v %s", err, out)
	}
	annotations := plainMap(entry.inputs)["metadata"].(map[string]any)["annotations"].(map[string]any)
	if annotations["pulumi.com/patchForce"] != "true" {
		t.Error("the provider takes fields from another owner only with the annotation pulumi.com/patchForce")
	}
	a.applyJSON(object)
	if after := uids(); after != before {
		t.Errorf("the definition or its cluster is another: %s, was %s", after, before)
	}
	if got := a.get("", "crd/rabbitmqclusters.rabbitmq.com",
		"{.spec.versions[0].schema.openAPIV3Schema.description}"); got != "" {
		t.Errorf("the definition is still Helm's: %s", got)
	}
}

// filesOf are the files of a chart by their path in it.
func filesOf(t *testing.T, c catalog.Chart) map[string][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join(testenv.NeedCharts(t), c.Name+"-"+c.Version+".tgz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(header.Name, c.Name+"/")] = text
	}
}

const loadBalancerDefinitionsFile = "definitions/aws-load-balancer-controller.yaml"

func headOfLoadBalancerDefinitions() string {
	return "# Custom resource definitions of the chart aws-load-balancer-controller " + catalog.Release("aws-load-balancer-controller").Version +
		" (Copyright The Kubernetes Authors, Apache-2.0), without descriptions.\n" +
		"# Written by: go test ./addons -run TestLoadBalancerDefinitionsAreTheCharts -update\n"
}

// A newer chart needs the definitions of its own version. This test needs no charts, so it always runs.
func TestLoadBalancerDefinitionsFollowTheCatalogue(t *testing.T) {
	if !strings.HasPrefix(string(loadBalancerDefinitions), headOfLoadBalancerDefinitions()) {
		t.Errorf("%s is of another version: get the charts with tools/mirror/charts, and run TestLoadBalancerDefinitionsAreTheCharts with -update",
			loadBalancerDefinitionsFile)
	}
}

func TestLoadBalancerDefinitionsAreTheCharts(t *testing.T) {
	files := filesOf(t, catalog.Release("aws-load-balancer-controller"))
	want := bytes.NewBufferString(headOfLoadBalancerDefinitions())
	encoder := yaml.NewEncoder(want)
	encoder.SetIndent(2)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasPrefix(file, "crds/") {
			continue
		}
		for decoder := yaml.NewDecoder(bytes.NewReader(files[file])); ; {
			var definition map[string]any
			if err := decoder.Decode(&definition); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if definition == nil {
				continue
			}
			if err := encoder.Encode(withoutDescriptions(definition, false)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if *update {
		if err := os.WriteFile(loadBalancerDefinitionsFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(loadBalancerDefinitions, want.Bytes()) {
		t.Errorf("%s is not the chart's: run this test with -update", loadBalancerDefinitionsFile)
	}
}

// Helm creates what a chart has in crds/ once and never upgrades it. So a release of such a chart skips it, and every
// kind in it that the program installs is an object of the program.
func TestNoReleaseLeavesDefinitionsToHelm(t *testing.T) {
	r := install(t, nil, everything)
	for name, release := range r.releases() {
		for file := range filesOf(t, catalog.Release(name)) {
			if strings.HasPrefix(file, "crds/") && plainMap(release.inputs)["skipCrds"] != true {
				t.Errorf("%s brings %s, which Helm never upgrades: install it with builder.definition and set SkipCRDs", name, file)
			}
		}
	}
}

// The API server accepts every definition, and each is there before the controller.
func TestLoadBalancerDefinitionsAreEstablished(t *testing.T) {
	a := startAPI(t)
	r := install(t, nil, everything)
	for _, kind := range []string{"ingressclassparams.elbv2.k8s.aws", "targetgroupbindings.elbv2.k8s.aws", "loadbalancerconfigurations.gateway.k8s.aws"} {
		a.applyJSON(jsonOf(t, plainMap(r.find(t, "definition-"+kind).inputs)))
	}
	a.definitionsAreEstablished()
	a.applyJSON(jsonOf(t, plainMap(r.find(t, "ingressclassparams-alb").inputs)))
}
