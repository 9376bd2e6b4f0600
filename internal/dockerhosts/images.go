package dockerhosts

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// savedImages is the repository of docker images that SaveImage makes; the tag is the stack and the id of the image.
const savedImages = "kubeadm-aws-host-saved"

func (s *stack) savedImage(id string) string { return savedImages + ":" + s.options.Stack + "-" + id }

// imageOf returns the docker image that a machine boots from.
func (s *stack) imageOf(ctx context.Context, id string) (string, error) {
	if id == "" {
		return image, nil
	}
	found, err := docker(ctx, "images", "--quiet", s.savedImage(id))
	if err != nil || found == "" {
		return image, err
	}
	return s.savedImage(id), nil
}

// SaveImage stops the container and makes a docker image of its file system. The images of containerd are on a volume,
// which docker leaves out of an image, so they are copied.
func (i *instances) SaveImage(ctx context.Context, machineID, id string) error {
	m, found, err := i.machine(ctx, machineID)
	if err == nil && !found {
		err = fmt.Errorf("there is no machine %s", machineID)
	}
	if err != nil {
		return err
	}
	if _, err := docker(ctx, "stop", "--time", "60", m.container); err != nil {
		return err
	}
	saved, copied := i.savedImage(id), strings.TrimPrefix(m.container, "/")+"-disk"
	script := `set -euo pipefail
docker export "$1" | docker import --change 'ENTRYPOINT ["/usr/local/sbin/host-init"]' - "$2" >/dev/null
docker create --name "$3" "$2" >/dev/null
trap 'docker rm --force "$3" >/dev/null' EXIT
docker cp "$1:/var/lib/containerd" - | docker cp --archive - "$3:/var/lib"
docker commit "$3" "$2" >/dev/null`
	if _, err := run(exec.CommandContext(ctx, "bash", "-c", script, "bash", m.container, saved, copied)); err != nil {
		return fmt.Errorf("make an image of %s: %w", machineID, err)
	}
	return nil
}

// RemoveImage removes the docker image. A host that runs from it keeps its layers.
func (s *stack) RemoveImage(ctx context.Context, id string) error {
	if _, err := docker(ctx, "rmi", "--force", s.savedImage(id)); err != nil && !isGone(err) {
		return fmt.Errorf("remove the image %s: %w", id, err)
	}
	return nil
}
