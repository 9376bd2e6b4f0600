package rollouttest

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
)

// messages are what the controller has written into the status of the Rollout since the last release. It keeps the
// reason of an abort for one look only, which a question now and then would miss.
type messages struct {
	mu  sync.Mutex
	all []message
}

type message struct{ hash, text string }

func (m *messages) add(said message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) == 0 || m.all[len(m.all)-1] != said {
		m.all = append(m.all, said)
	}
}

func (m *messages) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = nil
}

// of returns the messages about a version, oldest first.
func (m *messages) of(hash string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var texts []string
	for _, said := range m.all {
		if said.hash == hash {
			texts = append(texts, said.text)
		}
	}
	return texts
}

// watch records the messages of the Rollout until the API server ends the answer. It sends every change of the object.
func (c *cluster) watch(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.api.URL+apps+"/rollouts?watch=true", nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer test")
	answer, err := c.client.Do(request)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	for events := json.NewDecoder(answer.Body); ; {
		var event struct{ Object rollout }
		if events.Decode(&event) != nil {
			return
		}
		c.messages.add(message{event.Object.Status.CurrentPodHash, event.Object.Status.Message})
	}
}
