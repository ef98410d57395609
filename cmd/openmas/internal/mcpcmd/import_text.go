package mcpcmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"strings"
)

func mapsKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// quoted writes a text as JSON does, which YAML reads.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // cannot happen to a string
	}
	return strings.TrimSpace(b.String())
}

var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// agentName makes a valid name of a server's, and one that no other has.
func (im *importer) agentName(server string) string {
	const longest = 32
	name := strings.Trim(unfit.ReplaceAllString(strings.ToLower(server), "-"), "-")
	if name == "" || name[0] < 'a' {
		name = strings.TrimSuffix("mcp-"+name, "-")
	}
	if name == "openmas" {
		name = "openmas-mcp"
	}
	name = strings.TrimRight(name[:min(len(name), longest)], "-")
	for base, n := name, 2; im.taken[name]; n++ {
		suffix := fmt.Sprintf("-%d", n)
		name = strings.TrimRight(base[:min(len(base), longest-len(suffix))], "-") + suffix
	}
	im.taken[name] = true
	return name
}

var (
	secretKey   = regexp.MustCompile(`(?i)(key|token|secret|passw|passphrase|credential|auth|private|(^|[_-])pat($|[_-])|dsn|connection_?string)`)
	secretValue = regexp.MustCompile(`^(sk-|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|AIza|eyJ[A-Za-z0-9_-]{10,}\.)|://[^/@\s]+:[^/@\s]+@`)
	reference   = regexp.MustCompile(`\$\{([^}]*)\}`)
	variable    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// looksSecret says so rather once too often: a reference to a variable does no harm.
func looksSecret(name, value string) bool {
	if value == "" || value == "true" || value == "false" || strings.HasPrefix(value, "${") &&
		strings.HasSuffix(value, "}") {
		return false
	}
	return secretKey.MatchString(name) && !strings.HasSuffix(strings.ToLower(name), "_file") ||
		secretValue.MatchString(value)
}

// secret takes a value out, and returns the reference that stands for it.
func (im *importer) secret(key, value string) string {
	if refs := im.references(value); refs != value && strings.HasPrefix(refs, "${") { // it is one already
		return refs
	}
	name := strings.Trim(regexp.MustCompile(`[^A-Z0-9]+`).ReplaceAllString(strings.ToUpper(key), "_"), "_")
	if !strings.Contains(key, "_") || strings.EqualFold(key, "token") { // not a variable's name yet: say whose it is
		name = strings.ToUpper(strings.ReplaceAll(im.name, "-", "_")) + "_" + name
	}
	if !variable.MatchString(name) {
		name = "SECRET_" + name
	}
	im.note("%s: set the environment variable %s to the secret that the file has for %s", im.name, name, key)
	return "${env:" + name + "}"
}

// references turns the variables of clients into those of a project file.
func (im *importer) references(s string) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		inner := ref[2 : len(ref)-1]
		kind, name, ok := strings.Cut(inner, ":")
		plain, fallback, hasDefault := strings.Cut(inner, ":-")
		switch {
		case ok && kind == "env" && variable.MatchString(name):
			return ref
		case ok && kind == "input":
			name = strings.ToUpper(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(name, "_"))
			im.note("%s: set the environment variable %s, which the client asked for as %s", im.name, name, inner)
			return "${env:" + name + "}"
		case hasDefault && variable.MatchString(plain):
			im.note("%s: the variable %s has no default %q any more; set it", im.name, plain, fallback)
			return "${env:" + plain + "}"
		case inner == "workspaceFolder":
			im.note("%s: ${workspaceFolder} becomes ., the project file's folder", im.name)
			return "."
		case inner == "userHome":
			return "${env:HOME}"
		case variable.MatchString(inner):
			return "${env:" + inner + "}"
		}
		im.note("%s: %s stays as it is, and means nothing to openmas", im.name, ref)
		return "$" + ref // $${ is a literal ${
	})
}

// plainJSON takes out what editors allow in their settings: comments, and commas before a closing
// bracket.
func plainJSON(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch rest := text[i:]; {
		case text[i] == '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(text))
			out = append(out, text[i:end]...)
			i = end - 1
		case bytes.HasPrefix(rest, []byte("//")):
			n := bytes.IndexByte(rest, '\n')
			if n < 0 {
				return out
			}
			i += n - 1
		case bytes.HasPrefix(rest, []byte("/*")):
			n := bytes.Index(rest, []byte("*/"))
			if n < 0 {
				return out
			}
			i += n + 1
		case text[i] == ']' || text[i] == '}':
			if trimmed := bytes.TrimRight(out, " \t\r\n"); len(trimmed) > 0 && trimmed[len(trimmed)-1] == ',' {
				out = trimmed[:len(trimmed)-1]
			}
			out = append(out, text[i])
		default:
			out = append(out, text[i])
		}
	}
	return out
}
