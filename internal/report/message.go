package report

import (
	"regexp"
	"strings"
)

// quotedCommand matches the command in the error of a failed remote command. The error quotes the whole command, here
// a script of some hundred lines in one line, and gives the reason after it.
var quotedCommand = regexp.MustCompile(`: running "(?:[^"\\]|\\.)*":\n`)

// withoutCommand removes the command from the error and leaves the reason.
func withoutCommand(message string) string { return quotedCommand.ReplaceAllString(message, "\n") }

// Texts of the command provider and of Go's SSH client about a host that was not reached, that refuses the user key,
// or that shows another host key than the pinned one.
var (
	unreachable = regexp.MustCompile(`after \d+ failed attempts|dial tcp \S+:22: `)
	refusedKey  = "ssh: unable to authenticate"
	otherKey    = "ssh: host key mismatch"
	// The context of a step ends first only if a host accepts connections and then sends nothing.
	timeOver = "context deadline exceeded"
)

// withAdvice adds what to look at to a reason that does not name it.
func withAdvice(message string) string {
	switch {
	case strings.Contains(message, otherKey):
		return message +
			"\nNothing was run on it. Look at: is this still the machine of this stack (its address may be another's by now)? " +
			"A new key for it means a new machine: pulumi up --replace with the URN of the instance"
	case strings.Contains(message, refusedKey):
		return message + "\nThe host answers on SSH and refuses the key of this stack. Look at: is the user right for the " +
			"image (image.os, image.ami), " +
			"did cloud-init finish, was ~/.ssh/authorized_keys changed by hand (from inside: aws ssm start-session --target " +
			"INSTANCE)?"
	case unreachable.MatchString(message):
		return message + "\nThe host does not answer on SSH. Look at: does its instance run and pass its status checks, " +
			"is the address that you come from in access.adminCidrs, does your own network let port 22 out, " +
			"does sshd run (from inside: aws ssm start-session --target INSTANCE)? On hosts of this machine: docker ps"
	case message == timeOver:
		return message +
			"\nThe time of the step was over before its host answered. A host that takes connections on port 22 and then " +
			"says nothing hangs: look at its status checks and its console output (aws ec2 get-console-output), then stop " +
			"and start it"
	}
	return message
}
