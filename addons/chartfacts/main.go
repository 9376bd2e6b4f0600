// Command chartfacts prints facts about Helm charts that the tests hold the program against. It is called by
// addons/chart-facts.sh.
//
//	chartfacts keys <chart directory> [<key>=<file with a custom resource definition> | <key>/** ...]
//
// prints the value keys of an unpacked chart, one path a line with slashes between the keys. A path that ends in /** is
// free: the chart takes any keys below it. Below <key> the fields of the definition's spec are added, for charts that
// pass a value on as a whole. <key>/** says that a key is free, where templates show it in a way not recognised here.
//
//	chartfacts charts
//
// prints the charts of the catalogue: name, version, checksum of the archive, repository, release and
// the further arguments of chartfacts keys.
//
//	helm template ... | chartfacts pods
//
// prints the containers that run all the time: workload, replicas, network, container, and what it asks for.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"kubeadm-aws/addons/catalog"
)

func main() {
	var lines []string
	var err error
	switch {
	case len(os.Args) >= 3 && os.Args[1] == "keys":
		lines, err = keys(os.Args[2], os.Args[3:])
	case len(os.Args) == 2 && os.Args[1] == "charts":
		for _, c := range catalog.Charts() {
			line := append([]string{c.Name, c.Version, c.SHA256, c.Repository, c.Release}, c.Facts...)
			lines = append(lines, strings.Join(line, " "))
		}
	case len(os.Args) == 2 && os.Args[1] == "pods":
		lines, err = pods(os.Stdin)
	default:
		fmt.Fprintln(os.Stderr, "usage: chartfacts keys <chart directory> [<key>=<definition> | <key>/** ...]; chartfacts "+
			"pods <manifests; chartfacts charts")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chartfacts:", err)
		os.Exit(1)
	}
	for _, line := range lines {
		fmt.Println(line)
	}
}

func keys(dir string, extras []string) ([]string, error) {
	all, err := chartKeys(dir)
	if err != nil {
		return nil, err
	}
	if err := graftAll(all, extras); err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(key string, _ bool) bool { return all.belowFree(key) })
	return slices.Sorted(maps.Keys(all)), nil
}
