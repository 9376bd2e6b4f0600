package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
)

// leastSpace is the free space in bytes that a run needs. The state of four nodes is about 1 MB. The engine keeps a
// second copy of it while it writes, and so does the driver.
const leastSpace = 64 << 20

// stateCopy is the driver's own copy of the state in a file backend, from the last run that left a readable state.
// The engine overwrites its own backup with every write, so a full disk truncates the state and the backup.
type stateCopy struct {
	// file is the state in the directory backend, dir where the copy goes, and stack part of its name.
	file, backend, dir, stack string
	// real reports whether the state is of real resources. A person then decides whether to restore the copy.
	real bool
}

// stateCopyIn returns the copy of the state of a stack in a file backend.
func stateCopyIn(backend, dir, stack string) stateCopy {
	return stateCopy{file: filepath.Join(backend, ".pulumi", "stacks", config.Namespace, stack+".json"),
		backend: backend, dir: dir, stack: stack}
}

func (c stateCopy) path() string { return filepath.Join(c.dir, c.stack+".good.json") }

// keepState refuses a full disk, restores a truncated state, and copies the state when the workspace is closed.
func (w *Workspace) keepState(c stateCopy) error {
	if err := refuseFullDisk(c.dir); err != nil {
		return err
	}
	if err := c.restore(w.Log); err != nil {
		return err
	}
	if err := removeEmptyAttributes(c.backend); err != nil {
		return err
	}
	w.closers = append(w.closers, c.save)
	return nil
}

// save copies the state if it can be read. It writes a new file and renames it, so that the old copy stays until the
// new one is complete.
func (c stateCopy) save() error {
	text, err := os.ReadFile(c.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !json.Valid(text):
		return nil // the next run brings the copy back
	}
	_ = os.Chmod(c.file, 0o600)
	if err := os.WriteFile(c.path()+".new", text, 0o600); err != nil {
		return errors.Join(fmt.Errorf("keep a copy of the state: %w", err), os.Remove(c.path()+".new"))
	}
	return os.Rename(c.path()+".new", c.path())
}

// restore brings the copy back if the state cannot be read. The next run then recovers what happened after the copy,
// as after a kill.
func (c stateCopy) restore(l *report.Log) error {
	text, err := os.ReadFile(c.file)
	if err != nil || json.Valid(text) {
		return nil // no state yet, or a good one
	}
	good, err := os.ReadFile(c.path())
	if err == nil && c.real {
		return report.Fail(report.ExitCannotStart,
			fmt.Sprintf("Bring the copy of the last good run back, then compare it with the account: cp %s %s, then refresh.",
				c.path(), c.file),
			"the state %s cannot be read; a full disk can truncate it", c.file)
	}
	if err != nil && c.real {
		return report.Fail(report.ExitCannotStart,
			"Bring an earlier state back: pulumi stack import --file FILE (docs/recovery.md, \"The state is damaged\").",
			"the state %s cannot be read (a full disk can truncate it), and there is no copy of it", c.file)
	}
	if err != nil {
		return report.Fail(report.ExitCannotStart, "To begin the simulation again from nothing: rm -r "+Relative(c.dir),
			"the state %s cannot be read (a full disk can truncate it), and there is no copy of it", Relative(c.file))
	}
	if err := os.WriteFile(c.file, good, 0o600); err != nil {
		return report.Fail(report.ExitCannotStart,
			"Make room, then run this again. To begin from nothing: rm -r "+Relative(c.dir), "bring back the state: %w", err)
	}
	l.Warn("The state could not be read (a full disk can truncate it). The copy of the last good run is back. " +
		"If the run now fails on what exists already: rm -r " + Relative(c.dir))
	return nil
}

// refuseFullDisk returns an error if the disk lacks the space to write a whole state.
func refuseFullDisk(dir string) error {
	free, err := freeSpace(dir)
	if err != nil || free >= leastSpace {
		return nil // a file system that does not report its free space is not refused
	}
	return report.Fail(report.ExitBlocked, fmt.Sprintf("Make room on that disk (df -h %s), or use a checkout on "+
		"another one: --dir DIRECTORY.", Relative(dir)),
		"%s has %d MiB left, and a run needs %d: a full disk truncates the state. Nothing was attempted", Relative(dir),
		free>>20, leastSpace>>20)
}

// noWriting is the advice for a directory that cannot be written to.
func noWriting(dir string) string {
	return fmt.Sprintf("Give it to the user that runs this (chown -R $(id -u) %s), remove it (rm -r %[1]s), or use a "+
		"checkout elsewhere: --dir DIRECTORY.", Relative(dir))
}

// removeEmptyAttributes removes files of attributes that a killed engine has created and not written. The engine
// stores attributes next to each file, not by a rename as the file itself, and does not read a file with empty ones.
// It reads a file without.
func removeEmptyAttributes(backend string) error {
	return filepath.WalkDir(filepath.Join(backend, ".pulumi"), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".attrs" {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() == 0 {
			err = os.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // another engine has replaced it
			return nil
		}
		return err
	})
}
