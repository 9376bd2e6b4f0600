package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// secretsValidator validates the secrets without showing them.
type secretsValidator struct {
	part
	get func(key string) (string, bool)
}

// passwords validates the passwords of the data services.
func (v secretsValidator) passwords() {
	for _, name := range passwords {
		value, ok := v.get(Namespace + ":" + name)
		if !ok {
			continue
		}
		switch {
		case len(value) < minPassword:
			v.fault(name, nil, fmt.Sprintf("must have at least %d characters", minPassword), secretCommand(name))
		case len(value) > maxPassword:
			v.fault(name, nil, fmt.Sprintf("must have at most %d characters, because bcrypt reads no more", maxPassword),
				secretCommand(name))
		case !urlSafe.MatchString(value):
			v.fault(name, nil, "must be made of letters, digits and any of -._~ because it becomes part of connection URLs",
				secretCommand(name))
		}
	}
}

const (
	minPassword = 8
	maxPassword = 72
)

func secretCommand(name string) string {
	if !slices.Contains(passwords, name) {
		return fmt.Sprintf("pulumi config set --secret %s:%s", Namespace, name)
	}
	return fmt.Sprintf("pulumi config set --secret %s:%s, or pulumi config rm %[1]s:%[2]s to have one generated",
		Namespace, name)
}

// plainSecret returns the fault of a secret that everyone with the repository can read.
func plainSecret(name string) FieldError {
	return FieldError{
		Key:     Namespace + ":" + name,
		Reason:  "is in the stack's file in plain text",
		Example: secretCommand(name) + "; and choose another, for this one is known",
	}
}

// misplacedSecrets refuses encrypted values in ordinary settings. The program would decrypt them into Helm values,
// files on hosts and tags, and so into the plain part of the state.
func misplacedSecrets(encrypted func(key string) bool) Errors {
	var keys []string
	for _, name := range sortedKeys(fieldsOf(reflect.TypeFor[Config]())) {
		keys = append(keys, Namespace+":"+name)
	}
	for _, name := range sortedKeys(fieldsOf(reflect.TypeFor[AWS]())) {
		keys = append(keys, awsNamespace+":"+name)
	}
	var faults Errors
	for _, key := range keys {
		if encrypted(key) && key != mirrorsKey {
			faults = append(faults, FieldError{
				Key:     key,
				Reason:  "holds an encrypted value, and settings are not kept secret: it would be readable in the state",
				Example: "passwords go to " + strings.Join(Secrets, ", ") + "; take others from a Secret in the cluster",
			})
		}
	}
	return faults
}

// mirrorsKey is the only setting that may hold encrypted values: the passwords of registry mirrors. Pulumi marks a
// setting as secret as a whole, so the program cannot tell which value in it is encrypted.
const mirrorsKey = Namespace + ":mirrors"

// passwords returns the keys of the mirrors' passwords in the settings.
func (m Mirrors) passwords() []string {
	var keys []string
	for _, host := range sortedKeys(m.Registries) {
		if m.Registries[host].Password != "" {
			keys = append(keys, child(child("mirrors.registries", host), "password"))
		}
	}
	return keys
}

// plainMirrorPassword returns the fault of a mirror's password that everyone with the repository can read.
func plainMirrorPassword(key string) FieldError {
	return FieldError{
		Key:     Namespace + ":" + key,
		Reason:  "is in the stack's file in plain text",
		Example: secretPathCommand(Namespace+":"+key) + "; and choose another, for this one is known",
	}
}

// secretPathCommand returns the command that sets a secret inside a setting. The CLI asks for the value.
func secretPathCommand(key string) string {
	return "pulumi config set --path --secret '" + key + "'"
}

// encryptedMirrors refuses encrypted values in mirrors that are not passwords: they would be readable in the state.
func encryptedMirrors(encrypted, passwords []string) Errors {
	var faults Errors
	for _, key := range encrypted {
		if !slices.Contains(passwords, key) {
			faults = append(faults, FieldError{
				Key: Namespace + ":" + key,
				Reason: "is encrypted, and only the passwords in mirrors.registries are kept secret: it would be readable in " +
					"the state",
				Example: "pulumi config set --path '" + Namespace + ":" + key + "' without --secret",
			})
		}
	}
	return faults
}
