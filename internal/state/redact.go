package state

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"kubeadm-aws/addons/bcrypt"
	"kubeadm-aws/cluster/stepline"
)

// Redact returns a copy of a state without its secrets, and without operations that are pending. The state is an export
// with secrets in plain text. known are the secrets among the settings, with the text that stands for each.
//
// A preview of the copy shows the same changes as one of the state, because the same text stands for a secret wherever
// the program puts it: alone, within a longer text, or in base64. The program derives all of its inputs from settings
// and from keys and passwords, which the providers random and tls make. A text in a secret that holds none of these is
// replaced as a whole, unless the state has it in plain text too: it can be a secret of the settings of an earlier
// update. The error names a property that holds a secret although it is not marked as one.
//
// One pair of a key and a certificate, new in each copy, stands for all of them. Pulumi's provider of Kubernetes
// refuses a kubeconfig whose key and certificate do not match, also for a preview that reaches no cluster.
func (s State) Redact(known map[string]string) (State, error) {
	pair, err := newPair()
	if err != nil {
		return State{}, fmt.Errorf("the key that stands for others: %w", err)
	}
	r := newRedaction(s, known, pair)
	s.PendingOperations = nil
	s.Resources = slices.Clone(s.Resources)
	for i, resource := range s.Resources {
		r.keep = nil
		if s.Resources[i].Inputs, err = r.properties(resource.Inputs, false); err != nil {
			return State{}, fmt.Errorf("redact the inputs of %s: %w", resource.URN, err)
		}
		r.keep = secretTexts(s.Resources[i].Inputs)
		opaque := !makesSecrets(resource) && resource.Type != stackType
		if s.Resources[i].Outputs, err = r.properties(resource.Outputs, opaque); err != nil {
			return State{}, fmt.Errorf("redact the outputs of %s: %w", resource.URN, err)
		}
		if name, found := r.leak(s.Resources[i]); found {
			return State{}, fmt.Errorf("%s holds %s in plain text", resource.URN, name)
		}
	}
	return s, nil
}

const (
	// secretSign is the key, and secretMark its value, with which Pulumi marks a secret in a state.
	secretSign, secretMark = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
	stackType              = "pulumi:pulumi:Stack"
	// redacted stands for a secret of unknown origin.
	redacted = "redacted"
)

// hash matches a hash of bcrypt of an unknown password.
var hash = regexp.MustCompile(`\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}`)

// redaction replaces secrets.
type redaction struct {
	// secrets are those to replace, longest first.
	secrets []string
	// names are the texts that stand for the secrets.
	names   map[string]string
	replace *strings.Replacer
	// certificates replaces certificates, which are not secret.
	certificates *strings.Replacer
	// made are the hashes of what stands for passwords.
	made map[string]bool
	// keep are the redacted texts of the inputs of a resource. An output that repeats an input stays equal to it.
	keep map[string]bool
	// plain are the texts of the state that are not in a secret.
	plain map[string]bool
	// urns are those of all resources.
	urns string
	// stands are the texts that stand for secrets.
	stands map[string]bool
}

func newRedaction(s State, known map[string]string, pair keyPair) *redaction {
	r := &redaction{names: map[string]string{}, made: map[string]bool{}, plain: plainTexts(s),
		stands: map[string]bool{}}
	add := func(secret, name string) {
		if secret == "" || r.names[secret] != "" {
			return
		}
		r.names[secret], r.stands[name] = name, true
		// A shorter text would be found in other texts too. It is replaced where it stands alone.
		if len(secret) >= 4 {
			r.secrets = append(r.secrets, secret)
		}
	}
	for secret, name := range known {
		add(secret, name)
	}
	for _, resource := range s.Resources {
		r.urns += string(resource.URN) + "\n"
	}
	var certificates []string
	for _, resource := range s.Resources {
		if !makesSecrets(resource) {
			continue
		}
		for property, value := range resource.Outputs {
			if text, ok := plaintext(value); ok {
				var secret string
				if json.Unmarshal([]byte(text), &secret) == nil {
					add(secret, pair.standIn(property, secret, "redacted-"+resource.URN.Name()+"-"+property))
				}
			}
		}
		if text, ok := resource.Outputs["certPem"].(string); ok {
			certificates = append(certificates, forms.pairs(text, pair.certificate)...)
		}
	}
	r.certificates = strings.NewReplacer(certificates...)
	sort.Slice(r.secrets, func(i, j int) bool {
		a, b := r.secrets[i], r.secrets[j]
		return len(a) > len(b) || len(a) == len(b) && a < b
	})
	pairs := append(r.hashes(), certificates...)
	for _, secret := range r.secrets {
		pairs = append(pairs, forms.pairs(secret, r.names[secret])...)
	}
	r.replace = strings.NewReplacer(pairs...)
	return r
}

// hashes pairs the hash of each password and salt with that of what stands for both.
func (r *redaction) hashes() (pairs []string) {
	for _, salt := range r.secrets {
		raw, err := base64.StdEncoding.DecodeString(salt)
		if err != nil || len(raw) != 16 {
			continue
		}
		stand, err := base64.StdEncoding.DecodeString(r.names[salt])
		if err != nil {
			continue // It is a password that looks like a salt.
		}
		for _, password := range r.secrets {
			hash, err := bcrypt.Hash(password, raw)
			if err != nil {
				continue // A text that is too long is no password.
			}
			if other, err := bcrypt.Hash(r.names[password], stand); err == nil {
				pairs = append(pairs, hash, other)
				r.made[other] = true
			}
		}
	}
	return pairs
}

// writings are functions that write a text into a longer one.
type writings []func(string) string

// pairs returns each form of a text, followed by that of its replacement.
func (w writings) pairs(text, replacement string) []string {
	var pairs []string
	for _, form := range w {
		pairs = append(pairs, form(text), form(replacement))
	}
	return pairs
}

// forms are the ways in which the program writes a secret or a certificate into a longer text.
var forms = writings{
	func(s string) string { return s },
	quoted,
	func(s string) string { return quoted(quoted(s)) },
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	strings.TrimSpace,
}

// quoted returns a text as it is within a JSON string.
func quoted(s string) string {
	text, _ := json.Marshal(s)
	return strings.Trim(string(text), `"`)
}

func makesSecrets(r Resource) bool {
	return strings.HasPrefix(string(r.Type), "random:") || strings.HasPrefix(string(r.Type), "tls:")
}

// plaintext returns the JSON of a secret, and whether the value is one.
func plaintext(value any) (string, bool) {
	fields, _ := value.(map[string]any)
	if fields[secretSign] != secretMark {
		return "", false
	}
	text, ok := fields["plaintext"].(string)
	return text, ok
}

func (r *redaction) properties(all map[string]any, opaque bool) (map[string]any, error) {
	if all == nil {
		return nil, nil
	}
	value, err := r.value(all, opaque)
	if err != nil {
		return nil, err
	}
	return value.(map[string]any), nil
}

// value redacts the secrets below a value. With opaque, a text is replaced as a whole unless an input has it too.
func (r *redaction) value(value any, opaque bool) (any, error) {
	return mapped("", value, func(key string, value any) (any, bool, error) {
		if text, ok := value.(string); ok {
			return r.certificates.Replace(text), true, nil
		}
		fields, _ := value.(map[string]any)
		if fields[secretSign] != secretMark {
			return nil, false, nil
		}
		text, ok := plaintext(value)
		if !ok {
			return nil, true, errors.New("a secret of the state is not in plain text")
		}
		redacted, err := r.secret(key, text, opaque)
		return redacted, true, err
	})
}

// secret redacts a secret, whose JSON is plain, at a key.
func (r *redaction) secret(key, plain string, opaque bool) (any, error) {
	var value any
	decoder := json.NewDecoder(strings.NewReader(plain))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("a secret is not JSON: %w", err)
	}
	redacted, err := r.texts(key, value, opaque)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(redacted)
	if err != nil {
		return nil, err
	}
	return map[string]any{secretSign: secretMark, "plaintext": string(text)}, nil
}

// texts redacts every text below the value of a secret, which may have secrets of its own.
func (r *redaction) texts(key string, value any, opaque bool) (any, error) {
	return mapped(key, value, func(key string, value any) (any, bool, error) {
		if text, ok := plaintext(value); ok {
			inner, err := r.secret(key, text, opaque)
			return inner, true, err
		}
		text, ok := value.(string)
		if !ok {
			return nil, false, nil
		}
		return r.whole(key, text, opaque), true, nil
	})
}

// open are keys of texts that the program puts next to a secret, and that are not one.
var open = regexp.MustCompile(`^(host|port|user|username|admin-user|hostKey|provider|type|admin\.passwordMtime)$`)

// whole redacts a text that is a secret, or a part of one. Text without a known secret is of unknown origin.
func (r *redaction) whole(key, text string, opaque bool) string {
	out := r.text(text)
	switch {
	case r.keep[out]:
		return out
	case opaque, out == text && text != "" && !open.MatchString(key) && !r.isPlain(text):
		return redacted
	}
	return out
}

// isPlain reports whether the state has a text outside of secrets, also if it is in base64 here.
func (r *redaction) isPlain(text string) bool {
	inside, err := base64.StdEncoding.DecodeString(text)
	return r.plain[text] || err == nil && r.plain[string(inside)]
}

// encoded matches what may be base64 within a longer text, such as the login of a registry in a header.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/]{8,}={0,2}`)

// text redacts the secrets within a text, also in parts that are base64 of a text, and in the standard input of a step.
// Base64 of anything else is replaced as a whole.
func (r *redaction) text(text string) string {
	if stand := r.names[text]; stand != "" {
		return stand
	}
	out := hash.ReplaceAllStringFunc(r.replace.Replace(text), func(of string) string {
		if r.made[of] {
			return of
		}
		return redacted
	})
	out = r.logins(out)
	out = encoded.ReplaceAllStringFunc(out, func(part string) string {
		inside, err := base64.StdEncoding.DecodeString(part)
		if err != nil || !utf8.Valid(inside) {
			return part
		}
		if changed := r.text(string(inside)); changed != string(inside) {
			return base64.StdEncoding.EncodeToString([]byte(changed))
		}
		return part
	})
	inside, err := base64.StdEncoding.DecodeString(text)
	if out != text || err != nil || len(text) < 32 || utf8.Valid(inside) {
		return out
	}
	files, err := stepline.Unpack(text)
	if err != nil {
		return redacted
	}
	for name := range files {
		files[name] = r.text(files[name])
	}
	if out, err = stepline.Pack(files); err != nil {
		return redacted
	}
	return out
}

// basicAuth and urlLogin match logins within a longer text.
var (
	basicAuth = regexp.MustCompile(`\bBasic ([A-Za-z0-9+/]{4,}={0,2})`)
	urlLogin  = regexp.MustCompile(`(://[^\s/:@"]*:)([^\s/@"]+)@`)
)

// logins replaces the passwords of logins that are not known, in a text that also has known secrets.
func (r *redaction) logins(text string) string {
	text = basicAuth.ReplaceAllStringFunc(text, func(login string) string {
		inside, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(login, "Basic "))
		_, password, _ := strings.Cut(string(inside), ":")
		if err == nil && (r.stands[password] || r.names[password] != "") {
			return login
		}
		return "Basic " + redacted
	})
	return urlLogin.ReplaceAllStringFunc(text, func(login string) string {
		parts := urlLogin.FindStringSubmatch(login)
		if r.stands[parts[2]] {
			return login
		}
		return parts[1] + redacted + "@"
	})
}

// leak returns what stands for a secret that a resource still has, in any form. A password that is also a part of the
// name of a resource is a word that the program uses, such as monitoring.
func (r *redaction) leak(resource Resource) (name string, found bool) {
	text, _ := json.Marshal(resource)
	for _, secret := range r.secrets {
		if len(secret) >= 8 && !strings.Contains(r.urns, secret) && strings.Contains(string(text), quoted(secret)) {
			return r.names[secret], true
		}
	}
	return "", false
}
