// Package random is the sandbox's provider of passwords, bytes and UUIDs. Its values are really random.
package random

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/crypto/bcrypt"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
)

// Provider creates random values. They exist in the state only.
type Provider struct{}

// kind is a resource type: its required inputs, and its outputs and which of them are secret.
type kind struct {
	required, computed, secret []string
	make                       func(in props.Map) (id string, out props.Map, err error)
}

var kinds = map[string]kind{
	"random:index/randomPassword:RandomPassword": {
		required: []string{"length"}, computed: []string{"result", "bcryptHash"}, secret: []string{"result", "bcryptHash"},
		make: func(in props.Map) (string, props.Map, error) {
			text, err := randomText(in)
			if err != nil {
				return "", nil, err
			}
			hash, err := bcrypt.GenerateFromPassword([]byte(text)[:min(len(text), 72)], bcrypt.DefaultCost)
			return "none", props.Map{"result": text, "bcryptHash": string(hash)}, err
		},
	},
	"random:index/randomBytes:RandomBytes": {
		required: []string{"length"}, computed: []string{"base64", "hex"}, secret: []string{"base64", "hex"},
		make: func(in props.Map) (string, props.Map, error) {
			b := make([]byte, int(in.Number("length")))
			_, err := rand.Read(b)
			return "none", props.Map{"base64": base64.StdEncoding.EncodeToString(b), "hex": hex.EncodeToString(b)}, err
		},
	},
	"random:index/randomUuid7:RandomUuid7": {
		computed: []string{"result"},
		make: func(props.Map) (string, props.Map, error) {
			id, err := uuid.NewV7()
			return id.String(), props.Map{"result": id.String()}, err
		},
	},
}

func (Provider) Check(r *engine.Request) (engine.Checked, error) {
	res, ok := kinds[r.Type]
	if !ok {
		return engine.Checked{}, engine.UnknownType(r.Type)
	}
	return engine.Checked{Failures: engine.Missing(r.Inputs, res.required)}, nil
}

func (Provider) Diff(r *engine.Request) engine.Difference {
	changed := props.Changed(r.OldInputs, r.Inputs)
	return engine.Difference{Changed: changed, Replace: changed}
}

func (Provider) Create(r *engine.Request) (engine.Answer, error) {
	res := kinds[r.Type]
	if r.Preview {
		return engine.Answer{Outputs: engine.Unknowns(res.computed), Secret: res.secret}, nil
	}
	id, out, err := res.make(r.Inputs)
	if err != nil {
		return engine.Answer{}, fmt.Errorf("%s %s: %w", r.Type, r.Name, err)
	}
	return engine.Answer{ID: id, Outputs: out, Secret: res.secret}, nil
}

func (Provider) Read(r *engine.Request) (engine.Answer, error) {
	return engine.Answer{ID: r.ID}, nil
}
func (Provider) Update(r *engine.Request) (engine.Answer, error) {
	return engine.Answer{}, fmt.Errorf("%s is never updated", r.Type)
}
func (Provider) Delete(*engine.Request) error { return nil }
func (Provider) Invoke(r *engine.Request, _ props.Map) (props.Map, error) {
	return nil, engine.UnknownFunction(r.Type)
}

// randomText returns a text by the inputs of RandomPassword. Each class of characters is on unless its input is false.
// An input such as minLower is the least number of characters of a class.
func randomText(in props.Map) (string, error) {
	special := "!@#$%&*()-_=+[]{}<>:?"
	if in.Has("overrideSpecial") {
		special = in.Str("overrideSpecial")
	}
	classes := []struct{ on, min, letters string }{
		{"lower", "minLower", "abcdefghijklmnopqrstuvwxyz"}, {"upper", "minUpper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{"numeric", "minNumeric", "0123456789"}, {"special", "minSpecial", special},
	}
	var alphabet string
	var out []byte
	for _, c := range classes {
		if in.Has(c.on) && !in.Flag(c.on) {
			continue
		}
		alphabet += c.letters
		for range int(in.Number(c.min)) {
			letter, err := pick(c.letters)
			if err != nil {
				return "", err
			}
			out = append(out, letter)
		}
	}
	if strings.TrimSpace(alphabet) == "" {
		return "", fmt.Errorf("every class of characters is switched off")
	}
	for len(out) < int(in.Number("length")) {
		letter, err := pick(alphabet)
		if err != nil {
			return "", err
		}
		out = append(out, letter)
	}
	for i := len(out) - 1; i > 0; i-- {
		j, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			return "", err
		}
		out[i], out[j.Int64()] = out[j.Int64()], out[i]
	}
	return string(out), nil
}

func pick(letters string) (byte, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
	if err != nil {
		return 0, err
	}
	return letters[n.Int64()], nil
}
