package config

import (
	"fmt"
	"slices"
	"strings"
)

// conditionOperators are those of IAM policies.
var conditionOperators = []string{
	"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
	"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan",
	"NumericGreaterThanEquals",
	"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null",
}

// conditions validates the operators of a statement. The keys below them belong to the services.
func (v identityValidator) conditions(path string, condition any) {
	operators, ok := condition.(map[string]any)
	if !ok {
		v.fault(path, condition, "must be a mapping of operators", "{StringEquals: {aws:SourceVpc: vpc-1}}")
		return
	}
	for _, name := range sortedKeys(operators) {
		bare := strings.TrimPrefix(strings.TrimPrefix(name, "ForAllValues:"), "ForAnyValue:")
		if without, hasSuffix := strings.CutSuffix(bare, "IfExists"); hasSuffix && without != "Null" {
			bare = without
		}
		known := slices.ContainsFunc(conditionOperators, func(o string) bool { return strings.EqualFold(o, bare) })
		if keys, isMap := operators[name].(map[string]any); known && isMap {
			v.conditionValues(child(path, name), keys)
			continue
		} else if known {
			v.fault(child(path, name), operators[name], "must be a mapping of keys", "{aws:SourceVpc: vpc-1}")
			continue
		}
		instead := "one of " + strings.Join(conditionOperators, ", ")
		if near := nearest(bare, conditionOperators); near != "" {
			instead = fmt.Sprintf("did you mean %s?", near)
		}
		v.fault(child(path, name), operators[name], "is not an operator of IAM", instead)
	}
}

// conditionValues refuses what IAM takes for no value: null, a mapping and a list in a list.
func (v identityValidator) conditionValues(path string, keys map[string]any) {
	for _, key := range sortedKeys(keys) {
		list, ok := keys[key].([]any)
		if !ok {
			list = []any{keys[key]}
		}
		for _, item := range list {
			switch item.(type) {
			case string, bool, int, float64:
			default:
				v.fault(child(path, key), keys[key], "must be text, a number, true or false, or a list of them", `"vpc-1"`)
			}
		}
	}
}

// resources validates the ARNs of a statement in this stack's partition.
func (v identityValidator) resources(path string, s map[string]any) {
	for _, key := range []string{"Resource", "NotResource"} {
		list, ok := s[key].([]any)
		if !ok {
			list = []any{s[key]}
		}
		for _, item := range list {
			text, _ := item.(string)
			if !strings.HasPrefix(text, "arn:") {
				continue // * or refused by eitherOf
			}
			parts, own := strings.SplitN(text, ":", 6), v.c.Partition()
			if own != "" && parts[1] != own && !strings.ContainsAny(parts[1], "*?$") {
				v.fault(path+"."+key, text, fmt.Sprintf("is in the partition %s, and aws:region = %s is in %s", parts[1],
					v.c.Region, own), strings.Replace(text, "arn:"+parts[1]+":", "arn:"+own+":", 1))
			}
		}
	}
}

// refusedCharacter returns the first character that IAM does not take in a policy, or "".
func refusedCharacter(document string) string {
	const last = '\u00ff'
	if at := strings.IndexFunc(document, func(r rune) bool { return r > last }); at >= 0 {
		return string([]rune(document[at:])[:1])
	}
	return ""
}
