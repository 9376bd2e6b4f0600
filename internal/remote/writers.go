package remote

import (
	"io"
	"sync"
)

// lineWriter passes whole lines on.
type lineWriter struct {
	mu   sync.Mutex
	rest []byte
	line func(string)
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	start := len(w.rest)
	w.rest = append(w.rest, p...)
	for i := start; i < len(w.rest); i++ {
		if w.rest[i] == '\n' {
			w.line(string(w.rest[:i]))
			w.rest = w.rest[i+1:]
			i = -1
		}
	}
	return len(p), nil
}

// flush passes on a last line without an end.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		w.line(string(w.rest))
		w.rest = nil
	}
}

// syncWriter lets two streams share a writer.
type syncWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
