package mcpimport

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// While a text is looked at, a letter of Unicode's last private area stands for each reference in
// it, so that nothing takes a reference for a part of a secret.
const firstPlaceholder = rune(0x100000)

// A hider takes the secrets out of texts: put returns what stands for one in its place.
type hider struct {
	put func(name, secret string) string
}

var (
	urls       = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>\\]+`)
	authority  = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)@`)
	scheme     = regexp.MustCompile(`(?i)\b(bearer|basic|digest|apikey|bot)(:?\s+)([^\s"',;]{3,})`)
	headerLine = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*)(:\s*)(.+)$`)
	assignment = regexp.MustCompile(`^([^=\s]+)=(.+)$`)
	flagValue  = regexp.MustCompile(`(--?[A-Za-z][A-Za-z0-9_-]*)(\s+)([^\s"';&|$-][^\s"';&|]*)`)
	// shellFlag stands before a command line in one argument, in which shellVariable is set.
	shellFlag     = regexp.MustCompile(`^-[a-z]*c$`)
	shellVariable = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_]*)=("[^"]+"|'[^']+'|[^\s;&|"'$][^\s;&|"']*)`)
	pair          = regexp.MustCompile(`([A-Za-z][A-Za-z0-9 _-]*)=([^;&\s"']+)`)
)

// text takes the secrets out of a value. name is the key, flag or header that it stands under, ""
// for none.
func (h hider) text(name, s string) string {
	switch trimmed := strings.TrimSpace(s); {
	case trimmed == "" || trimmed == "true" || trimmed == "false" || trimmed == "null":
		return s
	case strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "["):
		if out, ok := h.json(name, trimmed); ok {
			return out
		}
	}
	if m := scheme.FindStringSubmatch(s); m != nil && m[0] == s {
		return m[1] + m[2] + h.secret(name, m[3])
	}
	if secretName(name) && !urls.MatchString(s) {
		return h.secret(name, s)
	}
	if m := assignment.FindStringSubmatch(s); m != nil && !strings.Contains(m[1], "://") &&
		!strings.Contains(m[2], ";") {
		return m[1] + "=" + h.text(m[1], m[2])
	}
	return h.loose(name, s)
}

// loose takes the secrets out of a text that is no secret as a whole.
func (h hider) loose(name, s string) string {
	var out strings.Builder
	done := 0
	for _, at := range urls.FindAllStringIndex(s, -1) {
		out.WriteString(h.plain(name, s[done:at[0]]) + h.url(name, s[at[0]:at[1]]))
		done = at[1]
	}
	return out.String() + h.plain(name, s[done:])
}

// plain takes the secrets out of a text that is no URL and no JSON.
func (h hider) plain(name, s string) string {
	s = privateKey.ReplaceAllStringFunc(s, func(key string) string { return h.secret(name, key) })
	s = scheme.ReplaceAllStringFunc(s, func(all string) string {
		m := scheme.FindStringSubmatch(all)
		return m[1] + m[2] + h.secret(name, m[3])
	})
	s = flagValue.ReplaceAllStringFunc(s, func(all string) string { // of a command line in one argument
		m := flagValue.FindStringSubmatch(all)
		if !secretName(strings.TrimLeft(m[1], "-")) {
			return all
		}
		return m[1] + m[2] + h.secret(strings.TrimLeft(m[1], "-"), m[3])
	})
	s = pair.ReplaceAllStringFunc(s, func(all string) string {
		m := pair.FindStringSubmatch(all)
		if !secretName(m[1]) {
			return all
		}
		return m[1] + "=" + h.secret(m[1], m[2])
	})
	return h.shapes(name, s)
}

// argument takes the secrets out of an argument. before is the flag that it belongs to, if any.
func (h hider) argument(before, s string) string {
	flag := strings.TrimLeft(before, "-")
	if shellFlag.MatchString(before) && strings.ContainsAny(s, " \t\n") {
		return h.loose("", shellVariable.ReplaceAllStringFunc(s, func(all string) string {
			name, value, _ := strings.Cut(all, "=")
			if !secretName(name) {
				return all
			}
			bare := strings.Trim(value, `"'`)
			return name + "=" + strings.Replace(value, bare, h.secret(name, bare), 1)
		}))
	}
	if m := headerLine.FindStringSubmatch(s); m != nil && !strings.HasPrefix(m[3], "//") &&
		(strings.Contains(flag, "header") || before == "-H" || secretName(m[1])) {
		return m[1] + m[2] + h.header(m[1], m[3])
	}
	if name, value, ok := strings.Cut(s, "="); ok && strings.HasPrefix(name, "-") {
		return name + "=" + h.argument(name, value)
	}
	if name, value, ok := strings.Cut(s, ":"); ok && strings.HasPrefix(name, "-") && secretName(name) {
		return name + ":" + h.argument(name, value)
	}
	switch user, password, both := strings.Cut(s, ":"); {
	case both && (flag == "u" || flag == "user") && !strings.HasPrefix(password, "//"):
		return h.secret("user", user) + ":" + h.secret("password", password)
	case len(flag) == 1 && strings.ContainsAny(s, "0123456789") && strings.IndexFunc(s, unicode.IsLetter) >= 0 &&
		slices.Contains([]string{"k", "p", "s", "t", "a", "P"}, flag) && !strings.ContainsAny(s, "/:.@"):
		return h.secret(flag, s) // -k, -p, -t and the like, with letters and digits
	}
	return h.text(flag, s)
}

// secret replaces a value, unless it is a reference to begin with.
func (h hider) secret(name, s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < firstPlaceholder }) < 0 {
		return s
	}
	return h.put(name, s)
}

// shapes replaces what looks like a token wherever it stands.
func (h hider) shapes(name, s string) string {
	for _, shape := range []*regexp.Regexp{telegramBot, issued} {
		s = shape.ReplaceAllStringFunc(s, func(token string) string { return h.secret(name, token) })
	}
	s = base64s.ReplaceAllStringFunc(s, func(token string) string {
		if randomPart(strings.ReplaceAll(token, "/", "")) {
			return h.secret(name, token)
		}
		return token
	})
	return words.ReplaceAllStringFunc(s, func(word string) string {
		if random(word) {
			return h.secret(name, word)
		}
		return word
	})
}

// url replaces what is secret in a URL: user and password, values of the query, and parts of the
// path that look like tokens.
func (h hider) url(name, u string) string {
	prefix, rest := "", u
	if m := authority.FindStringSubmatch(u); m != nil {
		user, password, both := strings.Cut(m[2], ":")
		prefix, rest = m[1]+h.secret(name+"_user", user), u[len(m[0]):]
		if both {
			prefix += ":" + h.secret(name+"_password", password)
		}
		prefix += "@"
	}
	path, tail := rest, ""
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		path, tail = rest[:i], rest[i:]
	}
	path = h.path(name, path)
	tail = regexp.MustCompile(`([?&#;])([^=&#;]+)=([^&#;]*)`).ReplaceAllStringFunc(tail, func(all string) string {
		key, value, _ := strings.Cut(all[1:], "=")
		if secretName(key) {
			return all[:1] + key + "=" + h.secret(key, value)
		}
		return all[:1] + key + "=" + h.shapes(key, value)
	})
	return prefix + path + tail
}

// path looks at the parts of a URL's path. Behind the host of a webhook every part is a secret.
func (h hider) path(name, path string) string {
	head := ""
	if i := strings.Index(path, "://"); i >= 0 {
		head, path = path[:i+3], path[i+3:]
	}
	parts := strings.Split(path, "/")
	for i := 1; i < len(parts); i++ {
		if random(parts[i]) || issued.MatchString(parts[i]) || telegramBot.MatchString(parts[i]) {
			parts[i] = h.secret(name+"_path", parts[i])
		}
	}
	return head + strings.Join(parts, "/")
}

// header takes the secret out of a header's value, and leaves the scheme that stands before it.
func (h hider) header(name, value string) string {
	if !secretHeader(name, value) {
		return h.text(name, value)
	}
	if kind, token, ok := strings.Cut(value, " "); ok && strings.EqualFold(name, "authorization") ||
		strings.EqualFold(kind, "bearer") || strings.EqualFold(kind, "basic") {
		return kind + " " + h.secret(name, strings.TrimSpace(token))
	}
	return h.secret(name, value)
}

// jsonToken is a text or a number of a JSON value, with the colon behind it if it is a key.
var jsonToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"(\s*:)?|-?\d[\d.eE+-]*`)

// json takes the secrets out of the texts and numbers of a JSON value, and leaves all else of it as
// it is written.
func (h hider) json(name, s string) (string, bool) {
	if !json.Valid([]byte(s)) {
		return "", false
	}
	return jsonToken.ReplaceAllStringFunc(s, func(token string) string {
		var text string
		switch {
		case strings.HasSuffix(token, ":"):
			if json.Unmarshal([]byte(strings.TrimRight(token, ": \t\r\n")), &text) == nil {
				name = text
			}
		case token[0] != '"':
			if secretName(name) {
				return h.secret(name, token)
			}
		case json.Unmarshal([]byte(token), &text) == nil:
			if hidden := h.text(name, text); hidden != text {
				return quoted(hidden)
			}
		}
		return token
	}), true
}
