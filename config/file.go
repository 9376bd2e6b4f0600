package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"go.yaml.in/yaml/v3"
)

// LoadFile loads the settings of a stack from Pulumi.<stack>.yaml and the project-wide values from Pulumi.yaml in
// dir. It resolves them like the engine, without running one. Secrets are not decrypted: a placeholder replaces
// them.
func LoadFile(stack, dir string) (*Config, error) {
	values, err := projectValues(filepath.Join(dir, "Pulumi.yaml"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "Pulumi."+stack+".yaml")
	var file struct {
		Config config.Map `yaml:"config"`
	}
	sections, sectionsErr := fileFaults(path)
	if err := readYAML(path, &file); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("stack %s has no settings: %s does not exist (copy Pulumi.dev.yaml to start one)", stack,
				path)
		}
		if len(sections) > 0 {
			return nil, sections
		}
		return nil, err
	}
	if sectionsErr != nil {
		return nil, sectionsErr
	}
	encrypted := map[string]bool{}
	for key, value := range file.Config {
		encrypted[key.String()] = value.Secure()
		if value.Secure() && slices.Contains(Secrets, key.Name()) {
			values[key.String()] = sealed
			continue
		}
		text, err := value.Value(config.NewBlindingDecrypter())
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, key, err)
		}
		values[key.String()] = text
	}
	get := func(key string) (string, bool) { text, ok := values[key]; return text, ok }
	faults := append(sections, misplacedSecrets(func(key string) bool { return encrypted[key] })...)
	sealedMirrors := sealedKeys("mirrors", file.Config[config.MustMakeKey(Namespace, "mirrors")])
	for _, name := range Secrets {
		if _, ok := get(Namespace + ":" + name); ok && !encrypted[Namespace+":"+name] {
			faults = append(faults, plainSecret(name))
		}
	}
	c, err := load(stack, get, sortedKeys(values), faults)
	if err != nil {
		return nil, err
	}
	passwords := c.Mirrors.passwords()
	faults = encryptedMirrors(sealedMirrors, passwords)
	for _, key := range passwords {
		if !slices.Contains(sealedMirrors, key) {
			faults = append(faults, plainMirrorPassword(key))
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return c, nil
}

// ClusterName returns the name of a stack's cluster, as Pulumi.<stack>.yaml in dir sets it. It reads no other setting.
// The name is "" if the file does not exist.
func ClusterName(stack, dir string) (string, error) {
	path := filepath.Join(dir, "Pulumi."+stack+".yaml")
	var file struct {
		Config config.Map `yaml:"config"`
	}
	if err := readYAML(path, &file); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	values, err := projectValues(filepath.Join(dir, "Pulumi.yaml"))
	if err != nil {
		return "", err
	}
	const key = Namespace + ":cluster"
	text := values[key]
	if value, ok := file.Config[config.MustMakeKey(Namespace, "cluster")]; ok {
		if text, err = value.Value(config.NewBlindingDecrypter()); err != nil {
			return "", fmt.Errorf("%s: %s: %w", path, key, err)
		}
	}
	set := struct{ Name string }{stack}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &set); err != nil {
			return "", fmt.Errorf("%s: %s must be a mapping with the name as text, such as {name: %s}", path, key, stack)
		}
	}
	if !clusterName.MatchString(set.Name) {
		return "", fmt.Errorf("%s: cluster.name = %q is not the name of a cluster", path, set.Name)
	}
	return set.Name, nil
}

// sealedKeys returns the paths of the encrypted values at and below a setting.
func sealedKeys(at string, value config.Value) []string {
	if !value.Secure() {
		return nil
	}
	content, err := value.ToObject()
	if err != nil || !value.Object() {
		return []string{at} // encrypted as a whole
	}
	var keys []string
	var walk func(at string, node any)
	walk = func(at string, node any) {
		fields, _ := node.(map[string]any)
		if _, sealed := fields["secure"]; sealed && len(fields) == 1 {
			keys = append(keys, at)
			return
		}
		for _, name := range sortedKeys(fields) {
			walk(child(at, name), fields[name])
		}
		list, _ := node.([]any)
		for i := range list {
			walk(fmt.Sprintf("%s[%d]", at, i), list[i])
		}
	}
	walk(at, content)
	return keys
}

// sealed is the placeholder of a secret. The secret itself is validated when the stack runs.
const sealed = "encrypted-and-not-read"

// sections are the top-level keys of a stack's file that Pulumi reads and this program accepts. Pulumi also reads
// environment, but LoadFile, which every command of the driver calls first, cannot.
var sections = []string{"config", "secretsprovider", "encryptedkey", "encryptionsalt"}

// fileFaults refuses what Pulumi ignores without a message in a stack's file: unknown top-level keys, and every
// document after the first. A file that does not exist has no faults.
func fileFaults(path string) (Errors, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := decoder{}
	name := filepath.Base(path)
	documents := yaml.NewDecoder(bytes.NewReader(text))
	var top map[string]yaml.Node
	if err := documents.Decode(&top); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, key := range sortedKeys(top) {
		if !slices.Contains(sections, key) {
			d.fault(name+": "+key, nil, "is a top-level key that this program does not read", insteadOfSection(key))
		}
	}
	d.bareKeys(top["config"])
	if err := documents.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		d.fault(name, nil, "has a second YAML document after the line ---, and Pulumi reads the first one only",
			"move its keys below the first config:")
	}
	return d.faults, nil
}

// bareKeys refuses keys below config that have no namespace. Pulumi does not read a file with such a key.
func (d *decoder) bareKeys(settings yaml.Node) {
	for i := 0; settings.Kind == yaml.MappingNode && i+1 < len(settings.Content); i += 2 {
		name := settings.Content[i].Value
		switch {
		case strings.Contains(name, ":") || name == "":
		case name == Namespace:
			d.fault(name, nil, "is a namespace and no key", Namespace+":environment, and the same before every other setting")
		case name == regionKey[len(awsNamespace)+1:]:
			d.fault(name, nil, "has no namespace", regionKey)
		default:
			d.fault(name, nil, "has no namespace", qualify(name))
		}
	}
}

// insteadOfSection returns what to write instead of an unknown top-level key.
func insteadOfSection(key string) string {
	settings := append(sortedKeys(fieldsOf(reflect.TypeFor[Config]())), Secrets...)
	switch {
	case strings.Contains(key, ":"):
		return fmt.Sprintf("move %s below config:", key)
	case slices.Contains(settings, key):
		return fmt.Sprintf("%s:%s below config:", Namespace, key)
	case nearest(key, sections) != "":
		return fmt.Sprintf("did you mean %s?", nearest(key, sections))
	}
	return "remove it: settings stand below config:"
}

// projectValues returns the settings in Pulumi.yaml. They apply to every stack that does not set them.
func projectValues(path string) (map[string]string, error) {
	var project struct {
		Config map[string]yaml.Node `yaml:"config"`
	}
	if err := readYAML(path, &project); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, node := range project.Config {
		var declared struct {
			Value   *config.Value `yaml:"value"`
			Default *config.Value `yaml:"default"`
		}
		value := new(config.Value)
		if node.Kind == yaml.MappingNode {
			if err := node.Decode(&declared); err != nil {
				return nil, fmt.Errorf("%s: config %s: %w", path, name, err)
			}
			value = declared.Value
			if value == nil {
				value = declared.Default
			}
		} else if err := node.Decode(value); err != nil {
			return nil, fmt.Errorf("%s: config %s: %w", path, name, err)
		}
		if value == nil {
			continue
		}
		key, err := config.ParseKey(qualify(name))
		if err != nil {
			return nil, fmt.Errorf("%s: config %s: %w", path, name, err)
		}
		text, err := value.Value(config.NewBlindingDecrypter())
		if err != nil {
			return nil, fmt.Errorf("%s: config %s: %w", path, name, err)
		}
		values[key.String()] = text
	}
	return values, nil
}

// qualify adds the project's name as the namespace of a key without one.
func qualify(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return Namespace + ":" + name
}

func readYAML(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
