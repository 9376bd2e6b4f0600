package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func list(dir string) error {
	images, err := names(dir)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		fmt.Println(name)
	}
	return nil
}

// serve answers for the mirror in dir until the process is ended: apt repositories, archives and a registry.
func serve(dir, address string) error {
	if !strings.Contains(address, ":") {
		address = ":" + address
	}
	images, err := names(dir)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for _, part := range []string{"/apt/", "/etcd/", "/charts/"} {
		mux.Handle("GET "+part, http.StripPrefix(part, http.FileServerFS(os.DirFS(filepath.Join(dir, part)))))
	}
	mux.Handle("GET /v2/", newRegistry(images))
	var handler http.Handler = mux
	if os.Getenv("MIRROR_LOG") != "" {
		handler = logged(mux)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("serving %s on http://%s\n", dir, listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

func logged(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.Printf("%s %s %s", r.RemoteAddr, r.Method, r.URL)
		h.ServeHTTP(w, r)
	})
}

// registry is a read-only registry (OCI distribution specification) for images of several hosts. Containerd says with
// the query parameter ns which host it would ask without the mirror.
type registry struct {
	images map[string]blob // by full name, such as registry.k8s.io/pause:3.10
	// layouts are the directories that may have a blob.
	layouts []string
}

func newRegistry(images map[string]blob) *registry {
	g := &registry{images: images}
	for _, image := range images {
		g.layouts = append(g.layouts, image.layout)
	}
	slices.Sort(g.layouts)
	g.layouts = slices.Compact(g.layouts)
	return g
}

var (
	route     = regexp.MustCompile(`^/v2/([a-z0-9][a-z0-9._/-]*)/(manifests|blobs)/([A-Za-z0-9._:-]+)$`)
	tagsRoute = regexp.MustCompile(`^/v2/([a-z0-9][a-z0-9._/-]*)/tags/list$`)
)

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	host := r.URL.Query().Get("ns")
	if host == "" {
		host = "registry.k8s.io"
	}
	if r.URL.Path == "/v2/" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{}")
		return
	}
	if m := tagsRoute.FindStringSubmatch(r.URL.Path); m != nil {
		g.tags(w, host, m[1])
		return
	}
	m := route.FindStringSubmatch(r.URL.Path)
	if m == nil {
		refuse(w, "NAME_UNKNOWN", r.URL.Path)
		return
	}
	reference := m[3]
	if m[2] == "manifests" && !strings.Contains(reference, ":") {
		image, ok := g.images[host+"/"+m[1]+":"+reference]
		if !ok {
			refuse(w, "MANIFEST_UNKNOWN", host+r.URL.Path)
			return
		}
		reference = image.digest
	}
	g.send(w, r, m[2], reference)
}

func (g *registry) tags(w http.ResponseWriter, host, repository string) {
	answer := struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{Name: repository}
	for _, name := range slices.Sorted(maps.Keys(g.images)) {
		if tag, ok := strings.CutPrefix(name, host+"/"+repository+":"); ok {
			answer.Tags = append(answer.Tags, tag)
		}
	}
	if answer.Tags == nil {
		refuse(w, "NAME_UNKNOWN", host+"/"+repository)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		log.Print(err)
	}
}

// find returns the file of a blob.
func (g *registry) find(hex string) string {
	for _, dir := range g.layouts {
		file := filepath.Join(dir, "blobs", "sha256", hex)
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// send answers with a manifest or a blob by its digest.
func (g *registry) send(w http.ResponseWriter, r *http.Request, kind, reference string) {
	digest, err := v1.NewHash(reference)
	if err != nil || digest.Algorithm != "sha256" {
		refuse(w, "DIGEST_INVALID", reference)
		return
	}
	path := g.find(digest.Hex)
	contentType := "application/octet-stream"
	if kind == "manifests" {
		if contentType, err = mediaType(path); err != nil {
			refuse(w, "MANIFEST_UNKNOWN", reference)
			return
		}
	}
	file, err := os.Open(path)
	if err != nil {
		refuse(w, "BLOB_UNKNOWN", reference)
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Docker-Content-Digest", reference)
	http.ServeContent(w, r, "", time.Time{}, file)
}

// mediaType reads the media type of a manifest or an index.
func mediaType(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var manifest struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return "", err
	}
	if manifest.MediaType == "" {
		return "", fmt.Errorf("%s is not a manifest", path)
	}
	return manifest.MediaType, nil
}

func refuse(w http.ResponseWriter, code, detail string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	answer := map[string]any{"errors": []map[string]string{{"code": code, "message": detail}}}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		log.Print(err)
	}
}
