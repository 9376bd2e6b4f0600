package config

// validator collects the faults of a decoded configuration.
type validator struct {
	c       *Config
	present map[string]bool
	broken  Errors // what decoding refused already
	faults  Errors
}

func (v *validator) fault(key string, value any, reason, example string) {
	v.faults = append(v.faults, Fault{Key: key, Value: render(value), Reason: reason, Example: example})
}

func (v *validator) secrets(func(key string) (string, bool)) {}

func (v *validator) all() {}
