// Package catalog is the table of the add-ons: one row for each, with its charts and the facts about them. Package
// addons installs from it, verify checks with it, and the sandbox simulates and predicts times with it. A test
// compares docs/addons.md with it.
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
	// Name is the add-on's common name, which verify reports.
	Name string
	// Key is its key in the settings, addons.<key>. It is empty for an add-on without a key; When then explains when
	// it is installed.
	Key, When string
	// Does, Runs and Data are cells of the table in docs/addons.md: its purpose, where it runs, and which data it
	// keeps.
	Does, Runs, Data string
	// Needs are the add-ons without which it cannot work.
	Needs  []Need
	Charts []Chart
	// Image is the image of its servers, if the program decides it and not a chart.
	Image string
	// Workloads are the releases whose Deployments, StatefulSets and DaemonSets must be available for verify.
	Workloads []string
	// Conditions are those that the add-on's objects must have for verify.
	Conditions []Condition
	// Objects are the times of custom resources by type token. An object that is missing here takes one API call.
	Objects map[string]Times
}

// Need is an add-on that another needs.
type Need struct {
	Key, Why string
}

// Condition is one or more status conditions that all objects of a kind must have.
type Condition struct {
	// Path is the API path of the list of objects.
	Path  string
	Types []string
	// Look is where to look if a condition is missing.
	Look string
}

// Times are the usual durations of a resource's creation and deletion. The predicted timeline adds them up.
type Times struct{ Create, Delete time.Duration }

// Chart is a Helm chart at one version, and the release that the program creates from it.
type Chart struct {
	Name, Version string
	// SHA256 is the checksum of the chart's archive, in hexadecimal digits.
	SHA256 string
	// Repository is a URL; oci:// for a registry.
	Repository string
	// Release and Namespace are where it is installed.
	Release, Namespace string
	// Section is the part of addons.<key>.values for this chart. Empty means all of it.
	Section string
	// Fixed charts accept no values from the user.
	Fixed bool
	Times
	// Facts are additional arguments of chartfacts for charts that pass values on as a whole. "<key>/**" means that
	// any key is accepted below <key>. "<key>=<chart>/<file>" means that the fields below it are those of a
	// definition in another chart.
	Facts []string
	Model
}

// Model is how the sandbox simulates a chart. The zero value is a chart that only runs pods.
type Model struct {
	// Kinds are the custom resources that it defines.
	Kinds []string
	// Guards are the kinds whose creation and update its webhook must approve. Without the controller they fail.
	Guards []string
	// GuardsAt is the path of a value that disables the webhook with false. It is empty for a chart without one.
	GuardsAt string
	// Finalizes are the kinds whose finalizer only its controller removes.
	Finalizes []string
	// Action is an AWS permission without which its controller can do nothing. It is empty for controllers that do
	// not call AWS.
	Action string
	// Podless charts are ready without nodes: they contain only definitions, or tolerate every taint.
	Podless bool
	// Aggregates marks an APIService: namespaces cannot be deleted while its server does not run.
	Aggregates bool
	// Claims are the PersistentVolumeClaims of its pods.
	Claims []Claim
}

// Claim is a PersistentVolumeClaim that a chart creates if a value is set.
type Claim struct {
	Name string
	// When is the path of a value that must be true, or not empty.
	When string
	// ClassAt is the path of the storage class name. An empty class means the default class.
	ClassAt string
	// Owned claims are removed with the release. The others belong to a StatefulSet and stay, unless the value at
	// PolicyAt is Delete (or true).
	Owned    bool
	PolicyAt string
}

// Get returns the row of a name. It panics for an unknown name, because names are constants of the program.
func Get(name string) Addon {
	i := slices.IndexFunc(Addons, func(a Addon) bool { return a.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("addons/catalog has no add-on %q", name))
	}
	return Addons[i]
}

// Charts returns the charts of all add-ons, in order.
func Charts() []Chart {
	var all []Chart
	for _, a := range Addons {
		all = append(all, a.Charts...)
	}
	return all
}

// Release returns the chart of a release. It panics for an unknown name, because names are constants of the program.
func Release(name string) Chart {
	all := Charts()
	i := slices.IndexFunc(all, func(c Chart) bool { return c.Release == name })
	if i < 0 {
		panic(fmt.Sprintf("addons/catalog has no chart with the release %q", name))
	}
	return all[i]
}

// Repositories returns the repositories of all charts, sorted.
func Repositories() []string {
	var all []string
	for _, c := range Charts() {
		all = append(all, c.Repository)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// From returns the source of the chart: its repository, or the mirror that replaces it. Helm needs a chart in an OCI
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
