package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName is the annotation of an OCI layout that holds the full name of an image.
const refName = "org.opencontainers.image.ref.name"

// created is the time stamp of all files and images: the same input gives the same digest.
var created = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// addImage adds a one-layer image for linux/amd64 under a name such as registry.k8s.io/pause:3.10 to the layout in
// dir, and replaces an image of that name. Each file is SOURCE=PATH: a file or a directory of this machine, and its
// absolute path in the image.
func addImage(dir, name, config string, files []string) error {
	packed, err := os.CreateTemp("", "layer-*.tar")
	if err != nil {
		return err
	}
	defer os.Remove(packed.Name())
	if err := errors.Join(pack(packed, files), packed.Close()); err != nil {
		return fmt.Errorf("pack the layer of %s: %w", name, err)
	}
	layer, err := tarball.LayerFromFile(packed.Name(), tarball.WithCompressionLevel(1),
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return err
	}
	image, err := assemble(layer, config)
	if err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	target, err := layout.FromPath(dir)
	if err != nil {
		if target, err = layout.Write(dir, empty.Index); err != nil {
			return err
		}
	}
	return target.ReplaceImage(image, match.Name(name), layout.WithAnnotations(map[string]string{refName: name}))
}

func assemble(layer v1.Layer, config string) (v1.Image, error) {
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Architecture, file.OS, file.Created = "amd64", "linux", v1.Time{Time: created}
	if err := json.Unmarshal([]byte(config), &file.Config); err != nil {
		return nil, fmt.Errorf("config %s: %w", config, err)
	}
	if !slices.ContainsFunc(file.Config.Env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		file.Config.Env = append(file.Config.Env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return mutate.ConfigFile(image, file)
}

// pack writes the files as a tar archive, owned by root.
func pack(w io.Writer, files []string) error {
	archive := tar.NewWriter(w)
	made := map[string]bool{}
	for _, f := range files {
		source, target, ok := strings.Cut(f, "=")
		if !ok || !path.IsAbs(target) {
			return fmt.Errorf("%q must be SOURCE=PATH with an absolute path", f)
		}
		err := filepath.WalkDir(source, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(source, name)
			if err != nil {
				return err
			}
			return add(archive, made, name, path.Join(target, rel))
		})
		if err != nil {
			return err
		}
	}
	return archive.Close()
}

// add writes one file, link or directory, after the directories above it that the archive does not have yet.
func add(archive *tar.Writer, made map[string]bool, source, target string) error {
	target = strings.Trim(target, "/")
	if target == "" || made[target] {
		return nil
	}
	for i, c := range target {
		if dir := target[:i]; c == '/' && !made[dir] {
			made[dir] = true
			if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755,
				ModTime: created}); err != nil {
				return err
			}
		}
	}
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(source); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	*header = tar.Header{Typeflag: header.Typeflag, Name: target, Linkname: link, Size: header.Size, Mode: header.Mode,
		ModTime: created}
	if info.IsDir() {
		made[target] = true
		header.Name += "/"
	}
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	content, err := os.Open(source)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(archive, content)
	return err
}

// blob is a manifest by its digest in one of the layouts.
type blob struct{ digest, layout string }

// names returns the image of each full name in the layouts of a mirror: what kubeadm pulls, and the images of the
// platform.
func names(mirror string) (map[string]blob, error) {
	layouts, err := filepath.Glob(filepath.Join(mirror, "platform", "*", "index.json"))
	if err != nil {
		return nil, err
	}
	images := map[string]blob{}
	for _, file := range append(layouts, filepath.Join(mirror, "registry", "index.json")) {
		dir := filepath.Dir(file)
		index, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			return nil, fmt.Errorf("read the images of %s: %w", dir, err)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			return nil, err
		}
		for _, m := range manifest.Manifests {
			images[m.Annotations[refName]] = blob{m.Digest.String(), dir}
		}
	}
	return images, nil
}
