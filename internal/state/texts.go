package state

import "encoding/json"

// changer returns what replaces the value at a key, if anything does.
type changer func(key string, value any) (to any, changed bool, err error)

// mapped copies a value of JSON. change may replace a part, which is then not looked into. It gets the key of the part,
// also within lists.
func mapped(key string, value any, change changer) (any, error) {
	if to, changed, err := change(key, value); changed || err != nil {
		return to, err
	}
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, field := range v {
			var err error
			if out[key], err = mapped(key, field, change); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			var err error
			if out[i], err = mapped(key, element, change); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return value, nil
}

// plainTexts are the texts of a state outside of secrets.
func plainTexts(s State) map[string]bool {
	texts := map[string]bool{}
	for _, resource := range s.Resources {
		for _, properties := range []map[string]any{resource.Inputs, resource.Outputs} {
			// The error is that of the function, which returns none.
			_, _ = mapped("", properties, func(_ string, value any) (any, bool, error) {
				fields, _ := value.(map[string]any)
				if text, ok := value.(string); ok {
					texts[text] = true
				}
				return nil, fields[secretSign] == secretMark, nil
			})
		}
	}
	return texts
}

// secretTexts are the texts below a redacted value.
func secretTexts(value any) map[string]bool {
	texts := map[string]bool{}
	var collect func(string, any) (any, bool, error)
	collect = func(_ string, value any) (any, bool, error) {
		if text, ok := plaintext(value); ok {
			var inside any
			if err := json.Unmarshal([]byte(text), &inside); err != nil {
				return nil, true, err
			}
			_, err := mapped("", inside, collect)
			return nil, true, err
		}
		if text, ok := value.(string); ok {
			texts[text] = true
		}
		return nil, false, nil
	}
	// The texts are those of a value that was redacted before, so they are JSON.
	_, _ = mapped("", value, collect)
	return texts
}
