package dockerhosts

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"

	"kubeadm-aws/internal/sandbox/backend"
)

// state is the data that later processes need and that docker does not store.
type state struct {
	// Addresses by allocation id.
	Addresses map[string]elastic `json:"addresses,omitempty"`
	// Records of the private zone: name to addresses.
	Records map[string][]string `json:"records,omitempty"`
	// Charts that the controller replaces, by chart name.
	Charts map[string]backend.ChartRelease `json:"charts,omitempty"`
	// Platform runs the add-ons.
	Platform platform `json:"platform,omitzero"`
	// MirrorPort is where the hosts find packages and images.
	MirrorPort int `json:"mirrorPort,omitempty"`
	// Kubeconfig is the last one used. The controller of the next process uses it.
	Kubeconfig string `json:"kubeconfig,omitempty"`
}

type elastic struct {
	Address string `json:"address"`
	Machine string `json:"machine,omitempty"`
}

// store keeps the state in a file, replaced as a whole with every change.
type store struct {
	mu    sync.Mutex
	path  string
	state state
}

func openStore(path string) (*store, error) {
	s := &store{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &s.state); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// read returns a copy.
func (s *store) read() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone()
}

// change applies f and writes the result before it returns.
func (s *store) change(f func(*state) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.state.clone()
	if next.Addresses == nil {
		next.Addresses = map[string]elastic{}
	}
	if next.Records == nil {
		next.Records = map[string][]string{}
	}
	if next.Charts == nil {
		next.Charts = map[string]backend.ChartRelease{}
	}
	if err := f(&next); err != nil {
		return err
	}
	data, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		return err
	}
	temporary := s.path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(temporary, s.path); err != nil {
		return err
	}
	s.state = next
	return nil
}

// keepChart stores a release whose chart the controller replaces.
func (s *store) keepChart(kubeconfig string, r backend.ChartRelease) error {
	chart := path.Base(r.Chart)
	if chart != chartCNI && chart != chartCloud && chart != chartVolumes {
		return nil
	}
	return s.change(func(next *state) error {
		r.Values = nil
		next.Charts[chart] = r
		next.Kubeconfig = kubeconfig
		return nil
	})
}

func (s *store) dropChart(r backend.ChartRelease) error {
	chart := path.Base(r.Chart)
	return s.change(func(next *state) error {
		if next.Charts[chart].Name == r.Name {
			delete(next.Charts, chart)
		}
		return nil
	})
}

func (s *store) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state{}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (s state) clone() state {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // plain maps of strings
	}
	var c state
	if err := json.Unmarshal(data, &c); err != nil {
		panic(err)
	}
	return c
}
