package dockerhosts

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// objectStore is a small S3 server: buckets are directories, created with the first object. Each request must be
// signed with the credentials of a role that may use the bucket.
//
// It is written here for three reasons. Objects have to outlive the process, because a later up restores what an
// earlier one backed up. It refuses requests with a wrong signature or another role, which emulators accept. And a
// simulation on hosts then needs no further program. Another S3 server that already listens on the port is used
// instead: the tests of e2e/ start one, so that backup and restore are also tested against a server that this project
// did not write.
type objectStore struct {
	dir string
	// credentials are those that may use the store.
	credentials func(context.Context) ([]aws.Credentials, error)
	server      *http.Server
}

// startObjectStore returns nil when something else, such as an emulator that a test started, answers on the port.
func startObjectStore(b *Backend) (*objectStore, error) {
	address := net.JoinHostPort(b.network.gateway().String(), strconv.Itoa(objectPort))
	l, err := net.Listen("tcp4", address)
	if err != nil {
		conn, dialErr := net.DialTimeout("tcp4", address, time.Second)
		if dialErr != nil {
			return nil, fmt.Errorf("object store: %w", err)
		}
		conn.Close()
		return nil, nil
	}
	s := &objectStore{dir: filepath.Join(b.options.Dir, "objects"), credentials: b.meta.storeCredentials}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(l) //nolint:errcheck // ends with Close
	return s, nil
}

func (s *objectStore) stop() error { return s.server.Close() }

// s3Error is an error response of S3.
type s3Error struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	status  int
}

func (e *s3Error) Error() string { return e.Code + ": " + e.Message }

func refuse(status int, code, message string) error {
	return &s3Error{status: status, Code: code, Message: message}
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (s *objectStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := s.serve(w, r)
	if err == nil {
		return
	}
	var e *s3Error
	if !errors.As(err, &e) {
		e = &s3Error{status: http.StatusInternalServerError, Code: "InternalError", Message: err.Error()}
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(e.status)
	if r.Method != http.MethodHead {
		xml.NewEncoder(w).Encode(e) //nolint:errcheck // the client is gone
	}
}

func (s *objectStore) serve(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := s.authenticate(r, body); err != nil {
		return err
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !bucketName.MatchString(bucket) {
		return refuse(http.StatusBadRequest, "InvalidBucketName", bucket)
	}
	if key == "" {
		if r.Method != http.MethodGet {
			return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", r.Method)
		}
		return s.list(w, r, bucket)
	}
	if !filepath.IsLocal(key) {
		return refuse(http.StatusBadRequest, "InvalidArgument", key)
	}
	path := filepath.Join(s.dir, bucket, filepath.FromSlash(key))
	switch r.Method {
	case http.MethodPut:
		if r.URL.Query().Has("tagging") {
			return tag(r, path, body)
		}
		return put(w, r, path, body)
	case http.MethodGet, http.MethodHead:
		return get(w, r, path)
	case http.MethodDelete:
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", r.Method)
}

func put(w http.ResponseWriter, r *http.Request, path string, body []byte) error {
	sum := sha256.Sum256(body)
	if want := r.Header.Get("X-Amz-Checksum-Sha256"); want != "" && want != base64.StdEncoding.EncodeToString(sum[:]) {
		return refuse(http.StatusBadRequest, "BadDigest", "the checksum does not match")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// The upload is renamed when it is complete, so a reader never gets a part of an object.
	if err := os.WriteFile(path+".upload", body, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".upload", path); err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	return nil
}

// tagsOf is the file with the tags of an object, as the client sent them.
func tagsOf(path string) string { return path + ".tags" }

// tag requires the digest that S3 requires.
func tag(r *http.Request, path string, body []byte) error {
	sum := md5.Sum(body)
	if r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
		return refuse(http.StatusBadRequest, "InvalidRequest", "Missing required header for this request: Content-MD5")
	}
	if _, err := os.Stat(path); err != nil {
		return refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}
	return os.WriteFile(tagsOf(path), body, 0o600)
}

func get(w http.ResponseWriter, r *http.Request, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}
	w.Header().Set("Content-Type", "binary/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}

type listing struct {
	XMLName     xml.Name `xml:"ListBucketResult"`
	Namespace   string   `xml:"xmlns,attr"`
	Name        string
	Prefix      string
	KeyCount    int
	MaxKeys     int
	IsTruncated bool
	Contents    []content
}

type content struct {
	Key          string
	LastModified string
	Size         int64
}

func (s *objectStore) list(w http.ResponseWriter, r *http.Request, bucket string) error {
	q := r.URL.Query()
	if q.Get("list-type") != "2" {
		return refuse(http.StatusNotImplemented, "NotImplemented", r.URL.RawQuery)
	}
	l := listing{Namespace: "http://s3.amazonaws.com/doc/2006-03-01/", Name: bucket, Prefix: q.Get("prefix"),
		MaxKeys: 1000}
	root := filepath.Join(s.dir, bucket)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".upload") || strings.HasSuffix(path, ".tags") {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		key := filepath.ToSlash(relative)
		if strings.HasPrefix(key, l.Prefix) && key > q.Get("start-after") {
			l.Contents = append(l.Contents, content{Key: key, LastModified: stamp(info.ModTime()), Size: info.Size()})
		}
		return nil
	})
	if err != nil {
		return err
	}
	sort.Slice(l.Contents, func(i, j int) bool { return l.Contents[i].Key < l.Contents[j].Key })
	l.KeyCount = len(l.Contents)
	w.Header().Set("Content-Type", "application/xml")
	return xml.NewEncoder(w).Encode(l)
}

var authorization = regexp.MustCompile(
	`^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/(\d{8})/([a-z0-9-]+)/s3/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$`)

// authenticate signs the request again, with AWS's own signer, and compares the signatures.
func (s *objectStore) authenticate(r *http.Request, body []byte) error {
	denied := func(code, why string) error { return refuse(http.StatusForbidden, code, why) }
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return denied("AccessDenied", "no signature of version 4")
	}
	id, region, signed := m[1], m[3], strings.Split(m[4], ";")
	allowed, err := s.credentials(r.Context())
	if err != nil {
		return err
	}
	var credentials *aws.Credentials
	for _, c := range allowed {
		if c.AccessKeyID == id {
			credentials = &c
		}
	}
	if credentials == nil {
		return denied("InvalidAccessKeyId", "the access key is not known, or its role may not use the bucket")
	}
	if r.Header.Get("X-Amz-Security-Token") != credentials.SessionToken {
		return denied("InvalidToken", "temporary credentials need their session token")
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return denied("RequestTimeTooSkewed", "X-Amz-Date is "+r.Header.Get("X-Amz-Date"))
	}
	sum := r.Header.Get("X-Amz-Content-Sha256")
	if own := sha256.Sum256(body); sum != "UNSIGNED-PAYLOAD" && sum != hex.EncodeToString(own[:]) {
		return refuse(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "the body is not the one that was signed")
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), nil)
	if err != nil {
		return err
	}
	for _, name := range signed {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(r.Context(), *credentials, again, sum, "s3", region, at); err != nil {
		return err
	}
	if !strings.HasSuffix(again.Header.Get("Authorization"), "Signature="+m[5]) {
		return denied("SignatureDoesNotMatch", "the signature does not match; signed were "+m[4])
	}
	return nil
}
