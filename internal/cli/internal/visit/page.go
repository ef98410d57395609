// Package visit is about the pages that servers want users to visit: MCP's elicitation of mode
// "url". Nothing here opens or fetches one.
package visit

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// maxURL is how long an address may be, in bytes. Nobody reads a longer one before agreeing.
const maxURL = 8 << 10

// A Page is one that may be visited. Its texts are in printable ASCII.
type Page struct {
	// Before, Host and After are the address in three parts. Host is in lower case, with its port.
	Before, Host, After string
	// Doubts are what a user is to be told about the address, each a phrase.
	Doubts []string
}

var errNoAddress = errors.New("that is no address that a browser takes")

// URL is the whole address.
func (p Page) URL() string { return p.Before + p.Host + p.After }

// Read reads the address of a page. It takes what every browser reads alike: https, or http on this
// machine, and a host that stands for itself. The error says what is wrong with the address, and
// does not repeat it.
func Read(raw string) (Page, error) {
	if len(raw) > maxURL {
		return Page{}, fmt.Errorf("the address has more than %d bytes", maxURL)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return Page{}, errNoAddress
	case u.Scheme != "https" && u.Scheme != "http":
		return Page{}, errors.New("only pages of https are visited")
	case u.Host == "":
		return Page{}, errors.New("the address has no host")
	case u.User != nil:
		return Page{}, errors.New("there is a user name in front of the host, which hides where the address leads")
	}
	name := strings.ToLower(u.Hostname())
	ip, notIP := netip.ParseAddr(name)
	if notIP != nil {
		if err := checkName(name); err != nil {
			return Page{}, err
		}
	}
	here := name == "localhost" || notIP == nil && ip.IsLoopback()
	if u.Scheme == "http" && !here {
		return Page{}, errors.New("http can be read and changed on its way; only pages of https are visited")
	}
	u.Host = strings.ToLower(u.Host)
	p := Page{Before: u.Scheme + "://", Host: u.Host}
	after, ok := strings.CutPrefix(u.String(), p.URL())
	if !ok { // such as an address with a zone
		return Page{}, errNoAddress
	}
	p.After = printable(after)
	if strings.HasPrefix(name, "xn--") || strings.Contains(name, ".xn--") {
		p.Doubts = append(p.Doubts, "the name of the host stands for letters that are not English (xn--), and may "+
			"look like another one in a browser")
	}
	if notIP == nil && !here {
		p.Doubts = append(p.Doubts, "the host is a bare address, which nobody has put a name to")
	}
	return p, nil
}

// checkName checks the name of a host, in lower case.
func checkName(name string) error {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r) {
			return errors.New("the name of the host has characters that no such name has; one in other letters " +
				"begins with xn--")
		}
	}
	last := strings.TrimSuffix(name, ".")
	last = last[strings.LastIndexByte(last, '.')+1:]
	if last == "" || last[0] >= '0' && last[0] <= '9' { // browsers make an address of 2130706433 and of 0x7f.1
		return errors.New("the host is neither a name nor a plain address")
	}
	return nil
}

// printable is an address with everything but printable ASCII written as %XX, as browsers do.
func printable(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
