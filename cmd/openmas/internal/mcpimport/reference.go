package mcpimport

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

var (
	variable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	unfitting = regexp.MustCompile(`[^A-Z0-9]+`)
	// reference is ${NAME}, ${env:NAME} and the like, ${{ secrets.NAME }} of GitHub, {env:NAME} of
	// opencode, and a $NAME that is the whole text.
	reference = regexp.MustCompile(`\$\{\{[^}]*\}\}|\$\{[^}]*\}|\{(?:env|file):[^{}]*\}|^\$[A-Za-z_][A-Za-z0-9_]*$|` +
		`\$\{|[\x{100000}-\x{10FFFF}]`)
)

// editorWords are variables of VS Code that only an editor knows.
var editorWords = []string{"file", "fileBasename", "fileBasenameNoExtension", "fileDirname", "fileDirnameBasename",
	"fileExtname", "fileWorkspaceFolder", "lineNumber", "columnNumber", "selectedText", "relativeFile",
	"relativeFileDirname", "execPath", "defaultBuildTask", "extensionInstallFolder", "workspaceFolderBasename",
	"workspaceRoot", "cwd"}

// A text holds what the placeholders of one text stand for.
type text struct {
	im   *importer
	refs []string
}

func (t *text) hold(s string) string {
	t.refs = append(t.refs, s)
	return string(firstPlaceholder + rune(len(t.refs)-1))
}

func (t *text) restore(s string) string {
	var out strings.Builder
	for _, r := range s {
		if i := int(r - firstPlaceholder); i >= 0 && i < len(t.refs) {
			out.WriteString(t.refs[i])
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// convert returns a text as a project file has it: without secrets, unless they are to be kept, and
// with the references of the client as those of openmas.
func (im *importer) convert(s string, hide func(h hider, s string) string) string {
	t := &text{im: im}
	s = reference.ReplaceAllStringFunc(s, func(ref string) string { return t.hold(im.reference(ref)) })
	if !im.opts.KeepSecrets {
		s = hide(hider{func(name, secret string) string { return t.hold(im.secret(name, t.restore(secret))) }}, s)
	}
	return t.restore(s)
}

// reference turns a client's reference into one of a project file.
func (im *importer) reference(ref string) string {
	inner := strings.Trim(strings.TrimPrefix(ref, "$"), "{} ")
	kind, name, ok := strings.Cut(inner, ":")
	plain, fallback, hasDefault := strings.Cut(inner, ":-")
	switch {
	case strings.HasPrefix(ref, "${{"):
		if _, name, ok := strings.Cut(inner, "secrets."); ok && variable.MatchString(name) {
			im.note("%s: set the environment variable %s, which was the secret %s", im.name, name, inner)
			return im.env(name)
		}
	case ok && kind == "env" && variable.MatchString(name):
		return im.env(name)
	case ok && kind == "file" && !strings.HasPrefix(ref, "$"):
		if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(name, "~/") {
			name = home + name[1:]
		}
		im.note("%s: the file %s is read as a project file reads it: relative to its folder", im.name, name)
		return "${file:" + name + "}"
	case ok && kind == "input":
		name = strings.Trim(unfitting.ReplaceAllString(strings.ToUpper(name), "_"), "_")
		im.note("%s: set the environment variable %s, which the client asked for as %s", im.name, name, inner)
		return im.env(name)
	case hasDefault && variable.MatchString(plain):
		if secretName(plain) || im.hides(fallback) {
			fallback = "…"
		}
		im.note("%s: the variable %s has no default %q any more; set it", im.name, plain, fallback)
		return im.env(plain)
	case inner == "workspaceFolder" || ok && kind == "workspaceFolder":
		im.note("%s: ${workspaceFolder} becomes ., the project file's folder", im.name)
		return "."
	case inner == "userHome":
		return im.env("HOME")
	case inner == "/" || inner == "pathSeparator":
		return "/"
	case variable.MatchString(inner) && !slices.Contains(editorWords, inner):
		return im.env(inner)
	}
	if strings.HasPrefix(ref, "${") {
		if ref != "${" {
			im.note("%s: %s stays as it is, and means nothing to openmas", im.name, ref)
		}
		return "$" + ref // $${ is a literal ${
	}
	return ref
}

// homeFolder is a ~ that a shell would take for the home folder: alone, or before a path, also
// behind the = of a flag.
var homeFolder = regexp.MustCompile(`^(-[^=\s]*=)?~($|[/\\])`)

// home writes the home folder of a path out: there is no shell that would do it.
func (im *importer) home(s string) string {
	if !homeFolder.MatchString(s) {
		return s
	}
	im.note("%s: ~ becomes ${env:HOME}: there is no shell", im.name)
	return homeFolder.ReplaceAllString(s, "${1}$${userHome}${2}")
}

// hides reports whether a text holds a secret.
func (im *importer) hides(s string) bool {
	found := false
	hider{func(string, string) string { found = true; return "" }}.text("", s)
	return found
}

// env is the reference to an environment variable.
func (im *importer) env(name string) string {
	im.variables = append(im.variables, name)
	return "${env:" + name + "}"
}

// secret takes a value out, and returns the reference that stands for it. A key that looks like a
// variable keeps its name, and servers with the same secret under it share the variable; in any
// other case the name begins with the agent's. So the names do not depend on the order of servers.
func (im *importer) secret(key, value string) string {
	own := strings.ToUpper(strings.ReplaceAll(im.name, "-", "_")) + "_"
	name := strings.Trim(unfitting.ReplaceAllString(strings.ToUpper(key), "_"), "_")
	if name == "" {
		name = "SECRET"
	}
	if key != name || !strings.Contains(name, "_") { // not a variable's name yet: say whose it is
		name = own + name
	}
	if name[0] <= '9' {
		name = "MCP_" + name
	}
	if im.wanted[name] == nil {
		im.wanted[name] = map[string]bool{}
	}
	im.wanted[name][value] = true
	if im.ambiguous[name] && !strings.HasPrefix(name, own) {
		name = own + name
	}
	taken := func() bool { return im.secrets[name] != "" && im.secrets[name] != value }
	if taken() { // the agent has two: say where this one stands
		name = own + im.place.word + "_" + strings.TrimPrefix(name, own)
	}
	for base, n := name, 2; taken(); n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	im.secrets[name] = value
	if !slices.Contains(im.agent.Secrets, name) {
		im.agent.Secrets = append(im.agent.Secrets, name)
		what := strings.TrimPrefix(strings.Trim(key, "_")+im.place.text, " in ")
		for _, other := range slices.Sorted(maps.Keys(im.secrets)) {
			if other != name && im.secrets[other] == value {
				what += ", the same as " + other
				break
			}
		}
		im.note("%s: set the environment variable %s to the secret that the file has for %s", im.name, name, what)
	}
	return im.env(name)
}
