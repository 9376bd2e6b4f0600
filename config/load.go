package config

import (
	"reflect"
	"slices"
	"strings"
)

// Load reads the settings of a stack, fills in the defaults and validates the whole. get returns the text of a key with
// its namespace ("kubeadm-aws:nodes", "aws:region"), structured values as JSON. known are all keys that the stack sets,
// if they can be learned; those in the namespace that nothing reads are refused. The error is an Errors with every fault.
func Load(stack string, get func(key string) (string, bool), known []string) (*Config, error) {
	return load(stack, get, known, nil)
}

// load is Load with the faults that are known before.
func load(stack string, get func(key string) (string, bool), known []string, before Errors) (*Config, error) {
	c := &Config{Stack: stack}
	d := &decoder{present: map[string]bool{}, faults: before}
	d.unknownKeys(known)

	into := reflect.ValueOf(c).Elem()
	fields := fieldsOf(into.Type())
	for _, f := range reflect.VisibleFields(into.Type()) {
		name := f.Tag.Get("json")
		index, ok := fields[name]
		if !ok {
			continue
		}
		key := Namespace + ":" + name
		text, ok := get(key)
		if !ok {
			continue
		}
		if f.Type.Kind() == reflect.String {
			// Pulumi hands scalars over as bare text.
			d.decode(key, text, into.FieldByIndex(index))
			continue
		}
		v, err := parse(text)
		if err != nil {
			d.decode(key, text, into.FieldByIndex(index)) // bare text where a list or a mapping belongs
			continue
		}
		d.decode(key, v, into.FieldByIndex(index))
	}
	c.Region, _ = get(regionKey)

	c.fill(d.present)
	v := &validator{c: c, present: d.present, broken: d.faults}
	v.secrets(get)
	v.all()
	if faults := append(d.faults, v.faults...); len(faults) > 0 {
		sortFaults(faults)
		return nil, faults
	}
	return c, nil
}

const regionKey = "aws:region"

// sortFaults puts faults in the order in which the settings are documented; those of no setting come last.
func sortFaults(faults Errors) {
	t := reflect.TypeFor[Config]()
	order := map[string]int{regionKey: -t.NumField() - 2}
	for i := range t.NumField() {
		order[Namespace+":"+t.Field(i).Tag.Get("json")] = i - t.NumField() - 1
	}
	rank := func(f Fault) int {
		top := f.Key
		if i := strings.IndexAny(top, ".["); i >= 0 {
			top = top[:i]
		}
		return order[top]
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return rank(a) - rank(b) })
}

// unknownKeys refuses keys in the namespace that are neither a setting nor a secret.
func (d *decoder) unknownKeys(known []string) {
	names := append(sortedKeys(fieldsOf(reflect.TypeFor[Config]())), Secrets...)
	known = slices.Clone(known)
	slices.Sort(known)
	for _, key := range known {
		name, ours := strings.CutPrefix(key, Namespace+":")
		if ours && !slices.Contains(names, name) {
			d.unknown(key, name, nil, names)
		}
	}
}
