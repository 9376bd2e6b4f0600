package addons

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const definitionOfRabbitMQ = "definition-rabbitmqclusters.rabbitmq.com"

// withoutDescriptions removes the texts for people from a definition. A property with the name description stays.
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

// The definition that the program installs is the operator's own, at the version that the chart runs.
func TestDefinitionIsTheOperatorsOwn(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(sourceOf(t, clusterOperator), "config", "crd", "bases", "rabbitmq.com_rabbitmqclusters.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var upstream map[string]any
	if err := yaml.Unmarshal(text, &upstream); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	want.WriteString("# RabbitmqCluster as github.com/rabbitmq/cluster-operator defines it (Copyright VMware, MPL-2.0), without descriptions.\n" +
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

// Helm has created the definition on a stack made before. The program takes it over: it needs force, because Helm owns the
// fields, and the clusters stay.
func TestDefinitionOfHelmIsTakenOver(t *testing.T) {
	a := startAPI(t)
	a.kubectl("create", "-f", filepath.Join(sourceOf(t, clusterOperator), "config", "crd", "bases"), "--field-manager=helm")
	a.definitionsAreEstablished()
	a.kubectl("create", "namespace", dataNamespace)
	a.apply(`{apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, metadata: {name: rabbitmq, namespace: data}, spec: {replicas: 1}}`)
	uids := func() string {
		return a.get(dataNamespace, rabbitMQObject, "{.metadata.uid}") + a.get("", "crd/rabbitmqclusters.rabbitmq.com", "{.metadata.uid}")
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
	if got := a.get("", "crd/rabbitmqclusters.rabbitmq.com", "{.spec.versions[0].schema.openAPIV3Schema.description}"); got != "" {
		t.Errorf("the definition is still Helm's: %s", got)
	}
}
