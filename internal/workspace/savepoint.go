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

// savepoint keeps a simulated account and its state in step when the engine writes the state only at the end of an
// operation. The account is a journal, to which each change is appended at once. If the engine is killed before it
// writes the state, rollback cuts the journal to its length before the operation.
type savepoint struct {
	// file contains the record, journal is the account, and state is the stack's state.
	file, journal, state string
}

// savepointRecord is the length of the journal in bytes that belongs to a state.
type savepointRecord struct {
	Journal int64
	// State is the SHA-256 of the state in hexadecimal, or empty without a state.
	State string
}

func savepointIn(account, state string) savepoint {
	return savepoint{file: filepath.Join(account, "savepoint.json"), journal: filepath.Join(account, "account.jsonl"),
		state: state}
}

// set records the journal and the state that the next operation starts from.
func (s savepoint) set() error {
	info, err := os.Stat(s.journal)
	if err != nil {
		return fmt.Errorf("savepoint of the simulated account: %w", err)
	}
	digest, err := s.digest()
	if err != nil {
		return err
	}
	text, err := json.Marshal(savepointRecord{info.Size(), digest})
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.file+".new", text, 0o600); err != nil {
		return fmt.Errorf("savepoint of the simulated account: %w", err)
	}
	return os.Rename(s.file+".new", s.file)
}

// advance sets the savepoint after an operation. An operation that failed and left the state as it was may have changed
// the account: the savepoint then stays, and lost is true.
func (s savepoint) advance(failed bool) (lost bool, err error) {
	if failed {
		record, err := s.read()
		if err != nil {
			return false, err
		}
		digest, err := s.digest()
		if err != nil || digest == record.State {
			return true, err
		}
	}
	return false, s.set()
}

// read returns the record. Without a savepoint the error is fs.ErrNotExist.
func (s savepoint) read() (record savepointRecord, err error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return record, err
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return record, fmt.Errorf("the savepoint %s of the simulated account cannot be read: %w", Relative(s.file), err)
	}
	return record, nil
}

// release removes the savepoint: the state belongs to the whole journal.
func (s savepoint) release() error {
	if err := os.Remove(s.file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// rollback undoes an operation that ended before its state was written, and releases the savepoint. Such an operation
// has left the state of the savepoint as it was.
func (s savepoint) rollback(l *report.Log) error {
	record, err := s.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	digest, err := s.digest()
	if err != nil {
		return err
	}
	info, err := os.Stat(s.journal)
	if err != nil {
		return fmt.Errorf("read the simulated account: %w", err)
	}
	if digest == record.State && info.Size() > record.Journal {
		if err := os.Truncate(s.journal, record.Journal); err != nil {
			return fmt.Errorf("undo in the simulated account: %w", err)
		}
		l.Info("A run ended before its state was written; the simulated account is as it was before that run.")
	}
	return s.release()
}

func (s savepoint) digest() (string, error) {
	text, err := os.ReadFile(s.state)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read the state: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
