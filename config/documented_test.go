package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	documentedRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\| ([^|]*) ?\\|$")
	secretRow     = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| [^|]+ \\|$")
)

// TestEveryFieldIsDocumented compares docs/configuration.md with the types and the defaults.
func TestEveryFieldIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, row := range documentedRow.FindAllStringSubmatch(string(text), -1) {
		if rows[row[1]] != nil {
			t.Errorf("%s is documented twice", row[1])
		}
		rows[row[1]] = row[2:]
	}
	defaults, err := loadText(t, "dev", "nodes: ["+worker+", "+master+"]")
	if err != nil {
		t.Fatal(err)
	}
	all := leaves()
	for _, key := range all {
		row, ok := rows[key]
		if !ok {
			t.Errorf("%s is not documented", key)
			continue
		}
		value := valueAt(t, reflect.ValueOf(*defaults), key)
		if want := documentedType(value.Type()); row[0] != want {
			t.Errorf("%s is documented as %s, and is %s", key, row[0], want)
		}
		for value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
		switch key {
		case "cluster.name", "nodes[].name", "access.adminCidrs":
			continue // not decided by the program
		}
		if value.Kind() == reflect.Slice {
			continue
		}
		if want := fmt.Sprintf("`%v`", value); (!value.IsZero() || value.Kind() == reflect.Bool) &&
			!strings.Contains(row[1], want) {
			t.Errorf("the default of %s is documented as %s, and is %s", key, row[1], want)
		}
	}
	for key := range rows {
		if !slices.Contains(all, key) {
			t.Errorf("%s is documented and does not exist", key)
		}
	}

	var documented []string
	for _, row := range secretRow.FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1])
	}
	if !reflect.DeepEqual(documented, Secrets) {
		t.Errorf("documented secrets are %v", documented)
	}
}

func documentedType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return documentedType(t.Elem())
	case reflect.Slice:
		return "list of " + strings.Replace(documentedType(t.Elem()), "number", "numbers", 1)
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return "mapping"
		}
		return "mapping of " + documentedType(t.Elem())
	case reflect.Interface:
		return "text or mapping"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "number"
	}
	return "text"
}

// valueAt returns the value at a key path. It takes the first item of a list, or a zero item if the list is empty.
func valueAt(t *testing.T, v reflect.Value, key string) reflect.Value {
	t.Helper()
	for _, name := range strings.Split(key, ".") {
		name, list := strings.CutSuffix(name, "[]")
		v = v.FieldByIndex(fieldsOf(v.Type())[name])
		if list && v.Len() == 0 {
			v = reflect.New(v.Type().Elem()).Elem()
		} else if list {
			v = v.Index(0)
		}
	}
	return v
}
