// Command health reads a Rollout as JSON and prints the health that Argo CD gives it, such as Degraded, with the script
// of Argo CD. The tests of releases build it.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/v3/resource_customizations"
	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

func main() {
	status, err := health(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(status)
}

func health(rollout io.Reader) (string, error) {
	text, err := io.ReadAll(rollout)
	if err != nil {
		return "", err
	}
	script, err := resource_customizations.Embedded.ReadFile("argoproj.io/Rollout/health.lua")
	if err != nil {
		return "", err
	}
	state := lua.NewState()
	defer state.Close()
	object, err := luajson.Decode(state, text)
	if err != nil {
		return "", err
	}
	state.SetGlobal("obj", object)
	if err := state.DoString(string(script)); err != nil {
		return "", err
	}
	return lua.LVAsString(state.GetField(state.Get(-1), "status")), nil
}
