package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kubeadm-aws/internal/testenv"
)

// boot runs a script of scriptHost in a kernel of its own. The first partition of the disk is the root, the programs
// are those of this machine, and the directory of the scriptHost is shared.
const boot = `
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t tmpfs run /run && mkdir /run/disk &&
	mount /dev/ubda1 /run/disk && cd /run/disk && mkdir -p usr etc proc sys dev run tmp ".$ROOT" &&
	ln -s usr/bin usr/sbin usr/lib usr/lib64 . && mount --bind /usr usr && mount --bind /etc etc &&
	mount --bind /dev dev && mount -t hostfs -o "$ROOT" none ".$ROOT" && mount -t proc proc proc &&
	mount -t sysfs sys sys && mount -t tmpfs run run && before
chroot . bash -c '. "$ROOT/settings" && exec bash "$ROOT/prepare.sh"' >".$ROOT/out" 2>".$ROOT/errors"
echo $? >".$ROOT/code"
df --block-size=1M --output=size . | tail -n 1 >".$ROOT/size"
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
`

// prepareOnDisk runs prepare.sh with a root partition of 2 GiB on a disk of 8. It returns the size of the file system
// afterwards, in MiB. before is a shell command that runs first, in the directory that becomes the root.
func prepareOnDisk(t *testing.T, h *scriptHost, before string) (outcome, int) {
	t.Helper()
	kernel := testenv.NeedProgram(t, "linux.uml", "user-mode-linux")
	testenv.NeedProgram(t, "sfdisk", "fdisk")
	testenv.NeedProgram(t, "growpart", "cloud-guest-utils")
	// The programs of this machine take the place of the stubs.
	for _, stub := range []string{"findmnt", "df"} {
		if err := os.Remove(h.at("/bin/" + stub)); err != nil {
			t.Fatal(err)
		}
	}
	h.real = []string{"/run/", "/sys/"}
	h.write("/prepare.sh", h.text("prepare.sh"), 0o644)
	settings := fmt.Sprintf("export PATH='%s':$PATH HOME='%s'\n", h.bin, h.root)
	for k, v := range h.env {
		settings += fmt.Sprintf("export %s='%s'\n", k, v)
	}
	h.write("/settings", settings, 0o644)
	h.write("/init", fmt.Sprintf("#!/bin/bash\nexport ROOT='%s'\nbefore() { %s; }\n%s", h.root, before, boot), 0o755)
	disk := filepath.Join(t.TempDir(), "disk")
	makeDisk := exec.Command("bash", "-euc", `truncate -s 8G "$0"
echo 'start=2048,size=2G,type=L' | sfdisk -q --label gpt "$0"
mke2fs -q -t ext4 -E offset=1048576 "$0" 2G`, disk)
	if out, err := makeDisk.CombinedOutput(); err != nil {
		t.Fatalf("make a disk: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), kernel, "mem=192M", "ubd0="+disk, "root=/dev/root", "rootfstype=hostfs",
		"rootflags=/", "ro", "init="+h.at("/init"), "con=null", "con0=null,fd:1", "quiet")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	console, err := cmd.CombinedOutput()
	code, codeErr := strconv.Atoi(strings.TrimSpace(h.read("/code")))
	size, sizeErr := strconv.Atoi(strings.TrimSpace(h.read("/size")))
	if strings.Contains(string(console), "ptrace set fp regs failed") {
		// Debian 12's kernel has too little room for the registers of processors with AMX. .ci/run names the test then.
		t.Skip("user-mode Linux does not run on this processor")
	}
	if codeErr != nil || sizeErr != nil {
		t.Fatalf("the kernel ended before the script did: %v\n%s", err, console)
	}
	return outcome{strings.TrimSuffix(h.read("/out"), "\n"), h.read("/errors"), code}, size
}

// User-mode Linux grows the partition and the file system while they are in use, as on a node whose volume has grown.
func TestPrepareGrowsTheDiskInUse(t *testing.T) {
	for name, before := range map[string]string{
		"a grown volume":             ":",
		"a full file system":         "dd if=/dev/zero of=fill bs=1M 2>/dev/null; :",
		"killed after the partition": "growpart /dev/ubda 1 >/dev/null",
	} {
		t.Run(name, func(t *testing.T) {
			h := freshMachine(t)
			h.env["VOLUME_SIZE"] = "8"
			o, size := prepareOnDisk(t, h, before)
			h.succeeds(o, "prepared 1.36.3")
			if size < 7900 {
				t.Errorf("the file system has %d MiB of a disk of 8192", size)
			}
		})
	}
	t.Run("a volume that AWS has not grown", func(t *testing.T) {
		h := freshMachine(t)
		h.env["VOLUME_SIZE"] = "12"
		o, size := prepareOnDisk(t, h, ":")
		h.fails(o, 1, "the root disk is smaller than the 12 GiB of nodes[].volumeSize")
		if size > 2048 {
			t.Errorf("the file system has %d MiB after a refusal", size)
		}
	})
}
