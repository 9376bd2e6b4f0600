package main

import "regexp"

// A remote command that fails is quoted whole in its error: here that is a script of some hundred lines, in one line, and
// the reason comes after it.
var quotedCommand = regexp.MustCompile(`: running "(?:[^"\\]|\\.)*":\n`)

// withoutCommand leaves the reason.
func withoutCommand(message string) string { return quotedCommand.ReplaceAllString(message, "\n") }
