package sandbox

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// madeWith returns what init.sh stores on a control plane and compares in every later run: version, settings that no running
// cluster can change, and the keys and certificates of the authorities.
func (s *step) madeWith() (values, error) {
	packed, err := base64.StdEncoding.DecodeString(s.stdin)
	if err != nil {
		return nil, errors.New("init: standard input is not base64 of a tar archive")
	}
	authorities := sha256.New()
	for archive := tar.NewReader(bytes.NewReader(packed)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("init: standard input is not base64 of a tar archive")
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(header.Name, "pki/") {
			fmt.Fprintf(authorities, "%s %x\n", header.Name, sha256.Sum256(content))
		}
	}
	return values{
		"version": s.env["KUBERNETES_VERSION"], "identity": s.env["IDENTITY"], "authorities": hex.EncodeToString(authorities.Sum(nil)),
	}, nil
}

// sameCluster refuses what init.sh refuses on a control plane that runs. Machines of older accounts remember nothing.
func (s *step) sameCluster(wanted values) error {
	has := s.host().State
	if !has.set("identity") {
		s.remember(wanted)
		return nil
	}
	switch {
	case has.str("version") != wanted.str("version"):
		return fmt.Errorf("init: the control plane runs Kubernetes %s, and %s is asked for. Upgrades in place are not supported yet", has.str("version"), wanted.str("version"))
	case has.str("identity") != wanted.str("identity"):
		return fmt.Errorf("init: these settings cannot be changed on a running cluster: it has %q, and %q is asked for", has.str("identity"), wanted.str("identity"))
	case has.str("authorities") != wanted.str("authorities"):
		return errors.New("init: /etc/kubernetes/pki on this machine is not the one of this stack: it is another cluster's control plane")
	}
	return nil
}
