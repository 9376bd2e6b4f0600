package config

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// userInfo and query match the parts of a URL that can hold a password or a token. userInfo is everything between the
// scheme and the last @, with or without a scheme. query is everything after a question mark.
var (
	userInfo     = regexp.MustCompile(`://[^\s"'<>]*@`)
	bareUserInfo = regexp.MustCompile(`[^\s"'/:@]+:[^\s"'/@]+@`)
	query        = regexp.MustCompile(`(://[^\s"'<>?]*)\?[^\s"'<>]+`)
)

// withoutSecrets hides the user part and the query of every URL in a text, so that messages show no password or
// token.
func withoutSecrets(text string) string {
	text = userInfo.ReplaceAllStringFunc(text, func(found string) string {
		if found == "://git@" { // the user name of every Git service, and of the examples
			return found
		}
		return "://***@"
	})
	text = bareUserInfo.ReplaceAllString(text, "***@")
	return query.ReplaceAllString(text, "$1?***")
}

// readable hides the secrets of URLs in all parts of a fault, and shows characters that are invisible.
func (f FieldError) readable() FieldError {
	return FieldError{
		Key: visible(withoutSecrets(f.Key)), Value: visible(withoutSecrets(f.Value)),
		Reason: visible(withoutSecrets(f.Reason)), Example: visible(withoutSecrets(f.Example)),
	}
}

// visible replaces every character that a terminal does not show, or that changes the direction of the text, by its
// escape sequence, such as \u200b.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// textCommand returns the command that sets a text that looks like a number, true or false. Without --type the CLI
// would store a number or a boolean.
func textCommand(key, value string) string {
	return fmt.Sprintf("pulumi config set --path --type string '%s' %s", key, value)
}

// typeExample returns what to write instead of v at key. It is derived from v where that is possible.
func typeExample(key string, v any, want reflect.Type) string {
	text, isText := v.(string)
	switch want.Kind() {
	case reflect.Struct:
		return "key: value lines below " + last(key) + ":"
	case reflect.Map:
		return `{"key": "value"}`
	case reflect.Slice:
		return listExample(v, want.Elem())
	case reflect.String:
		switch v.(type) {
		case map[string]any, []any:
			return last(key) + `: "text"`
		}
		return fmt.Sprintf("%q in quotes, or by command: %s", quote(v), textCommand(key, quote(v)))
	case reflect.Bool:
		switch strings.ToLower(strings.Trim(quote(v), `"`)) {
		case "true", "yes", "on", "1", "y":
			return "true (without quotes)"
		case "false", "no", "off", "0", "n":
			return "false (without quotes)"
		}
		return "true or false (without quotes)"
	case reflect.Int:
		if isText && wholeNumber.MatchString(text) {
			return text + " (without quotes)"
		}
		return fmt.Sprintf("a number such as %s (without quotes)", exampleNumber(key, "3"))
	}
	return ""
}

// exampleNumbers are values of settings that do not take every small number, by the name of the setting.
var exampleNumbers = map[string]string{
	"zone": "0", "zones": "0", "volumeSize": "40", "rotateHours": "25", "notReadyMinutes": "15", "memoryMiB": "1024",
	"maxMemoryMiB": "256", "maxPods": "110", "imageGCHighThresholdPercent": "85", "imageGCLowThresholdPercent": "80",
}

// exampleNumber returns a number for the setting at a key, which is other where every small number will do.
func exampleNumber(key, other string) string {
	name, _, _ := strings.Cut(last(key), "[")
	return cmp.Or(exampleNumbers[name], other)
}

var wholeNumber = regexp.MustCompile(`^-?[0-9]+$`)

// listExample returns a list with v as its only item.
func listExample(v any, item reflect.Type) string {
	_, isObject := v.(map[string]any)
	_, isText := v.(string)
	switch {
	case item.Kind() == reflect.Struct && isObject:
		return "- before the first line of the mapping"
	case item.Kind() == reflect.Struct:
		return "- key: value lines, one - for each"
	case isObject:
		return `["first", "second"]`
	case isText:
		return "[" + quote(v) + "]"
	}
	return fmt.Sprintf("[%q]", quote(v))
}
