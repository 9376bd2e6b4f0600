package config

import (
	"embed"
	"strings"
	"sync"
)

//go:embed kubernetes-*.txt
var kubernetesTables embed.FS

// kubernetesTable holds the names and types of one Kubernetes release, first by kind (kubelet, kubeProxy, apiServer,
// controllerManager, scheduler, gate, admission), then by name. Module schematest generates the files from the real
// types.
type kubernetesTable map[string]map[string]string

// tables parses the embedded files once. The key is the minor release, such as 1.36.
var tables = sync.OnceValue(func() map[string]kubernetesTable {
	files, err := kubernetesTables.ReadDir(".")
	if err != nil {
		panic(err) // the files are embedded in the program
	}
	all := map[string]kubernetesTable{}
	for _, file := range files {
		text, err := kubernetesTables.ReadFile(file.Name())
		if err != nil {
			panic(err)
		}
		table := kubernetesTable{}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if table[words[0]] == nil {
				table[words[0]] = map[string]string{}
			}
			table[words[0]][words[1]] = words[2]
		}
		all[strings.TrimSuffix(strings.TrimPrefix(file.Name(), "kubernetes-"), ".txt")] = table
	}
	return all
})

// tableOf returns the table of a supported release such as 1.36.3. It returns nil for any other release, which
// validation refuses.
func tableOf(version string) kubernetesTable {
	return tables()[version[:max(strings.LastIndex(version, "."), 0)]]
}
