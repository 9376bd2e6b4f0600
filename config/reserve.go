package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Kept is an amount of a node's memory, CPU or disk that the kubelet does not give to pods.
type Kept struct {
	// Key is the setting below the namespace, such as kubernetes.kubelet.systemReserved.memory. It is empty for an amount
	// of the program's own.
	Key string
	// Value is the value in the settings.
	Value any
	// Amount is in bytes, or in CPUs.
	Amount float64
}

// Resources of a node.
const (
	CPU    = "cpu"
	Memory = "memory"
	Disk   = "ephemeral-storage"
)

// thresholds are the eviction signals of a resource. The kubelet keeps the largest of their amounts free.
var thresholds = map[string][]string{
	Memory: {"memory.available", "allocatableMemory.available"},
	Disk:   {"nodefs.available", "imagefs.available", "containerfs.available"},
}

// KeptFromPods returns the amounts of a resource that the kubelet of a node with that capacity keeps: those reserved
// for the system and for Kubernetes, and the largest eviction threshold. A threshold may be a part of the capacity.
func (k Kubernetes) KeptFromPods(resource string, capacity float64) []Kept {
	const at = "kubernetes.kubelet."
	fields := kubeletFields(k.Kubelet)
	if text := fields.text("reservedSystemCPUs"); resource == CPU && text != "" {
		_, count := cpusOf(text)
		return []Kept{{at + "reservedSystemCPUs", text, float64(count)}}
	}
	var kept []Kept
	for _, field := range []string{"systemReserved", "kubeReserved"} {
		if written, ok := fields.mapping(field)[resource]; ok {
			amount, _ := bytesOf(written)
			kept = append(kept, Kept{child(at+field, resource), written, amount})
		} else if own, ok := programKubelet[field].(map[string]any); ok && !fields.removed(field) {
			amount, _ := bytesOf(own[resource])
			kept = append(kept, Kept{Amount: amount})
		}
	}
	largest := Kept{}
	for _, field := range []string{"evictionHard", "evictionSoft"} {
		for _, signal := range thresholds[resource] {
			written, ok := fields.mapping(field)[signal]
			if amount := thresholdOf(written, capacity); ok && amount > largest.Amount {
				largest = Kept{child(at+field, signal), written, amount}
			}
		}
	}
	return append(kept, largest)
}

// thresholdOf returns the amount of a threshold such as 200Mi, or 5% of the capacity.
func thresholdOf(written any, capacity float64) float64 {
	if written == "100%" {
		return 0 // the kubelet ignores it, as it ignores 0%
	}
	if percent := percentage.FindStringSubmatch(fmt.Sprint(written)); percent != nil {
		n, _ := strconv.ParseFloat(percent[1], 64)
		return capacity * n / 100
	}
	amount, _ := bytesOf(written)
	return amount
}

// LargestKept returns the largest amount that the user wrote, and the sum of all. ok is false if the user wrote none.
func LargestKept(all []Kept) (largest Kept, sum float64, ok bool) {
	for _, k := range all {
		sum += k.Amount
		if k.Key != "" && k.Amount >= largest.Amount {
			largest, ok = k, true
		}
	}
	return largest, sum, ok
}

// minDisk is the space that the system and the images of the add-ons take, in bytes.
const minDisk = 10 << 30

// keptDisk refuses amounts that leave a node's disk no room for pods. Package infra does this for memory and CPU,
// which only AWS knows.
func (v kubeletValidator) keptDisk() {
	const logSize, logFiles = "kubernetes.kubelet.containerLogMaxSize", 5
	for _, n := range v.c.Nodes {
		if n.VolumeSize < MinVolumeSize {
			continue // refused already
		}
		capacity := float64(n.VolumeSize) * (1 << 30)
		largest, sum, ok := LargestKept(v.c.Kubernetes.KeptFromPods(Disk, capacity))
		if ok && capacity-sum < minDisk {
			v.fault(largest.Key, largest.Value, fmt.Sprintf("keeps, with what else is reserved, %.0f of the %d GiB of the disk of "+
				"%s, and the system and the images take %d", sum/(1<<30), n.VolumeSize, n.Name, minDisk>>30),
				"a smaller amount, or a larger volumeSize")
			return
		}
		size, _ := bytesOf(v.fields.value("containerLogMaxSize"))
		if size*logFiles > capacity-minDisk {
			v.fault(logSize, v.fields["containerLogMaxSize"], fmt.Sprintf(
				"lets the logs of one container fill the disk of %s, which has %d GiB", n.Name, n.VolumeSize), `"20Mi"`)
			return
		}
	}
}

// auditLog refuses an audit log that fills the disk of the control plane, which etcd writes to.
func (v apiServerValidator) auditLog() {
	const maxSize, maxBackup, megabyte = "audit-log-maxsize", "audit-log-maxbackup", 1e6
	files, written := map[string]int{maxSize: 100, maxBackup: 10}, ""
	for _, name := range []string{maxSize, maxBackup} {
		if n, err := strconv.Atoi(v.flags[name]); err == nil {
			files[name], written = n, name
		}
	}
	n := v.c.ControlPlane()
	for _, other := range ControlPlanes(v.c.Nodes) {
		if other.VolumeSize < n.VolumeSize {
			n = other
		}
	}
	capacity := float64(n.VolumeSize) * (1 << 30)
	switch {
	case written == "" || n.VolumeSize < MinVolumeSize:
	case files[maxBackup] == 0 || files[maxSize] == 0:
		v.fault("kubernetes.apiServer."+written, v.flags[written], "must be 1 or more: 0 means no limit, and etcd "+
			"stops when its disk is full", `"10"`)
	case float64(files[maxSize])*float64(files[maxBackup]+1)*megabyte > capacity-minDisk:
		v.fault("kubernetes.apiServer."+written, v.flags[written], fmt.Sprintf("allows %d files of %d MB, and the disk of %s, "+
			"which etcd writes to, has %d GiB", files[maxBackup]+1, files[maxSize], n.Name, n.VolumeSize),
			`audit-log-maxsize: "100" and audit-log-maxbackup: "10"`)
	}
}

var cpuRange = regexp.MustCompile(`^([0-9]+)(?:-([0-9]+))?$`)

// cpusOf returns the largest number in a list of CPUs such as 0-1,4, and how many it has. The count is 0 for a range
// that ends before it begins.
func cpusOf(text string) (last, count int) {
	named := map[int]bool{}
	for _, part := range strings.Split(text, ",") {
		ends := cpuRange.FindStringSubmatch(part)
		if ends == nil {
			return 0, 0
		}
		first, err := strconv.Atoi(ends[1])
		end := first
		if ends[2] != "" && err == nil {
			end, err = strconv.Atoi(ends[2])
		}
		if err != nil || end < first || end-first > maxCPUs {
			return 0, 0
		}
		for n := first; n <= end; n++ {
			named[n] = true
		}
	}
	for n := range named {
		last = max(last, n)
	}
	return last, len(named)
}

// maxCPUs is more than the largest EC2 instance has.
const maxCPUs = 2048

// LastReservedCPU returns the largest number of a CPU in kubernetes.kubelet.reservedSystemCPUs, and the text. ok is
// false if it is not set.
func (k Kubernetes) LastReservedCPU() (last int, text string, ok bool) {
	text = kubeletFields(k.Kubelet).text("reservedSystemCPUs")
	last, _ = cpusOf(text)
	return last, text, text != ""
}

// PodsPerCore returns kubernetes.kubelet.podsPerCore, or 0 for no limit.
func (k Kubernetes) PodsPerCore() int {
	n, _ := k.Kubelet["podsPerCore"].(int)
	return n
}
