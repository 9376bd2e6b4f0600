// Package store holds what exists: the resources of the AWS account and the objects of the cluster, with a journal on
// disk.
package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"kubeadm-aws/internal/sandbox/props"
)

// Object is one resource in the AWS account or one object in the cluster. What controllers create (load balancers,
// volumes) is stored like what Pulumi creates, without a URN.
type Object struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	URN  string `json:"urn,omitempty"`
	// Inputs are what the program asked for; State adds the attributes that AWS would return. Secrets are hashes in both.
	Inputs props.Map `json:"inputs,omitempty"`
	State  props.Map `json:"state,omitempty"`
}

// get returns the attribute at a dotted path, as `aws describe` shows it: from the state, else from the inputs.
func (o *Object) get(path string) any {
	if v := o.State.At(path); v != nil {
		return v
	}
	return o.Inputs.At(path)
}

func (o *Object) Str(path string) string {
	s, _ := o.get(path).(string)
	return s
}

// Tags are the tags as the account shows them, default tags included.
func (o *Object) Tags() map[string]string {
	if all := o.State.StringMap("tagsAll"); len(all) > 0 {
		return all
	}
	return o.Inputs.StringMap("tags")
}

// Title is how messages name an object: type, id and the Name tag or name.
func (o *Object) Title() string {
	name := o.Tags()["Name"]
	if name == "" {
		name = o.Str("name")
	}
	if name == "" || name == o.ID {
		return o.Type + " " + o.ID
	}
	return fmt.Sprintf("%s %s (%s)", o.Type, o.ID, name)
}

// Store has all objects. Each change is appended to the journal before the call that made it returns, so the journal of
// a killed process is complete. The methods do not lock: a caller holds the lock for as long as its reads and changes
// belong together.
type Store struct {
	sync.Mutex
	objects map[string]*Object
	// births counts the objects ever made per key, so that ids repeat from run to run but never within one.
	births  map[string]int
	journal *os.File
}

// entry is one line of the journal: the new content of an object, or only its type and id when it was removed.
type entry struct {
	Gone   bool    `json:"gone,omitempty"`
	Object *Object `json:"object"`
	// Birth is the key of births that this entry counts up.
	Birth string `json:"birth,omitempty"`
}

// Open reads the journal in dir, or starts an empty one. An empty dir keeps the account in memory.
func Open(dir string) (*Store, error) {
	s := &Store{objects: map[string]*Object{}, births: map[string]int{}}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("sandbox account: %w", err)
	}
	path := filepath.Join(dir, "account.jsonl")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sandbox account: %w", err)
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	if err := s.replay(data[:whole]); err != nil {
		return nil, fmt.Errorf("sandbox account %s: %w", path, err)
	}
	s.journal, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sandbox account: %w", err)
	}
	// A process that was killed while it wrote leaves an incomplete last line. Its change was never reported to the
	// engine.
	if err := s.journal.Truncate(int64(whole)); err != nil {
		return nil, fmt.Errorf("sandbox account: %w", err)
	}
	if _, err := s.journal.Seek(int64(whole), 0); err != nil {
		return nil, fmt.Errorf("sandbox account: %w", err)
	}
	return s, nil
}

func (s *Store) replay(data []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Object == nil {
			return fmt.Errorf("line %d is not an entry: %w", n, err)
		}
		s.apply(e)
	}
	return lines.Err()
}

func (s *Store) apply(e entry) {
	if e.Birth != "" {
		s.births[e.Birth]++
	}
	switch key := Key(e.Object.Type, e.Object.ID); {
	case e.Object.Type == "":
	case e.Gone:
		delete(s.objects, key)
	default:
		s.objects[key] = e.Object
	}
}

func (s *Store) commit(e entry) {
	s.apply(e)
	if s.journal == nil {
		return
	}
	line, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("sandbox account: %v", err)) // values hold nothing that JSON cannot
	}
	if _, err := s.journal.Write(append(line, '\n')); err != nil {
		panic(fmt.Sprintf("sandbox account: write the journal: %v", err)) // continuing would leave the journal incomplete
	}
}

func (s *Store) Close() error {
	if s.journal == nil {
		return nil
	}
	return s.journal.Close()
}

func Key(typ, id string) string { return typ + " " + id }

// NewID returns n hexadecimal digits that depend on the type, the requester and how often it has asked before.
func (s *Store) NewID(typ, who string, n int) string {
	birth := typ + " " + who
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", birth, s.births[birth]))
	s.commit(entry{Birth: birth, Object: &Object{}})
	return hex.EncodeToString(sum[:])[:n]
}

func (s *Store) Put(o *Object) { s.commit(entry{Object: o}) }

func (s *Store) Remove(o *Object) {
	s.commit(entry{Gone: true, Object: &Object{Type: o.Type, ID: o.ID}})
}

// Find returns an object by type and id, or nil.
func (s *Store) Find(typ, id string) *Object { return s.objects[Key(typ, id)] }

// All returns the objects of a type, ordered by id.
func (s *Store) All(typ string) []*Object {
	return s.Where(func(o *Object) bool { return o.Type == typ })
}

func (s *Store) Where(match func(*Object) bool) []*Object {
	var out []*Object
	for _, o := range s.objects {
		if match(o) {
			out = append(out, o)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return Key(out[i].Type, out[i].ID) < Key(out[j].Type, out[j].ID)
	})
	return out
}

// Change puts a copy of an object with a new state.
func (s *Store) Change(o *Object, edit func(inputs, state props.Map)) *Object {
	next := *o
	next.Inputs, next.State = props.Clone(o.Inputs), props.Clone(o.State)
	edit(next.Inputs, next.State)
	s.Put(&next)
	return &next
}

// Leftovers describes each object that still exists, one line each. It omits what the account had before, such as a
// hosted zone that was only looked up.
func (s *Store) Leftovers() []string {
	var out []string
	for _, o := range s.Where(func(o *Object) bool {
		return !strings.HasPrefix(o.Type, "host/") && !o.State.Flag("before")
	}) {
		out = append(out, o.Title())
	}
	return out
}

// Made is a resource that the engine made and that exists.
type Made struct{ URN, Type, ID string }

// Made lists what the engine made and still exists, in AWS and in the cluster.
func (s *Store) Made() []Made {
	var all []Made
	for _, o := range s.Where(func(o *Object) bool {
		return o.URN != "" && !o.State.Flag("recordless") &&
			!o.State.Flag("deleting")
	}) {
		all = append(all, Made{URN: o.URN, Type: o.Type, ID: strings.TrimPrefix(o.ID, "/")})
	}
	return all
}
