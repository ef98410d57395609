package mcpimport

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime/project"
)

// server writes the agent of one server.
func (im *importer) server(e entry) {
	im.name = im.agentName(e.name)
	im.agent.Name = im.name
	if im.name != e.name {
		im.note("server %q becomes agent %s: names are lower-case letters, digits and hyphens", e.name, im.name)
	}
	if e.fields == nil {
		im.out("it is no object with keys of a server")
		return
	}
	if e.project != "" {
		im.note("%s is a server of the project %s", im.name, e.project)
	}
	if zed, ok := e.fields["command"].(map[string]any); ok { // an older form of Zed's settings
		delete(e.fields, "command")
		for from, to := range map[string]string{"path": "command", "args": "args", "env": "env"} {
			if e.fields[to] == nil && zed[from] != nil {
				e.fields[to] = zed[from]
			}
		}
	}
	if options, ok := e.fields["requestOptions"].(map[string]any); ok && options["headers"] != nil &&
		e.fields["headers"] == nil { // Continue's
		e.fields["headers"] = options["headers"]
		if delete(options, "headers"); len(options) == 0 {
			delete(e.fields, "requestOptions")
		}
	}
	f := fields{e.fields, map[string]bool{"source": e.fields["source"] == "custom"}} // Zed's word for all of these
	im.disabled(f)
	kind := f.text(kindKeys...)
	argv := im.argv(f)
	address := f.text(urlKeys...)
	switch {
	case len(argv) > 0:
		im.command(argv)
		if address != "" {
			im.lose("its url", "since it has a command")
		}
		if !slices.Contains([]string{"", "stdio", "local"}, kind) {
			im.lose("type", kind)
		}
	case address != "":
		im.url(address, kind)
	default:
		im.out("neither a command nor a url is in it")
	}
	im.environment(f, len(argv) > 0)
	im.headers(f, len(argv) == 0 && address != "")
	if dir := f.text(dirKeys...); dir != "" {
		im.line("dir: %s", quoted(im.convert(im.home(dir), func(h hider, s string) string { return s })))
	}
	if key, _ := f.first(allowKeys...); key != "" {
		if list, ok := f.list(key); ok && !slices.Contains(list, "*") && len(list) > 0 {
			im.line("allow_tools: %s", quotedList(list))
		}
	}
	im.timeouts(e.client, f, len(argv) > 0)
	im.rest(f)
}

// disabled looks for a word that turns a server off.
func (im *importer) disabled(f fields) {
	for key, off := range map[string]bool{"disabled": true, "enabled": false, "isActive": false} {
		v, err := strconv.ParseBool(textOf(f.values[key]))
		if err != nil {
			continue
		}
		if f.taken[key] = true; v == off && !im.opts.Disabled {
			im.out(fmt.Sprintf("it is disabled (%s: %v)", key, v))
		}
	}
}

// argv is the program and its arguments.
func (im *importer) argv(f fields) []string {
	key, v := f.first(commandKeys...)
	argv, ok := f.list(key)
	if text, isText := v.(string); isText && len(argv) > 0 {
		if strings.ContainsAny(argv[0], `/\`) && !strings.ContainsAny(text[:1], `'"`) || len(argv) == 1 {
			argv = []string{text} // the path of a program, which may have spaces in it
		} else {
			im.note("%s: its command is a whole command line, and is cut at the spaces", im.name)
		}
	}
	if !ok || len(argv) == 0 {
		return nil
	}
	if _, v := f.first("args"); v != nil {
		args, ok := f.list("args") // one that is no list is left out, and told
		if items, _ := v.([]any); ok && slices.Contains(items, nil) {
			im.lose("args: null", "which is no argument")
		}
		if _, isText := v.(string); isText {
			im.note("%s: its args are one text, and are cut at the spaces", im.name)
		}
		argv = append(argv, args...)
	}
	return argv
}

// command writes an argument list. What an argument means depends on the one before it.
func (im *importer) command(argv []string) {
	for i, arg := range argv {
		before := ""
		if i > 0 && strings.HasPrefix(argv[i-1], "-") && !strings.Contains(argv[i-1], "=") &&
			!strings.HasPrefix(arg, "-") {
			before = argv[i-1]
		}
		im.place = inArgument
		argv[i] = im.convert(im.home(arg), func(h hider, s string) string { return h.argument(before, s) })
	}
	im.line("command: %s", quotedList(argv))
}

func quotedList(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quoted(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func (im *importer) url(address, kind string) {
	im.place = inURL
	if u, err := url.Parse(address); err == nil && u.User != nil && im.opts.KeepSecrets {
		im.login = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.String()))
	} else if err == nil && u.User != nil {
		im.login = "Basic " + im.secret("login", u.User.String())
		im.note("%s: its url has a user: what the variable holds is user:password in base64", im.name)
	}
	if m := authority.FindStringSubmatch(address); m != nil {
		address = m[1] + address[len(m[0]):]
	}
	im.line("url: %s", quoted(im.convert(address, func(h hider, s string) string { return h.text("url", s) })))
	bare, _, _ := strings.Cut(address, "?")
	sse := mcp.TransportOf(bare) == mcp.SSE
	switch strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(kind)) {
	case "sse":
		if !sse {
			im.line("communicator: mcp-sse")
		}
	case "http", "streamablehttp":
		if sse {
			im.line("communicator: mcp-http")
		}
	case "", "remote":
	case "stdio", "local":
		im.lose("type", kind+", since it has a url")
	default:
		im.out("openmas has no transport " + kind)
	}
}

// environment writes the environment of a program.
func (im *importer) environment(f fields, fits bool) {
	key, v := f.first(envKeys...)
	values, ok := byName(v, "=")
	if !ok || !fits {
		return // left out, and told
	}
	f.taken[key] = true
	var out []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := textOf(values[name])
		if name == "" || strings.ContainsAny(name, "=\x00") || name == "OPENMAS_URL" || name == "OPENMAS_TOKEN" {
			im.lose(key+": "+quoted(name), "which cannot be set")
			continue
		}
		switch values[name].(type) {
		case nil:
			im.lose(key+": "+name, "which has no value")
			continue
		case map[string]any, []any:
			value = quoted(values[name])
		}
		im.place = inEnv
		value = im.convert(im.home(value), func(h hider, s string) string { return h.text(name, s) })
		out = append(out, quoted(name)+": "+quoted(value))
	}
	if len(out) > 0 {
		im.line("env: {%s}", strings.Join(out, ", "))
	}
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// headers writes the headers of a URL, and its token.
func (im *importer) headers(f fields, fits bool) {
	if !fits {
		return // left out, and told
	}
	im.place = inHeader
	var out []string
	seen := map[string]bool{}
	twice := func(name string) bool { // asked before its value is read: what is left out needs no variable
		again := seen[strings.ToLower(name)]
		if again {
			im.lose("header "+name, "which is there twice")
		}
		seen[strings.ToLower(name)] = true
		return again
	}
	add := func(name, value string) {
		switch kind, token, _ := strings.Cut(value, " "); {
		case strings.EqualFold(name, "Authorization") && strings.EqualFold(kind, "Bearer") && token != "":
			im.line("token: %s", quoted(token))
		default:
			out = append(out, quoted(name)+": "+quoted(value))
		}
	}
	if name := f.text("bearer_token_env_var"); variable.MatchString(name) && !twice("Authorization") {
		add("Authorization", "Bearer "+im.env(name))
	}
	if im.login != "" && !twice("Authorization") {
		add("Authorization", im.login)
	}
	if key, v := f.first(headerKeys...); v != nil {
		values, ok := byName(v, ":")
		f.taken[key] = ok
		for _, name := range slices.Sorted(maps.Keys(values)) {
			value := textOf(values[name])
			if value == "" {
				im.lose("header "+name, "which has no value")
				continue
			}
			if project.OwnHeader(name) {
				im.lose("header "+name, "which openmas sets itself")
				continue
			}
			if !headerName.MatchString(name) || strings.ContainsFunc(value, unicode.IsControl) {
				im.lose("header "+quoted(name), "which is not valid")
				continue
			}
			if twice(name) {
				continue
			}
			under := name
			if strings.EqualFold(name, "Authorization") && len(value) > 7 && strings.EqualFold(value[:7], "bearer ") {
				under = "token"
			}
			add(name, im.convert(value, func(h hider, s string) string { return h.header(under, s) }))
		}
	}
	if values, ok := f.values["env_http_headers"].(map[string]any); ok {
		f.taken["env_http_headers"] = true
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if v := textOf(values[name]); variable.MatchString(v) && !twice(name) {
				add(name, im.env(v))
			}
		}
	}
	if len(out) > 0 {
		im.line("headers: {%s}", strings.Join(out, ", "))
	}
}

// rest tells what is left out. Values are told only where they are one short word.
func (im *importer) rest(f fields) {
	for _, key := range slices.Sorted(maps.Keys(f.values)) {
		if f.taken[key] || f.values[key] == nil {
			continue
		}
		value := quoted(f.values[key])
		if _, object := f.values[key].(map[string]any); object || len(value) > 60 || secretName(key) ||
			im.hides(value) {
			value = ""
		}
		if key == "envFile" {
			value += ", whose variables have to be set, or written under env"
		}
		im.lose(key, value)
	}
}
