package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agext/levenshtein"
)

// decoder turns the JSON of one key into a struct field. It is stricter than encoding/json: unknown keys and keys in
// the wrong case are faults. It continues after a fault. It records which keys were written, so that a written zero
// is validated and only an absent value gets a default.
type decoder struct {
	faults  Errors
	present map[string]bool
}

func (d *decoder) fault(key string, value any, reason, example string) {
	d.faults = append(d.faults, newFault(key, value, reason, example))
}

// newFault returns the fault of a value. It hides Helm values, because they may hold passwords.
func newFault(key string, value any, reason, example string) FieldError {
	if strings.HasPrefix(key, Namespace+":addons.") && strings.Contains(key, ".values") {
		value = nil
	}
	return FieldError{Key: key, Value: quote(value), Reason: reason, Example: example}.readable()
}

// parse decodes JSON and keeps numbers as they were written.
func parse(text string) (any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("text after the value")
	}
	return v, nil
}

// maxQuoted keeps a fault readable when a whole file was pasted into a setting. The unit is characters.
const maxQuoted = 120

func quote(v any) string {
	if v == nil {
		return ""
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(concealed(v)); err != nil {
		return fmt.Sprintf("%v", v)
	}
	text := []rune(withoutSecrets(strings.TrimSpace(b.String())))
	if len(text) > maxQuoted {
		return string(text[:maxQuoted]) + "..."
	}
	return string(text)
}

// secretNames are parts of the names of keys whose values are credentials.
var secretNames = []string{"password", "passphrase", "token", "secret", "credential"}

// namesSecret reports whether the value of a key with that name may be a credential.
func namesSecret(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasSuffix(name, "Key") ||
		slices.ContainsFunc(secretNames, func(part string) bool { return strings.Contains(lower, part) })
}

// concealed returns v without the passwords in it.
func concealed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		shown := make(map[string]any, len(v))
		for name, value := range v {
			shown[name] = concealed(value)
			if namesSecret(name) {
				shown[name] = hidden
			}
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i := range v {
			shown[i] = concealed(v[i])
		}
		return shown
	}
	return v
}

// decode stores v in into. A nil v (YAML's empty value) counts as absent.
func (d *decoder) decode(key string, v any, into reflect.Value) {
	if v == nil {
		return
	}
	d.present[key] = true
	switch into.Kind() {
	case reflect.Pointer:
		target := reflect.New(into.Type().Elem())
		before := len(d.faults)
		d.decode(key, v, target.Elem())
		if len(d.faults) == before {
			into.Set(target)
		}
	case reflect.Struct:
		if mirror, ok := into.Addr().Interface().(*RegistryMirror); ok {
			if url, short := v.(string); short {
				mirror.URL = url
				return
			}
		}
		d.decodeStruct(key, v, into)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			d.wrongType(key, v, into.Type())
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
		for i, item := range list {
			d.decodeItem(fmt.Sprintf("%s[%d]", key, i), item, into.Index(i))
		}
	case reflect.Map:
		d.decodeMap(key, v, into)
	case reflect.Interface:
		into.Set(reflect.ValueOf(plain(v)))
	case reflect.String:
		d.decodeText(key, v, into)
	case reflect.Bool:
		b, ok := v.(bool)
		if !ok {
			d.wrongType(key, v, into.Type())
			return
		}
		into.SetBool(b)
	case reflect.Int:
		number, ok := v.(json.Number)
		if !ok {
			d.wrongType(key, v, into.Type())
			return
		}
		n, err := strconv.Atoi(number.String())
		if err != nil {
			d.fault(key, v, "must be a whole number", exampleNumber(key, "3"))
			return
		}
		into.SetInt(int64(n))
	default:
		panic(fmt.Sprintf("config: no decoder for %s at %s", into.Type(), key))
	}
}

// decodeText refuses quotes that a shell left in the value, and control characters. Only containerd's TOML has a use
// for control characters.
func (d *decoder) decodeText(key string, v any, into reflect.Value) {
	s, ok := v.(string)
	if into.Type() == reflect.TypeFor[Secret]() {
		if !ok {
			d.fault(key, nil, "must be text, not "+typeName(v), secretPathCommand(key))
		} else if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
			d.fault(key, nil, "must be one line without control characters", secretPathCommand(key))
		}
		into.SetString(s)
		return
	}
	if !ok {
		d.wrongType(key, v, into.Type())
		switch v.(type) {
		case json.Number, bool:
			d.faults[len(d.faults)-1].quotable = true
			into.SetString(quote(v))
		}
		return
	}
	bare := strings.Trim(s, `"`)
	switch {
	case len(s) > 2 && s[0] == '"' && s[len(s)-1] == '"' && !strings.Contains(bare, `"`):
		d.fault(key, s, "has quotes as a part of the text", textCommand(key, bare))
	case !hasLines(key) && strings.ContainsFunc(s, unicode.IsControl):
		d.fault(key, s, "must be one line without control characters", "the same in one line: "+strings.Map(printable, s))
	case !utf8.ValidString(s):
		d.fault(key, nil, "is not UTF-8", "the same text saved as UTF-8")
	}
	into.SetString(s)
}

// hasLines reports whether a setting may have more than one line: TOML and certificates may.
func hasLines(key string) bool {
	return key == Namespace+":kubernetes.containerd" || strings.HasPrefix(key, mirrorsKey+".registries") &&
		strings.HasSuffix(key, ".ca")
}

// printable drops control characters.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

// decodeItem decodes a list or map item. null is an error there, because items have no default.
func (d *decoder) decodeItem(key string, v any, into reflect.Value) {
	if v == nil {
		d.fault(key, nil, "is empty", "remove it, or give it a value")
		return
	}
	d.decode(key, v, into)
}

func (d *decoder) decodeMap(key string, v any, into reflect.Value) {
	object, ok := v.(map[string]any)
	if !ok {
		d.wrongType(key, v, into.Type())
		return
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(object)))
	for _, name := range sortedKeys(object) {
		item := reflect.New(into.Type().Elem()).Elem()
		if item.Kind() == reflect.Interface {
			// null has a meaning in a free-form field (Helm values, kubelet settings): it removes a default.
			if object[name] != nil {
				item.Set(reflect.ValueOf(plain(object[name])))
			}
			d.present[child(key, name)] = true
		} else {
			d.decodeItem(child(key, name), object[name], item)
		}
		into.SetMapIndex(reflect.ValueOf(name), item)
	}
}

func (d *decoder) decodeStruct(key string, v any, into reflect.Value) {
	object, ok := v.(map[string]any)
	if !ok {
		d.wrongType(key, v, into.Type())
		return
	}
	fields := fieldsOf(into.Type())
	for _, name := range sortedKeys(object) {
		index, ok := fields[name]
		if !ok {
			value := object[name]
			if _, holdsSecret := fields["password"]; holdsSecret {
				value = nil // a misspelt key may hold the password
			}
			if old, ok := replaced[child(key, name)]; ok {
				d.fault(child(key, name), value, old.reason, old.instead(value))
				continue
			}
			d.unknown(child(key, name), name, value, sortedKeys(fields))
			continue
		}
		d.decode(child(key, name), object[name], into.FieldByIndex(index))
	}
}

// unknown reports a key that does not exist, together with the most similar key that does. The value is shown only
// for a misspelt key: for any other it may be a credential.
func (d *decoder) unknown(key, name string, value any, known []string) {
	example, near := "one of "+strings.Join(known, ", "), nearest(name, known)
	switch {
	case near != "":
		example = fmt.Sprintf("did you mean %s?", near)
	case slices.Contains(Secrets, name):
		example = secretCommand(name)
	}
	_, isNumber := value.(json.Number)
	_, isBool := value.(bool)
	if namesSecret(name) || near == "" && !isNumber && !isBool {
		value = nil
	}
	d.fault(key, value, "is not a setting", example)
}

func (d *decoder) wrongType(key string, v any, want reflect.Type) {
	if v == "" && want.Kind() != reflect.String {
		d.fault(key, nil, "is empty: no setting stands below it", "remove the line")
		return
	}
	wants := map[reflect.Kind]string{
		reflect.Struct: "a mapping of settings", reflect.Map: "a mapping", reflect.Slice: "a list", reflect.String: "text",
		reflect.Bool: "true or false", reflect.Int: "a whole number",
	}[want.Kind()]
	d.fault(key, v, fmt.Sprintf("must be %s, not %s", wants, typeName(v)), typeExample(key, v, want))
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return fmt.Sprintf("%T", v)
}

// plain replaces json.Number by int or float64 in a free-form value, as YAML and JSON encoders expect.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for k := range v {
			object[k] = plain(v[k])
		}
		return object
	}
	return v
}

// fieldsOf maps the JSON names of a struct's fields to their index paths, including those of embedded structs.
func fieldsOf(t reflect.Type) map[string][]int {
	fields := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("json"); name != "" && name != "-" {
			fields[name] = f.Index
		}
	}
	return fields
}

func child(key, name string) string {
	if strings.ContainsAny(name, `.[]"`) {
		return key + "[" + strconv.Quote(name) + "]"
	}
	return key + "." + name
}

// last returns the final name in a key path.
func last(key string) string {
	return key[strings.LastIndexAny(key, ".:")+1:]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// nearest returns the candidate that name is probably a misspelling of, or "".
func nearest(name string, candidates []string) string {
	best, bound := "", max(len(name)/3, 1)+1
	for _, c := range candidates {
		if strings.EqualFold(c, name) {
			return c
		}
		if n := levenshtein.Distance(strings.ToLower(name), strings.ToLower(c), nil); n < bound {
			best, bound = c, n
		}
	}
	if best != "" {
		return best
	}
	// One real name contains name, or name contains it: version for kubernetesVersion.
	for _, c := range candidates {
		a, b := strings.ToLower(c), strings.ToLower(name)
		if len(name) > 3 && (strings.Contains(a, b) || strings.Contains(b, a)) {
			if best != "" {
				return ""
			}
			best = c
		}
	}
	return best
}
