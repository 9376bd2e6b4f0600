// Package catalog is the table of the add-ons: one row for each, with its charts and what is known of them. Package addons
// installs from it, verify checks by it, the sandbox simulates and times by it, and a test compares docs/addons.md with it.
//
// A new add-on is a row here, a file in addons/ that installs it, and its settings in config.Addons.
package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Addon is one add-on.
type Addon struct {
	// Name is what people call it. verify reports it under this name.
	Name string
	// Key is its key in the settings, addons.<key>. It is empty for an add-on that is installed without one; When says when.
	Key, When string
	// Does, Runs and Data are cells of the table in docs/addons.md: what it is, where it runs, what data it keeps.
	Does, Runs, Data string
	// Needs are the add-ons that it cannot work without.
	Needs  []Need
	Charts []Chart
	// Image is what runs, where the program decides and not a chart.
	Image string
	// Workloads are the releases whose Deployments, StatefulSets and DaemonSets verify expects to be available.
	Workloads []string
	// Conditions are those that verify expects of the add-on's objects.
	Conditions []Condition
	// Objects are the times of custom resources by type token. An object that is not here takes one API call.
	Objects map[string]Times
}

// Need is an add-on that another needs.
type Need struct {
	Key, Why string
}

// Condition is a status condition, or several, that all objects of a kind have to have.
type Condition struct {
	// Path is the list of the objects in the API.
	Path  string
	Types []string
	// Look is where to look when one is missing.
	Look string
}

// Times are how long the creation and the deletion of a resource take on a quiet day. The predicted timeline adds them up.
type Times struct{ Create, Delete time.Duration }

// Chart is a Helm chart at one version, and the release that the program makes of it.
type Chart struct {
	Name, Version string
	// SHA256 is the checksum of the chart's archive, in hexadecimal digits.
	SHA256 string
	// Repository is a URL; oci:// for a registry.
	Repository string
	// Release and Namespace are where it is installed.
	Release, Namespace string
	// Section is the part of addons.<key>.values that is for this chart; empty where all of it is.
	Section string
	// Fixed charts take no values of the user.
	Fixed bool
	Times
	// Facts are further arguments of chartfacts for charts that pass values on as a whole: "<key>/**" says that any key is
	// accepted below <key>, "<key>=<chart>/<file>" that the fields below it are those of a definition in another chart.
	Facts []string
	Model
}

// Model is how the sandbox simulates a chart. The zero value is a chart that only runs pods.
type Model struct {
	// Kinds are the custom resources whose definitions it brings.
	Kinds []string
	// Guards are the kinds whose creation and update its webhook must approve: with the controller dead they fail.
	Guards []string
	// GuardsAt is the path of a value that switches the webhook off with false; empty for a chart without one.
	GuardsAt string
	// Finalizes are the kinds whose finalizer only its controller removes.
	Finalizes []string
	// Action is a permission without which its controller can do nothing in AWS; empty for those that do not call AWS.
	Action string
	// Podless charts are ready without nodes: they bring definitions, or tolerate every taint.
	Podless bool
	// Aggregates marks an APIService: namespaces cannot be deleted while it is dead.
	Aggregates bool
	// Claims are the PersistentVolumeClaims of its pods.
	Claims []Claim
}

// Claim is a PersistentVolumeClaim that a chart makes when a value is set.
type Claim struct {
	Name string
	// When is the path of a value: true, or not empty.
	When string
	// ClassAt is the path of the storage class name; an empty class is the default class.
	ClassAt string
	// Owned claims are removed with the release. The others are a StatefulSet's, and stay unless the value at PolicyAt
	// says Delete (or true).
	Owned    bool
	PolicyAt string
}

// Get returns the row of a name. It panics for an unknown name: only the program passes names.
func Get(name string) Addon {
	i := slices.IndexFunc(Addons, func(a Addon) bool { return a.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("addons/catalog has no add-on %q", name))
	}
	return Addons[i]
}

// Charts are the charts of all add-ons, in their order.
func Charts() []Chart {
	var all []Chart
	for _, a := range Addons {
		all = append(all, a.Charts...)
	}
	return all
}

// Release returns the chart of a release. It panics for an unknown name: only the program passes names.
func Release(name string) Chart {
	all := Charts()
	i := slices.IndexFunc(all, func(c Chart) bool { return c.Release == name })
	if i < 0 {
		panic(fmt.Sprintf("addons/catalog has no chart with the release %q", name))
	}
	return all[i]
}

// Repositories are the repositories of all charts, sorted.
func Repositories() []string {
	var all []string
	for _, c := range Charts() {
		all = append(all, c.Repository)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// From is where the chart comes from: its repository, or the mirror that is named for it. Helm wants a chart in an OCI
// registry as one reference, without a repository.
func (c Chart) From(mirrors map[string]string) (reference, repository string) {
	repository = c.Repository
	if mirror, ok := mirrors[repository]; ok {
		repository = strings.TrimSuffix(mirror, "/")
	}
	if strings.HasPrefix(repository, "oci://") {
		return repository + "/" + c.Name, ""
	}
	return c.Name, repository
}
