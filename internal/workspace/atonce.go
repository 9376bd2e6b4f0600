package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kubeadm-aws/internal/report"
)

// atOnce keeps a simulated account and its state in step when the engine writes the state only at the end of an
// operation. The account is a journal, which has every change at once. If the engine is killed before it writes the
// state, the journal is cut to its length at the start of the operation: nothing of the operation remains.
type atOnce struct {
	// file contains the mark, journal is the account, and state is the stack's state.
	file, journal, state string
}

// mark is the length of the journal in bytes that belongs to a state.
type mark struct {
	Journal int64
	// State is the SHA-256 of the state in hexadecimal, or empty without a state.
	State string
}

func atOnceIn(account, state string) atOnce {
	return atOnce{file: filepath.Join(account, "mark.json"), journal: filepath.Join(account, "account.jsonl"),
		state: state}
}

// begin marks the journal and the state that the next operation starts from.
func (a atOnce) begin() error {
	info, err := os.Stat(a.journal)
	if err != nil {
		return fmt.Errorf("mark the simulated account: %w", err)
	}
	digest, err := a.digest()
	if err != nil {
		return err
	}
	text, err := json.Marshal(mark{info.Size(), digest})
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.file+".new", text, 0o600); err != nil {
		return fmt.Errorf("mark the simulated account: %w", err)
	}
	return os.Rename(a.file+".new", a.file)
}

// wrote marks what the next operation starts from. A process that failed and left the state as it was may have changed
// the account, so the mark stays and lost is true.
func (a atOnce) wrote(failed bool) (lost bool, err error) {
	if failed {
		m, err := a.read()
		if err != nil {
			return false, err
		}
		digest, err := a.digest()
		if err != nil || digest == m.State {
			return true, err
		}
	}
	return false, a.begin()
}

// read returns the mark, or an error of fs.ErrNotExist if there is none.
func (a atOnce) read() (m mark, err error) {
	text, err := os.ReadFile(a.file)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("the mark %s of the simulated account cannot be read: %w", Relative(a.file), err)
	}
	return m, nil
}

// end removes the mark: the state belongs to the whole journal.
func (a atOnce) end() error {
	if err := os.Remove(a.file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// settle undoes an operation that was killed before its state was written. Such an operation has left its mark, and
// the state is still the one in the mark.
func (a atOnce) settle(l *report.Log) error {
	m, err := a.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	digest, err := a.digest()
	if err != nil {
		return err
	}
	info, err := os.Stat(a.journal)
	if err != nil {
		return fmt.Errorf("read the simulated account: %w", err)
	}
	if digest == m.State && info.Size() > m.Journal {
		if err := os.Truncate(a.journal, m.Journal); err != nil {
			return fmt.Errorf("undo in the simulated account: %w", err)
		}
		l.Info("A run ended before its state was written; the simulated account is as it was before that run.")
	}
	return a.end()
}

func (a atOnce) digest() (string, error) {
	text, err := os.ReadFile(a.state)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read the state: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
