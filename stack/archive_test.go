package stack_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// archive returns the archive that PostgreSQL writes into, as the state shows it.
func (r *simulation) archive() string {
	r.t.Helper()
	for _, res := range r.resources() {
		if res.URN.Name() == "postgresql" && strings.HasSuffix(string(res.Type), ":Cluster") {
			spec := res.Inputs["spec"].(map[string]any)
			return spec["backup"].(map[string]any)["barmanObjectStore"].(map[string]any)["serverName"].(string)
		}
	}
	r.t.Fatal("there is no database")
	return ""
}

// CloudNativePG archives nothing into an archive that is not empty, so no two databases of a stack may share one.
func TestEveryDatabaseHasItsOwnArchive(t *testing.T) {
	r := simulate(t, "dev", small())
	database := func(settings map[string]any) {
		t.Helper()
		addons := maps.Clone(small()["kubeadm-aws:addons"].(map[string]any))
		addons["ebsCsi"], addons["postgresql"] = map[string]any{"enabled": true}, settings
		r.set(map[string]any{"kubeadm-aws:addons": addons})
		r.up().must(t)
	}
	generation := func(name, from string) map[string]any {
		return map[string]any{"enabled": true, "storageGiB": 20, "generation": name,
			"restore": map[string]any{"from": from}}
	}
	seen := []string{"postgresql", "postgresql-2", "postgresql-3"} // those of older programs
	another := func(what string) {
		t.Helper()
		archive := r.archive()
		if slices.Contains(seen, archive) {
			t.Errorf("%s: the archive %s had a database before", what, archive)
		}
		seen = append(seen, archive)
	}
	database(map[string]any{"enabled": true})
	another("the first")
	database(map[string]any{"enabled": true, "storageGiB": 20})
	if got := r.archive(); got != seen[len(seen)-1] {
		t.Errorf("a database that grows writes into %s, was %s", got, seen[len(seen)-1])
	}
	database(map[string]any{"enabled": false})
	database(map[string]any{"enabled": true, "storageGiB": 20})
	another("off and on again")
	database(generation("2", seen[len(seen)-1]))
	another("restored")
	database(generation("3", seen[len(seen)-1]))
	another("restored again")
	database(generation("2", seen[len(seen)-1]))
	another("restored into a generation that was used before")
	state := r.deployment()
	lost := func(urn resource.URN) bool {
		return strings.Contains(string(urn), "kubernetes:postgresql.cnpg.io/")
	}
	state.Resources = slices.DeleteFunc(state.Resources, func(res apitype.ResourceV3) bool { return lost(res.URN) })
	for i, res := range state.Resources {
		state.Resources[i].Dependencies = slices.DeleteFunc(res.Dependencies, lost)
	}
	r.believe(state)
	database(generation("2", seen[len(seen)-1]))
	another("lost with the cluster")
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
}

func TestADatabaseMadeBeforeKeepsItsArchive(t *testing.T) {
	r := madeBefore(t, "made-by-9365dac", "prod")
	if r.up().must(t); r.archive() != "postgresql" {
		t.Errorf("a database that runs writes into another archive: %s", r.archive())
	}
}
