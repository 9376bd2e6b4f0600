package dockerhosts

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// metadataAddress is where EC2 instances find their metadata service.
const metadataAddress = "169.254.169.254"

// metadata is the instance metadata service, version 2. A host reads from it which instance it is, and the credentials
// of its role. iptables redirects packets for its well-known address to this process.
type metadata struct {
	stack  *stack
	secret []byte
	server *http.Server
}

func startMetadata(ctx context.Context, s *stack) (*metadata, error) {
	m := &metadata{stack: s, secret: make([]byte, 32)}
	if _, err := rand.Read(m.secret); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", net.JoinHostPort(s.network.gateway().String(), "0"))
	if err != nil {
		return nil, fmt.Errorf("metadata service: %w", err)
	}
	m.server = &http.Server{Handler: m.handler(), ReadHeaderTimeout: 10 * time.Second}
	go m.server.Serve(l) //nolint:errcheck // ends with Close
	// A killed process leaves its rules, which redirect to a closed port.
	if err := m.removeRules(ctx); err != nil {
		return nil, errors.Join(err, m.server.Close())
	}
	_, err = run(exec.CommandContext(ctx, "iptables", "-w", "-t", "nat", "-I", "PREROUTING", "-s",
		s.network.subnet.String(),
		"-d", metadataAddress+"/32", "-p", "tcp", "--dport", "80", "-m", "comment", "--comment", s.network.name,
		"-j", "DNAT", "--to-destination", l.Addr().String()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lead %s to this machine: %w", metadataAddress, err), m.server.Close())
	}
	return m, nil
}

func (m *metadata) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(m.removeRules(ctx), m.server.Close())
}

// removeRules removes the rules of this stack.
func (m *metadata) removeRules(ctx context.Context) error {
	rules, err := run(exec.CommandContext(ctx, "iptables", "-w", "-t", "nat", "-S", "PREROUTING"))
	if err != nil {
		return err
	}
	for rule := range strings.Lines(rules) {
		f := strings.Fields(rule)
		if !hasSequence(f, "--comment", m.stack.network.name) || !hasSequence(f, "-d", metadataAddress+"/32") {
			continue
		}
		f[0] = "-D"
		if _, err := run(exec.CommandContext(ctx, "iptables", append([]string{"-w", "-t", "nat"}, f...)...)); err != nil {
			return err
		}
	}
	return nil
}

func hasSequence(words []string, a, b string) bool {
	for i := 1; i < len(words); i++ {
		if words[i-1] == a && strings.Trim(words[i], `"`) == b {
			return true
		}
	}
	return false
}

const tokenTTL = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"

func (m *metadata) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
		ttl, err := strconv.Atoi(r.Header.Get(tokenTTL))
		if err != nil || ttl < 1 || ttl > 21600 || r.Header.Get("X-Forwarded-For") != "" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		w.Header().Set(tokenTTL, strconv.Itoa(ttl))
		fmt.Fprint(w, m.token(clientAddress(r)))
	})
	text := func(path string, f func(machine, *http.Request) (string, bool)) {
		mux.HandleFunc("GET /latest/"+path, func(w http.ResponseWriter, r *http.Request) {
			from := clientAddress(r)
			given := r.Header.Get("X-Aws-Ec2-Metadata-Token")
			if !hmac.Equal([]byte(given), []byte(m.token(from))) {
				http.Error(w, "unauthorized", http.StatusUnauthorized)
				return
			}
			host, err := m.host(r.Context(), from)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			answer, ok := f(host, r)
			if !ok {
				http.NotFound(w, r)
				return
			}
			fmt.Fprint(w, answer)
		})
	}
	text("meta-data/instance-id", func(h machine, _ *http.Request) (string, bool) { return h.id, true })
	text("meta-data/local-ipv4", func(h machine, _ *http.Request) (string, bool) { return h.address, true })
	text("meta-data/public-ipv4", func(h machine, _ *http.Request) (string, bool) {
		return m.stack.status(h.id, h.address).PublicIP, true
	})
	text("meta-data/iam/security-credentials/{$}", func(h machine, _ *http.Request) (string, bool) {
		return h.profile, h.profile != ""
	})
	text("meta-data/iam/security-credentials/{role}", func(h machine, r *http.Request) (string, bool) {
		if h.profile == "" || r.PathValue("role") != h.profile {
			return "", false
		}
		c := m.credentials(h.profile)
		answer, err := json.Marshal(map[string]string{
			"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey,
			"Token": c.SessionToken, "LastUpdated": stamp(time.Now()), "Expiration": stamp(time.Now().Add(6 * time.Hour)),
		})
		return string(answer), err == nil
	})
	return mux
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func (m *metadata) host(ctx context.Context, address string) (machine, error) {
	all, err := machines(ctx, m.stack.options.Stack)
	if err != nil {
		return machine{}, err
	}
	for _, h := range all {
		if h.address == address {
			return h, nil
		}
	}
	return machine{}, fmt.Errorf("no instance has the address %s", address)
}

// profiles lists the profiles of the machines that exist.
func (m *metadata) profiles(ctx context.Context) ([]string, error) {
	all, err := machines(ctx, m.stack.options.Stack)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, h := range all {
		if h.profile != "" && !slices.Contains(names, h.profile) {
			names = append(names, h.profile)
		}
	}
	return names, nil
}

func clientAddress(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// token is bound to the host that asked for it.
func (m *metadata) token(address string) string { return m.derive("token " + address) }

// credentials returns invented credentials of a role. They differ in each process, as temporary ones do.
func (m *metadata) credentials(profile string) aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     "ASIA" + strings.ToUpper(m.derive("id " + profile)[:16]),
		SecretAccessKey: m.derive("secret " + profile)[:40],
		SessionToken:    m.derive("session "+profile) + "==",
	}
}

// storeCredentials returns the credentials of the control planes' role, because no other role may use the bucket.
func (m *metadata) storeCredentials(ctx context.Context) ([]aws.Credentials, error) {
	profiles, err := m.profiles(ctx)
	var all []aws.Credentials
	for _, profile := range profiles {
		if !strings.Contains(profile, "worker") {
			all = append(all, m.credentials(profile))
		}
	}
	return all, err
}

func (m *metadata) derive(what string) string {
	h := hmac.New(sha256.New, m.secret)
	h.Write([]byte(what))
	return hex.EncodeToString(h.Sum(nil))
}
