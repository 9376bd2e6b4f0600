// The server command writes container images into an OCI layout and serves a mirror over HTTP.
package main

import (
	"fmt"
	"log"
	"os"
)

const usage = `usage:
  server image LAYOUT NAME CONFIG SOURCE=PATH...   add an image of one layer to the OCI layout; CONFIG is its OCI config in JSON
  server list DIR                                  print the names of the images of a mirror
  server serve DIR [ADDRESS:]PORT                  serve DIR/{apt,etcd,charts} and, as a registry, DIR/registry and DIR/platform`

func main() {
	log.SetFlags(0)
	log.SetPrefix("mirror: ")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	switch {
	case len(args) > 4 && args[0] == "image":
		return addImage(args[1], args[2], args[3], args[4:])
	case len(args) == 2 && args[0] == "list":
		return list(args[1])
	case len(args) == 3 && args[0] == "serve":
		return serve(args[1], args[2])
	}
	return fmt.Errorf("unknown arguments %q\n%s", args, usage)
}
