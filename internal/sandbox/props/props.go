// Package props has the properties of resources in plain Go, as the models of the sandbox read and compare them.
package props

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Map are a resource's properties in plain Go: map[string]any, []any, string, float64, bool. Secrets are unwrapped.
// A value that is not known yet is Unknown{}.
type Map map[string]any

// Unknown is a value that is known only after an apply.
type Unknown struct{}

// FromSDK unwraps properties. With redact, a secret is replaced by its hash, so that the result may be written to disk.
func FromSDK(props resource.PropertyMap, redact bool) Map {
	out := Map{}
	for k, v := range props {
		if strings.HasPrefix(string(k), "__") || v.IsNull() {
			continue
		}
		out[string(k)] = plain(v, redact)
	}
	return out
}

func plain(v resource.PropertyValue, redact bool) any {
	switch {
	case v.IsSecret():
		inner := plain(v.SecretValue().Element, redact)
		if _, pending := inner.(Unknown); pending || !redact {
			return inner
		}
		return secretMark(inner)
	case v.IsComputed():
		return Unknown{}
	case v.IsOutput():
		if !v.OutputValue().Known {
			return Unknown{}
		}
		inner := plain(v.OutputValue().Element, redact)
		if redact && v.OutputValue().Secret {
			return secretMark(inner)
		}
		return inner
	case v.IsArray():
		list := make([]any, 0, len(v.ArrayValue()))
		for _, e := range v.ArrayValue() {
			list = append(list, plain(e, redact))
		}
		return list
	case v.IsObject():
		return map[string]any(FromSDK(v.ObjectValue(), redact))
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

// ToSDK converts a value of a Map to the type of the SDK.
func ToSDK(v any) resource.PropertyValue {
	switch v := v.(type) {
	case Unknown:
		return resource.MakeComputed(resource.NewStringProperty(""))
	case Map:
		return ToSDK(map[string]any(v))
	case map[string]any:
		m := resource.PropertyMap{}
		for k, e := range v {
			m[resource.PropertyKey(k)] = ToSDK(e)
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
			list = append(list, ToSDK(e))
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

// Str returns the text at a dotted path, or "" when it is absent, unknown or something else.
func (v Map) Str(path string) string {
	s, _ := v.At(path).(string)
	return s
}

func (v Map) Number(path string) float64 {
	n, _ := v.At(path).(float64)
	return n
}

func (v Map) Flag(path string) bool {
	b, _ := v.At(path).(bool)
	return b
}

// Object returns the map at a dotted path; never nil, so that lookups can be chained.
func (v Map) Object(path string) Map {
	switch m := v.At(path).(type) {
	case map[string]any:
		return m
	case Map:
		return m
	}
	return Map{}
}

func (v Map) List(path string) []any {
	l, _ := v.At(path).([]any)
	return l
}

// Strings returns the texts of a list or of a single value.
func (v Map) Strings(path string) []string {
	switch x := v.At(path).(type) {
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

func (v Map) StringMap(path string) map[string]string {
	out := map[string]string{}
	for k, e := range v.Object(path) {
		if s, ok := e.(string); ok {
			out[k] = s
		}
	}
	return out
}

func (v Map) At(path string) any {
	var current any = map[string]any(v)
	for _, key := range strings.Split(path, ".") {
		switch m := current.(type) {
		case map[string]any:
			current = m[key]
		case Map:
			current = m[key]
		default:
			return nil
		}
	}
	return current
}

// Has reports whether a key has a value, known or not.
func (v Map) Has(key string) bool { return v[key] != nil }

// Clone copies a map and the maps inside it. Lists are shared.
func Clone(v Map) Map {
	out := make(Map, len(v))
	for k, e := range v {
		if m, ok := e.(map[string]any); ok {
			e = map[string]any(Clone(m))
		}
		out[k] = e
	}
	return out
}
