package project

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
)

// validName is what a project and an agent may be called.
var validName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

const nameRule = "lower-case letters, digits and hyphens, a letter first, at most 32"

// runtimeAgent is the name of the runtime's own agent.
const runtimeAgent = "openmas"

// A validator collects what is wrong with a Config: what its declaration forbids, and what keys
// demand of each other.
type validator struct {
	written *tree            // nil: the Config was made in Go
	agents  map[string]Agent // of the project
	names   []string         // of the agents, in the order of the file
	errorf  func(keys []string, format string, args ...any) *Error
	out     Errors
}

func (v *validator) fail(keys []string, hint, format string, args ...any) {
	e := v.errorf(slices.Clone(keys), "%s: %s", joinPath(keys), fmt.Sprintf(format, args...))
	e.Hint = hint
	v.out = append(v.out, e)
}

// quote shows a value, masked where it holds a secret.
func (v *validator) quote(keys []string, value string) string {
	if v.written == nil {
		return strconv.Quote(value)
	}
	return quote(v.written.at(keys...), value)
}

// said reports whether somebody wrote a key, be it with an empty value.
func (v *validator) said(keys []string) bool {
	return v.written != nil && v.written.position(keys...) != (Position{})
}

func (v *validator) url(keys []string, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		v.fail(keys, `write "https://host/path"`, "%s is not an http or https URL", v.quote(keys, text))
	case u.User != nil:
		v.fail(keys, `write headers: {Authorization: "…"}`, "a URL must not hold a password: it appears in logs")
	}
}

func (v *validator) address(keys []string, addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if errors.Is(err, strconv.ErrRange) {
		v.fail(keys, "port 0 takes a free one", "%s: there is no port %s, the last one is 65535", v.quote(keys, addr),
			port)
		return false
	}
	if err != nil {
		v.fail(keys, `write host:port, like "127.0.0.1:8765"; port 0 takes a free one`, "%s is not an address",
			v.quote(keys, addr))
	}
	return err == nil
}

func (v *validator) certificate(keys []string, t TLS) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		v.fail(keys, "", "cert_file and key_file belong together")
	}
}
