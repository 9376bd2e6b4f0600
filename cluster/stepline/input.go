package stepline

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Pack returns files, by name, as the standard input of a step: base64 of a compressed tar archive. Equal files give
// equal text; otherwise every `up` would run the step again.
func Pack(files map[string]string) (string, error) {
	var buf bytes.Buffer
	compressed := gzip.NewWriter(&buf)
	w := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name])), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return "", fmt.Errorf("packing %s: %w", name, err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			return "", fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := errors.Join(w.Close(), compressed.Close()); err != nil {
		return "", fmt.Errorf("packing files: %w", err)
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes()), nil
}

// Unpack returns the files of a standard input that Pack wrote.
func Unpack(input string) (map[string]string, error) {
	files := map[string]string{}
	compressed, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(input)))
	for err == nil {
		archive := tar.NewReader(compressed)
		var header *tar.Header
		for header, err = archive.Next(); err == nil; header, err = archive.Next() {
			var content []byte
			if content, err = io.ReadAll(archive); err != nil {
				break
			}
			files[header.Name] = string(content)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("it is not base64 of a compressed tar archive: %w", err)
	}
	return files, nil
}
