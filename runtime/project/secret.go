package project

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Redact returns s with *** for every secret of the configuration: what ${env:…} or ${file:…} put
// there, and the values of keys that are made for a secret, such as token. Values of fewer than 6
// characters are left alone: replacing them would garble every text, and they protect nothing. A
// Config that was not loaded knows its secrets once it is complete: see [Config.Complete]. Safe for
// concurrent use.
func (c *Config) Redact(s string) string {
	if c.redactor == nil {
		return s
	}
	return c.redactor.Replace(s)
}

// HasSecrets reports whether [Config.Redact] has anything to replace.
func (c *Config) HasSecrets() bool { return c.redactor != nil }

// Secrets are what [Config.Redact] replaces, for [Redactor].
func (c *Config) Secrets() []string { return slices.Concat(c.expanded, c.plainSecrets()) }

// plainSecrets are the values of keys that are made for a secret.
func (c *Config) plainSecrets() (out []string) {
	out = secretsOf(reflect.ValueOf(c).Elem(), out)
	for _, a := range c.Agents {
		out = secretsOf(reflect.ValueOf(&a).Elem(), out)
	}
	return out
}

func secretsOf(section reflect.Value, out []string) []string {
	for i := range declared.section(section.Type()).keys {
		k := &declared.section(section.Type()).keys[i]
		field := section.FieldByIndex(k.index)
		switch {
		case field.IsZero():
		case k.secret && field.Kind() == reflect.String:
			out = append(out, field.String())
		case k.secret && field.Kind() == reflect.Slice:
			for i := range field.Len() {
				out = append(out, field.Index(i).String())
			}
		case k.secret:
			for it := field.MapRange(); it.Next(); {
				out = append(out, it.Value().String())
			}
		case reflect.Indirect(field).Kind() == reflect.Struct:
			out = secretsOf(reflect.Indirect(field), out)
		}
	}
	return out
}

// SecretsInClear are the keys whose value is a secret that stands in a file as it is, in place of
// ${env:NAME} or ${file:PATH}: those that are made for a secret, and headers and variables with the
// name of one.
func (c *Config) SecretsInClear() (all [][]string) {
	if c.written == nil {
		return nil
	}
	look := func(keys []string) {
		if l, ok := c.written.at(keys...).(*leaf); ok && l.pos.File != "" && l.masked == "" && l.value != "" {
			all = append(all, keys)
		}
	}
	var walk func(path []string, section reflect.Value)
	walk = func(path []string, section reflect.Value) {
		for i := range declared.section(section.Type()).keys {
			k := &declared.section(section.Type()).keys[i]
			field, keys := section.FieldByIndex(k.index), below(path, k.name)
			switch {
			case field.IsZero():
			case k.secret && field.Kind() == reflect.Slice:
				for n := range field.Len() {
					look(below(keys, item(n)))
				}
			case k.secret && field.Kind() == reflect.Map:
				for _, name := range sortedKeys(field.Interface().(map[string]string)) {
					look(below(keys, name))
				}
			case k.secret:
				look(keys)
			case reflect.Indirect(field).Kind() == reflect.Struct:
				walk(keys, reflect.Indirect(field))
			}
		}
	}
	walk(nil, reflect.ValueOf(c).Elem())
	for _, name := range c.AgentNames() {
		a := c.Agents[name]
		walk([]string{"agents", name}, reflect.ValueOf(&a).Elem())
		for _, h := range sortedKeys(a.Headers) {
			if secretNames.MatchString(h) {
				look([]string{"agents", name, "headers", h})
			}
		}
		for _, v := range sortedKeys(a.Env) {
			if clearNames.MatchString(v) {
				look([]string{"agents", name, "env", v})
			}
		}
	}
	return all
}

// clearNames are names of variables that are a secret without doubt.
var clearNames = regexp.MustCompile(`(?i)(^|_)(token|secret|password|passwd|api_?key|private_key)$`)

// replacer replaces secrets, and the ways they look inside quotes, longest first.
func replacer(secrets []string) *strings.Replacer {
	var words []string
	for _, s := range secrets {
		if len(s) < 6 {
			continue
		}
		quoted := strconv.Quote(s)
		words = append(words, s, quoted[1:len(quoted)-1])
		if j, err := json.Marshal(s); err == nil {
			words = append(words, string(j[1:len(j)-1]))
		}
	}
	if len(words) == 0 {
		return nil
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, w := range words {
		pairs = append(pairs, w, mask)
	}
	return strings.NewReplacer(pairs...)
}

// SecretsIn returns what ${env:…} and ${file:…} put into a part of the configuration, for
// [Redactor].
func (c *Config) SecretsIn(part any) []string {
	text := fmt.Sprint(part)
	var out []string
	for _, s := range c.expanded {
		if strings.Contains(text, s) {
			out = append(out, s)
		}
	}
	return out
}

// Redactor returns what masks secrets as [Config.Redact] does; nil where none has to be masked.
func Redactor(secrets []string) func(string) string {
	if r := replacer(secrets); r != nil {
		return r.Replace
	}
	return nil
}

// secretNames are names of variables, headers and parameters whose values are secrets, as people
// write them down in spite of ${env:…}.
var secretNames = regexp.MustCompile(`(?i)(key|token|secret|passw|passphrase|pwd|(^|[_-])pass($|[_-])|credential|auth|` +
	`bearer|cookie|dsn|jwt|(^|[_-])pat$|sig$|signature|webhook|session|private|connection.?str)`)

// plainHeaders are headers whose values are no secrets.
var plainHeaders = []string{"accept", "accept-encoding", "accept-language", "cache-control", "connection",
	"content-type", "host", "mcp-protocol-version", "origin", "referer", "user-agent"}

// maskLiteral is how a text of a key is printed that may hold a secret which is written there: a
// header, a variable with such a name, or a URL. What references put there is masked already.
func maskLiteral(path []string, text string) string {
	switch {
	case len(path) < 3 || path[0] != "agents" || text == "" || strings.Contains(text, mask):
		return text
	case path[2] == "headers" && len(path) == 4 && !slices.Contains(plainHeaders, strings.ToLower(path[3])),
		path[2] == "env" && len(path) == 4 && secretNames.MatchString(path[3]):
		return mask
	case path[2] == "url":
		return maskURL(text)
	}
	return text
}

// maskURL is a URL without the values of its query. One with a password is refused.
func maskURL(text string) string {
	before, query, asks := strings.Cut(text, "?")
	if !asks {
		return text
	}
	query, fragment, cut := strings.Cut(query, "#")
	parts := strings.Split(query, "&")
	for i, p := range parts {
		if name, value, has := strings.Cut(p, "="); has && value != "" {
			parts[i] = name + "=" + mask
		} else if !has && len(p) > 15 { // a token alone
			parts[i] = mask
		}
	}
	if text = before + "?" + strings.Join(parts, "&"); cut {
		text += "#" + fragment
	}
	return text
}
