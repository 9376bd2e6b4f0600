// Package stepline formats and parses the command text of a step. Package cluster writes it. The state's readers, the
// sandbox and the timeline parse it.
package stepline

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ScriptDir is the directory on a host with the scripts of its steps. It belongs to root and outlives a reboot.
const ScriptDir = "/var/lib/kubeadm-aws/scripts"

// Line is the command of a step: bash with arguments in an environment, as root.
type Line struct {
	// Name is the step, such as "join". Node is the node that the step changes.
	Name, Node string
	// Env holds the other variables.
	Env map[string]string
	// Args are the arguments of bash. The last one is the path of the step's script in ScriptDir. In states that were
	// written before scripts had files, it is the text of the script.
	Args []string
}

// Format returns "sudo env STEP='join' NODE='worker-1' KEY='value' bash ARG...", with the keys of Env in order.
func (l Line) Format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sudo env STEP=%s NODE=%s", Quote(l.Name), Quote(l.Node))
	for _, key := range slices.Sorted(maps.Keys(l.Env)) {
		fmt.Fprintf(&b, " %s=%s", key, Quote(l.Env[key]))
	}
	b.WriteString(" bash")
	for _, arg := range l.Args {
		if !plain.MatchString(arg) {
			arg = Quote(arg)
		}
		b.WriteString(" " + arg)
	}
	return b.String()
}

// plain matches words that no shell changes.
var plain = regexp.MustCompile(`^[A-Za-z0-9/+=._-]+$`)

// Quote returns any text without NUL as one word of a POSIX shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Parse parses a formatted line. It returns an empty Line for any command that is not a step.
func Parse(command string) (Line, error) {
	rest, found := strings.CutPrefix(command, "sudo env STEP=")
	if !found {
		return Line{}, nil
	}
	rest = "STEP=" + rest
	l := Line{Env: map[string]string{}}
	for !strings.HasPrefix(rest, "bash ") {
		key, after, found := strings.Cut(rest, "=")
		if !found || strings.ContainsAny(key, " '\"") {
			return Line{}, fmt.Errorf("a step must be followed by KEY='value' pairs and bash, not by %.40q", rest)
		}
		value, remains, err := word(after)
		if err != nil {
			return Line{}, fmt.Errorf("value of %s: %w", key, err)
		}
		l.Env[key], rest = value, strings.TrimLeft(remains, " ")
	}
	for rest = strings.TrimLeft(rest[len("bash"):], " "); rest != ""; {
		arg, remains, err := word(rest)
		if err != nil {
			return Line{}, fmt.Errorf("arguments of bash: %w", err)
		}
		l.Args, rest = append(l.Args, arg), strings.TrimLeft(remains, " ")
	}
	l.Name, l.Node = l.Env["STEP"], l.Env["NODE"]
	delete(l.Env, "STEP")
	delete(l.Env, "NODE")
	return l, nil
}

// word reads one word with single quotes and backslashes, as the shell does.
func word(s string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			return b.String(), s[i:], nil
		case '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return "", "", errors.New("a quote is not closed")
			}
			b.WriteString(s[i+1 : i+1+end])
			i += end + 1
		case '\\':
			i++
			if i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), "", nil
}
