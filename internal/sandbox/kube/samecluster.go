package kube

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

	"kubeadm-aws/internal/sandbox/props"
)

// madeWith returns what init.sh stores on a control plane and compares in every later run: version, settings that no
// running cluster can change, and the keys and certificates of the authorities.
func madeWith(s *step) (props.Map, error) {
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
	return props.Map{
		"version": s.env["KUBERNETES_VERSION"], "identity": s.env["IDENTITY"],
		"authorities": hex.EncodeToString(authorities.Sum(nil)),
	}, nil
}

// sameCluster refuses what init.sh refuses on a control plane that runs. Machines of older journals have no such
// record.
func (s *step) sameCluster(wanted props.Map) error {
	has := s.host().State
	if !has.Has("identity") {
		s.remember(wanted)
		return nil
	}
	switch {
	case has.Str("version") != wanted.Str("version"):
		return fmt.Errorf("init: the control plane runs Kubernetes %s, and %s is asked for. Upgrades in place are not "+
			"supported yet", has.Str("version"), wanted.Str("version"))
	case has.Str("identity") != wanted.Str("identity"):
		return fmt.Errorf("init: these settings cannot be changed on a running cluster: it has %q, and %q is asked for",
			has.Str("identity"), wanted.Str("identity"))
	case has.Str("authorities") != wanted.Str("authorities"):
		return errors.New("init: /etc/kubernetes/pki on this machine is not the one of this stack: it is another " +
			"cluster's control plane")
	}
	return nil
}
