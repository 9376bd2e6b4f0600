package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// values are a resource's properties in plain Go: map[string]any, []any, string, float64, bool. Secrets are unwrapped;
// what is not known yet is the value unknown{}.
type values map[string]any

// unknown is a value that is known only after an apply.
type unknown struct{}

// plainMap unwraps properties. With redact, a secret is replaced by its hash, so that the result may be written to disk.
func plainMap(props resource.PropertyMap, redact bool) values {
	out := values{}
	for k, v := range props {
		if strings.HasPrefix(string(k), "__") || v.IsNull() {
			continue
		}
		out[string(k)] = plainValue(v, redact)
	}
	return out
}

func plainValue(v resource.PropertyValue, redact bool) any {
	switch {
	case v.IsSecret():
		inner := plainValue(v.SecretValue().Element, redact)
		if _, pending := inner.(unknown); pending || !redact {
			return inner
		}
		return secretMark(inner)
	case v.IsComputed():
		return unknown{}
	case v.IsOutput():
		if !v.OutputValue().Known {
			return unknown{}
		}
		inner := plainValue(v.OutputValue().Element, redact)
		if redact && v.OutputValue().Secret {
			return secretMark(inner)
		}
		return inner
	case v.IsArray():
		list := make([]any, 0, len(v.ArrayValue()))
		for _, e := range v.ArrayValue() {
			list = append(list, plainValue(e, redact))
		}
		return list
	case v.IsObject():
		return map[string]any(plainMap(v.ObjectValue(), redact))
	case v.IsAsset():
		return "asset:" + v.AssetValue().Hash
	case v.IsArchive():
		return "archive:" + v.ArchiveValue().Hash
	case v.IsResourceReference():
		return string(v.ResourceReferenceValue().URN)
	}
	return v.V
}

// secretMark is short and the same for the same secret, so that stored inputs can be compared.
func secretMark(v any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(v)))
	return "secret:" + hex.EncodeToString(sum[:8])
}

// propertyValue is the way back.
func propertyValue(v any) resource.PropertyValue {
	switch v := v.(type) {
	case unknown:
		return resource.MakeComputed(resource.NewStringProperty(""))
	case values:
		return propertyValue(map[string]any(v))
	case map[string]any:
		m := resource.PropertyMap{}
		for k, e := range v {
			m[resource.PropertyKey(k)] = propertyValue(e)
		}
		return resource.NewObjectProperty(m)
	case map[string]string:
		m := resource.PropertyMap{}
		for k, e := range v {
			m[resource.PropertyKey(k)] = resource.NewStringProperty(e)
		}
		return resource.NewObjectProperty(m)
	case []any:
		list := make([]resource.PropertyValue, 0, len(v))
		for _, e := range v {
			list = append(list, propertyValue(e))
		}
		return resource.NewArrayProperty(list)
	case []string:
		list := make([]resource.PropertyValue, 0, len(v))
		for _, e := range v {
			list = append(list, resource.NewStringProperty(e))
		}
		return resource.NewArrayProperty(list)
	case int:
		return resource.NewNumberProperty(float64(v))
	}
	return resource.NewPropertyValue(v)
}

// str returns the text at a dotted path, or "" when it is absent, unknown or something else.
func (v values) str(path string) string {
	s, _ := v.at(path).(string)
	return s
}

func (v values) number(path string) float64 {
	n, _ := v.at(path).(float64)
	return n
}

func (v values) flag(path string) bool {
	b, _ := v.at(path).(bool)
	return b
}

// object returns the map at a dotted path; never nil, so that lookups can be chained.
func (v values) object(path string) values {
	switch m := v.at(path).(type) {
	case map[string]any:
		return m
	case values:
		return m
	}
	return values{}
}

func (v values) list(path string) []any {
	l, _ := v.at(path).([]any)
	return l
}

// strings returns the texts of a list or of a single value.
func (v values) strings(path string) []string {
	switch x := v.at(path).(type) {
	case string:
		return []string{x}
	case []any:
		var out []string
		for _, e := range x {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	case []string:
		return x
	}
	return nil
}

func (v values) stringMap(path string) map[string]string {
	out := map[string]string{}
	for k, e := range v.object(path) {
		if s, ok := e.(string); ok {
			out[k] = s
		}
	}
	return out
}

func (v values) at(path string) any {
	var current any = map[string]any(v)
	for _, key := range strings.Split(path, ".") {
		switch m := current.(type) {
		case map[string]any:
			current = m[key]
		case values:
			current = m[key]
		default:
			return nil
		}
	}
	return current
}

// set reports whether a key has a value, known or not.
func (v values) set(key string) bool { return v[key] != nil }

// cloneValues copies a map and the maps inside it. Lists are shared.
func cloneValues(v values) values {
	out := make(values, len(v))
	for k, e := range v {
		if m, ok := e.(map[string]any); ok {
			e = map[string]any(cloneValues(m))
		}
		out[k] = e
	}
	return out
}
