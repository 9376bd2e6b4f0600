package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/sandbox/props"
)

// madeWith returns what init.sh stores on a control plane: the version, and what it compares in every later run. These
// are the settings that no running cluster can change, and the files of the PKI.
func madeWith(s *step) (props.Map, error) {
	files, err := stepline.Unpack(s.stdin)
	if err != nil {
		return nil, fmt.Errorf("init: standard input: %w", err)
	}
	rotated := strings.Contains(s.env["KUBEADM_CONFIG"], "service-account-signing-key-file")
	authorities, keys := sha256.New(), ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		line := fmt.Sprintf("%s %x\n", name, sha256.Sum256([]byte(files[name])))
		switch {
		case strings.HasPrefix(name, "pki/sa-"):
			keys += line
		case strings.HasPrefix(name, "pki/") && !(rotated && strings.HasPrefix(name, "pki/sa.")):
			authorities.Write([]byte(line))
		}
	}
	return props.Map{
		"version": s.env["KUBERNETES_VERSION"], "identity": s.env["IDENTITY"],
		"authorities": hex.EncodeToString(authorities.Sum(nil)), "tokenKeys": keys,
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
	others := errors.New("init: /etc/kubernetes/pki on this machine is not the one of this stack: it is another " +
		"cluster's control plane")
	// With the first rotation, the key of service accounts is no longer among the authorities.
	rotates := has.Str("tokenKeys") == "" && wanted.Str("tokenKeys") != ""
	switch {
	case has.Str("identity") != wanted.Str("identity"):
		return fmt.Errorf("init: these settings cannot be changed on a running cluster: it has %q, and %q is asked for",
			has.Str("identity"), wanted.Str("identity"))
	case !rotates && has.Str("authorities") != wanted.Str("authorities"):
		return others
	}
	for line := range strings.Lines(wanted.Str("tokenKeys")) {
		name, _, _ := strings.Cut(line, " ")
		if strings.Contains(has.Str("tokenKeys"), name+" ") && !strings.Contains(has.Str("tokenKeys"), line) {
			return others
		}
	}
	if marker := s.marker(); marker != nil && marker.State.Str("authorities") == has.Str("authorities") {
		s.Change(marker, func(_, state props.Map) { state["authorities"] = wanted.Str("authorities") })
	}
	s.remember(props.Map{"authorities": wanted.Str("authorities"), "tokenKeys": wanted.Str("tokenKeys")})
	return nil
}

// tokenKeysInUse does what token-keys.sh does after a stage of a rotation.
func tokenKeysInUse(s *step) (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	stage := fmt.Sprintf("accepts %s signs %s ends %s", s.env["ACCEPTS"], s.env["SIGNS"], s.env["ENDS"])
	if s.host().Str("stage") != stage {
		s.remember(props.Map{"stage": stage, "stageSince": time.Now().UTC().Format(time.RFC3339)})
	}
	return fmt.Sprintf("signing with %s since %s", s.env["SIGNS"], s.host().Str("stageSince")), nil
}
