package main

import (
	"regexp"
	"strings"
)

// A remote command that fails is quoted whole in its error: here that is a script of some hundred lines, in one line, and
// the reason comes after it.
var quotedCommand = regexp.MustCompile(`: running "(?:[^"\\]|\\.)*":\n`)

// withoutCommand leaves the reason.
func withoutCommand(message string) string { return quotedCommand.ReplaceAllString(message, "\n") }

// What the command provider says of a host that did not let it in, and of one that shows another key than it was given.
var (
	unreachable = regexp.MustCompile(`after \d+ failed attempts|dial tcp \S+:22: `)
	otherKey    = "ssh: host key mismatch"
)

// withAdvice adds what to look at to a reason that does not say it itself.
func withAdvice(message string) string {
	switch {
	case strings.Contains(message, otherKey):
		return message + "\nNothing was run on it. Look at: is this still the machine of this stack (its address may be another's by now)? " +
			"A new key for it means a new machine: pulumi up --replace with the URN of the instance"
	case unreachable.MatchString(message):
		return message + "\nThe host does not answer on SSH. Look at: does its instance run and pass its status checks, " +
			"is the address that you come from in access.adminCidrs, does sshd run (from inside: aws ssm start-session --target INSTANCE)? " +
			"On hosts of this machine: docker ps"
	}
	return message
}
