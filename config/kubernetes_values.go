package config

import (
	"crypto/tls"
	"encoding/csv"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

var (
	quantity = regexp.MustCompile(
		`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]+)?$`)
	verbosity = regexp.MustCompile(`^[^=,]+=[0-9]+(,[^=,]+=[0-9]+)*$`)
)

// integers are the bounds of whole numbers, by the name of their type.
var integers = map[string][2]int64{
	"int": {-1 << 63, 1<<63 - 1}, "int64": {-1 << 63, 1<<63 - 1}, "int32": {-1 << 31, 1<<31 - 1},
	"Level": {-1 << 31, 1<<31 - 1},
	"uint":  {0, 1<<63 - 1}, "uint64": {0, 1<<63 - 1}, "uint32": {0, 1<<32 - 1},
}

// fieldValue parses the value of a field of a configuration file by its type: numbers as float64, durations as
// time.Duration. The reason is empty, or explains what the type does not allow.
func fieldValue(typ string, v any) (value any, reason, example string) {
	if bounds, ok := integers[typ]; ok {
		n, ok := v.(int)
		if !ok || int64(n) < bounds[0] || int64(n) > bounds[1] {
			return nil, fmt.Sprintf("must be a whole number from %d to %d", bounds[0], bounds[1]), numberExample(v)
		}
		return float64(n), "", ""
	}
	switch typ {
	case "bool":
		if b, ok := v.(bool); ok {
			return b, "", ""
		}
		return nil, "must be true or false", "true or false, without quotes"
	case "float32", "float64":
		switch n := v.(type) {
		case int:
			return float64(n), "", ""
		case float64:
			return n, "", ""
		}
		return nil, "must be a number", numberExample(v)
	case "quantity":
		if n, ok := v.(int); ok {
			return float64(n), "", ""
		}
		if s, ok := v.(string); ok && quantity.MatchString(s) {
			return s, "", ""
		}
		return nil, "must be an amount such as 500m or 2Gi", `"2Gi"`
	case "duration", "duration|nanoseconds":
		if _, isNumber := v.(int); isNumber && typ == "duration|nanoseconds" {
			return nil, "", ""
		}
		if s, ok := v.(string); ok {
			if d, err := time.ParseDuration(s); err == nil {
				return d, "", ""
			}
		}
		return nil, "must be a duration with its unit, in quotes", `"30s"`
	}
	s, ok := v.(string)
	switch {
	case !ok:
		return nil, "must be text", fmt.Sprintf("%q in quotes", fmt.Sprint(v))
	case strings.ContainsFunc(s, unicode.IsControl):
		return nil, "must be one line without control characters", "the same in one line"
	}
	return s, "", ""
}

// fittingFlag returns the example of a flag, or the lowest value that the rule allows if the rule refuses the example.
func fittingFlag(typ, rule, example string) string {
	value, _, _ := flagValue(typ, strings.Trim(example, `"`))
	if rule == "" || ruleFault(rule, value) == "" {
		return example
	}
	low, _, _ := strings.Cut(rule, "..")
	low, _, _ = strings.Cut(low, "|")
	return strconv.Quote(low)
}

// numberExample returns the number in a text, or an arbitrary one.
func numberExample(v any) string {
	if s, ok := v.(string); ok && wholeNumber.MatchString(s) {
		return s + " (without quotes)"
	}
	return "10 (without quotes)"
}

// flagValue parses the text of a command-line flag by its type.
func flagValue(typ, text string) (value any, reason, example string) {
	if bounds, ok := integers[typ]; ok {
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil || n < bounds[0] || n > bounds[1] {
			return nil, "must be a whole number", `"600"`
		}
		return float64(n), "", ""
	}
	switch typ {
	case "bool":
		b, err := strconv.ParseBool(text)
		return b, reasonIf(err != nil, "must be true or false"), `"true"`
	case "float32", "float64":
		n, err := strconv.ParseFloat(text, 64)
		return n, reasonIf(err != nil, "must be a number"), `"0.5"`
	case "duration":
		d, err := time.ParseDuration(text)
		return d, reasonIf(err != nil, "must be a duration with its unit"), `"30s"`
	case "quantity":
		return text, reasonIf(!quantity.MatchString(text), "must be an amount such as 500m or 2Gi"), `"2Gi"`
	case "ip":
		_, err := netip.ParseAddr(text)
		return text, reasonIf(err != nil, "must be an IP address"), `"10.0.0.9"`
	case "pattern=N,...":
		return text, reasonIf(!verbosity.MatchString(text), "must be patterns of files with a level each"), `"controller*=4"`
	case "int32Slice":
		for _, item := range strings.Split(text, ",") {
			if _, err := strconv.ParseInt(item, 0, 32); err != nil {
				return nil, "must be whole numbers with commas between them", `"29,23"`
			}
		}
		return text, "", ""
	case "stringSlice":
		items, err := csv.NewReader(strings.NewReader(text)).Read()
		if text != "" && err != nil {
			return nil, "must be a list with commas between its items", `"a,b"`
		}
		return items, "", ""
	case "stringToString", "mapStringString", "colonSeparatedMultimapStringString":
		pairs := strings.Split(text, ",")
		if slices.ContainsFunc(pairs, func(pair string) bool { return !strings.Contains(pair, "=") }) {
			return nil, "must be pairs with commas between them", `"name=value,other=value"`
		}
		return pairs, "", ""
	}
	return text, "", ""
}

func reasonIf(wrong bool, reason string) string {
	if wrong {
		return reason
	}
	return ""
}

// ruleFault returns which rule a value violates, or "". A rule is a list such as "a|b", or a range such as "0..100"
// or "1s..". Either end of a range may be absent.
func ruleFault(rule string, value any) string {
	low, high, isRange := strings.Cut(rule, "..")
	if !isRange {
		allowed := strings.Split(rule, "|")
		if slices.Contains(allowed, fmt.Sprint(value)) {
			return ""
		}
		return "must be " + strings.Join(slices.DeleteFunc(allowed, func(s string) bool { return s == "" }), " or ")
	}
	n, ok := value.(float64)
	if d, isDuration := value.(time.Duration); isDuration {
		n, ok = float64(d), true
	}
	if !ok || (low == "" || n >= bound(low)) && (high == "" || n <= bound(high)) {
		return ""
	}
	switch {
	case high == "":
		return "must be " + low + " or more"
	case low == "":
		return "must be " + high + " or less"
	}
	return "must be from " + low + " to " + high
}

// bound parses one end of a range in a rule.
func bound(text string) float64 {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic("config: bound " + text)
	}
	return float64(d)
}

// cipherFault returns which of the names is not a secure cipher suite, or "".
func cipherFault(names []string) string {
	for _, name := range names {
		if !slices.ContainsFunc(tls.CipherSuites(), func(c *tls.CipherSuite) bool { return c.Name == name }) {
			return fmt.Sprintf("names %q, which is unknown or insecure", name)
		}
	}
	return ""
}

// gateFault returns what is wrong with a feature gate, or "".
func (t kubernetesTable) gateFault(name string, value bool) string {
	state, ok := t["gate"][name]
	if locked, isLocked := strings.CutPrefix(state, "locked="); isLocked && locked != fmt.Sprint(value) {
		return fmt.Sprintf("the feature gate %s is locked to %s", name, locked)
	}
	if !ok && name != "AllAlpha" && name != "AllBeta" {
		if near := nearest(name, sortedKeys(t["gate"])); near != "" {
			return fmt.Sprintf("there is no feature gate %s; did you mean %s?", name, near)
		}
		return fmt.Sprintf("there is no feature gate %s", name)
	}
	return ""
}
