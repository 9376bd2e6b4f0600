package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Load decodes the settings of a stack, fills in the defaults and validates the result. get returns the text of a key
// with its namespace ("kubeadm-aws:nodes", "aws:region"); structured values are JSON. known are all keys that the
// stack sets, or nil if the caller cannot list them. Load refuses keys of its namespace that it does not read. The
// error is an Errors with every fault.
func Load(stack string, get func(key string) (string, bool), known []string) (*Config, error) {
	return load(stack, get, known, nil)
}

// load is Load with the faults that are already known.
func load(stack string, get func(key string) (string, bool), known []string, before Errors) (*Config, error) {
	c := &Config{Stack: stack}
	d := &decoder{present: map[string]bool{}, faults: before}
	d.unknownKeys(known)

	d.section(Namespace, reflect.ValueOf(c).Elem(), get)
	d.section(awsNamespace, reflect.ValueOf(&c.AWS).Elem(), get)
	c.Region, _ = get(regionKey)

	defaults{c, d.present}.fill()
	if faults := append(d.faults, validate(c, d, get)...); len(faults) > 0 {
		sortFaults(faults)
		return nil, faults
	}
	c.Kubernetes.join()
	return c, nil
}

// section decodes the keys of one namespace into a struct.
func (d *decoder) section(namespace string, into reflect.Value, get func(key string) (string, bool)) {
	fields := fieldsOf(into.Type())
	for _, name := range sortedKeys(fields) {
		key, field := namespace+":"+name, into.FieldByIndex(fields[name])
		text, ok := get(key)
		if !ok {
			continue
		}
		if field.Kind() == reflect.String {
			// Pulumi passes scalars as bare text.
			d.decode(key, text, field)
			continue
		}
		v, err := parse(text)
		if err != nil {
			d.decode(key, text, field) // bare text where a list or a mapping is expected
			continue
		}
		d.decode(key, v, field)
	}
}

// sortFaults sorts faults by the documented order of the settings. Faults without a setting come last.
func sortFaults(faults Errors) {
	t := reflect.TypeFor[Config]()
	order := map[string]int{}
	for i := range t.NumField() {
		order[Namespace+":"+t.Field(i).Tag.Get("json")] = i - t.NumField() - 1
	}
	rank := func(f FieldError) int {
		if strings.HasPrefix(f.Key, awsNamespace+":") {
			return -t.NumField() - 2
		}
		top := f.Key
		if i := strings.IndexAny(top, ".["); i >= 0 {
			top = top[:i]
		}
		return order[top]
	}
	slices.SortStableFunc(faults, func(a, b FieldError) int { return rank(a) - rank(b) })
}

// unknownKeys refuses keys that the program does not read. It hides the value of a key outside the namespace, because
// it may be a credential.
func (d *decoder) unknownKeys(known []string) {
	names := append(sortedKeys(fieldsOf(reflect.TypeFor[Config]())), Secrets...)
	aws := append(sortedKeys(fieldsOf(reflect.TypeFor[AWS]())), "region")
	for _, key := range slices.Sorted(slices.Values(known)) {
		namespace, name, _ := strings.Cut(key, ":")
		switch namespace {
		case Namespace:
			if old, ok := replaced[key]; ok {
				d.fault(key, nil, old.reason, old.instead(nil))
			} else if !slices.Contains(names, name) {
				d.unknown(key, name, nil, names)
			}
		case awsNamespace:
			if slices.Contains(aws, name) {
				continue
			}
			if instead, ok := awsInstead[name]; ok {
				d.fault(key, nil, "is not passed to the provider by this program", instead)
				continue
			}
			d.unknown(key, name, nil, aws)
		case "pulumi":
			if !slices.Contains(pulumiKeys, name) {
				d.unknown(key, name, nil, pulumiKeys)
			}
		default:
			d.fault(key, nil, "is in a namespace that this program does not read", insteadOf(namespace, name, names, aws))
		}
	}
}

// pulumiKeys are the keys of Pulumi itself that this program supports. pulumi:autonaming is not one of them: it
// changes the names of resources, and the program relies on their lengths and prefixes.
var pulumiKeys = []string{"disable-default-providers", "tags"}

// insteadOf returns what to write instead of a key in an unknown namespace.
func insteadOf(namespace, name string, names, aws []string) string {
	switch {
	case slices.Contains(names, name):
		return fmt.Sprintf("did you mean %s:%s?", Namespace, name)
	case nearest(namespace, []string{awsNamespace}) != "" && slices.Contains(aws, name):
		return fmt.Sprintf("did you mean %s:%s?", awsNamespace, name)
	}
	return fmt.Sprintf("remove it: settings are keys of %s, %s or pulumi", Namespace, awsNamespace)
}
