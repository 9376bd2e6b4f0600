package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/sandbox/props"
)

// madeWith returns what init.sh stores on a control plane: the version, and what it compares in every later run, the
// settings that no running cluster can change and the keys and certificates of the authorities.
func madeWith(s *step) (props.Map, error) {
	files, err := stepline.Unpack(s.stdin)
	if err != nil {
		return nil, fmt.Errorf("init: standard input: %w", err)
	}
	authorities := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "pki/") {
			fmt.Fprintf(authorities, "%s %x\n", name, sha256.Sum256([]byte(files[name])))
		}
	}
	return props.Map{
		"version": s.env["KUBERNETES_VERSION"], "identity": s.env["IDENTITY"],
		"authorities": hex.EncodeToString(authorities.Sum(nil)),
	}, nil
}

// sameCluster refuses what init.sh refuses on a control plane that runs. A machine of an older journal has no record to
// compare with.
func (s *step) sameCluster(wanted props.Map) error {
	has := s.host().State
	if !has.Has("identity") {
		s.remember(wanted)
		return nil
	}
	switch {
	case has.Str("identity") != wanted.Str("identity"):
		return fmt.Errorf("init: these settings cannot be changed on a running cluster: it has %q, and %q is asked for",
			has.Str("identity"), wanted.Str("identity"))
	case has.Str("authorities") != wanted.Str("authorities"):
		return errors.New("init: /etc/kubernetes/pki on this machine is not the one of this stack: it is another " +
			"cluster's control plane")
	}
	return nil
}
