package config

import (
	"encoding/json"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// FromContext loads the settings of the running stack.
func FromContext(ctx *pulumi.Context) (*Config, error) {
	known := contextKeys()
	before := misplacedSecrets(ctx.IsConfigSecret)
	if known != nil {
		// The CLI runs the program in the project's directory. An inline program can run in any directory, and LoadFile
		// has made the same check before.
		faults, err := fileFaults("Pulumi." + ctx.Stack() + ".yaml")
		if err != nil {
			return nil, err
		}
		before = append(before, faults...)
	}
	c, err := load(ctx.Stack(), ctx.GetConfig, known, before)
	if err != nil {
		return nil, err
	}
	warnings := c.Warnings()
	for _, name := range Secrets {
		key := Namespace + ":" + name
		if _, ok := ctx.GetConfig(key); ok && !ctx.IsConfigSecret(key) {
			warnings = append(warnings, plainSecret(name).Error())
		}
	}
	switch passwords := c.Mirrors.passwords(); {
	case ctx.IsConfigSecret(mirrorsKey) && len(passwords) == 0:
		return nil, encryptedMirrors([]string{"mirrors"}, nil)
	case !ctx.IsConfigSecret(mirrorsKey):
		for _, key := range passwords {
			warnings = append(warnings, plainMirrorPassword(key).Error())
		}
	}
	for _, w := range warnings {
		if err := ctx.Log.Warn(w, nil); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// contextKeys returns the keys that the stack sets. The context can only look up a key by its name. The CLI also
// passes all keys in the environment. An inline program has no such environment, so its unknown keys are not checked
// here.
func contextKeys() []string {
	var all map[string]string
	if err := json.Unmarshal([]byte(os.Getenv(pulumi.EnvConfig)), &all); err != nil {
		return nil
	}
	return sortedKeys(all)
}
