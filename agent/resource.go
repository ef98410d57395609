package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A Resource is something to read that an agent offers by URI, or by a template of URIs.
type Resource struct {
	info      ResourceInfo
	read      ReadFunc
	match     *regexp.Regexp // of a template
	completes map[string]CompleteFunc
	err       error
}

// ReadFunc reads the resource of that URI. vars are the values of a template's variables, decoded;
// nil without one. A URI that the template allows but nothing stands for is [NotFound].
type ReadFunc func(ctx context.Context, uri string, vars map[string]string) ([]ResourceContents, error)

// NotFound is the error for a thing that does not exist.
func NotFound(what string) *Error { return Errorf(CodeNotFound, "%s does not exist", what) }

// A ResourceOption refines a resource.
type ResourceOption func(*Resource)

// ResourceTitle gives the resource a name for people.
func ResourceTitle(title string) ResourceOption { return func(r *Resource) { r.info.Title = title } }

// CompletesVariable offers completions for one variable of a template.
func CompletesVariable(name string, fn CompleteFunc) ResourceOption {
	return func(r *Resource) {
		if r.completes == nil {
			r.completes = map[string]CompleteFunc{}
		}
		r.completes[name] = fn
	}
}

// NewResource makes a resource with a fixed URI, for example "review://latest". fn returns its
// text; it is called concurrently.
func NewResource(uri, name, description, mimeType string, fn func(ctx context.Context) (string, error),
	opts ...ResourceOption) Resource {
	read := func(ctx context.Context, uri string, _ map[string]string) ([]ResourceContents, error) {
		text, err := fn(ctx)
		if err != nil {
			return nil, err
		}
		return []ResourceContents{{URI: uri, MIMEType: mimeType, Text: text}}, nil
	}
	if fn == nil {
		read = nil
	}
	return newResource(ResourceInfo{URI: uri, Name: name, Description: description, MIMEType: mimeType}, read, opts)
}

// NewResourceFunc makes a resource from a [ReadFunc]: one with a fixed URI, or, where uri holds
// {variables}, a template: {name} stands for a part without a slash, {+name} for a part with any.
func NewResourceFunc(uri, name, description, mimeType string, fn ReadFunc, opts ...ResourceOption) Resource {
	info := ResourceInfo{URI: uri, Name: name, Description: description, MIMEType: mimeType}
	if strings.Contains(uri, "{") {
		info.URI, info.Template = "", uri
	}
	return newResource(info, fn, opts)
}

func newResource(info ResourceInfo, read ReadFunc, opts []ResourceOption) Resource {
	r := Resource{info: info, read: read}
	var errs []error
	if info.Template != "" {
		var err error
		r.match, err = compileTemplate(info.Template)
		errs = append(errs, err)
	} else if u, err := url.Parse(info.URI); err != nil || u.Scheme == "" {
		errs = append(errs, fmt.Errorf("%q is no URI with a scheme, such as review://latest", info.URI))
	}
	if read == nil {
		errs = append(errs, errors.New("the function is nil"))
	}
	if info.Name == "" {
		errs = append(errs, errors.New("the name is missing"))
	}
	for _, o := range opts {
		o(&r)
	}
	r.err = errors.Join(errs...)
	return r
}

// Info describes the resource.
func (r Resource) Info() ResourceInfo { return r.info }

// Err is what is wrong with the resource's definition; nil if nothing.
func (r Resource) Err() error {
	if r.read == nil && r.err == nil {
		return errors.New("a resource without a function: make it with agent.NewResource")
	}
	return r.err
}

// vars matches uri with the template; ok is false when it does not cover it.
func (r Resource) vars(uri string) (vars map[string]string, ok bool) {
	m := r.match.FindStringSubmatch(uri)
	if m == nil {
		return nil, false
	}
	vars = make(map[string]string, len(m)-1)
	for i, name := range r.match.SubexpNames()[1:] {
		v, err := url.PathUnescape(m[i+1])
		if err != nil {
			return nil, false
		}
		vars[name] = v
	}
	return vars, true
}

// compileTemplate turns the {name} and {+name} of RFC 6570 into a regular expression.
func compileTemplate(t string) (*regexp.Regexp, error) {
	var b strings.Builder
	var names []string
	b.WriteString("(?s)^")
	for rest := t; rest != ""; {
		lit, expr, found := strings.Cut(rest, "{")
		b.WriteString(regexp.QuoteMeta(lit))
		if !found {
			break
		}
		name, after, closed := strings.Cut(expr, "}")
		pattern := "[^/]+"
		if strings.HasPrefix(name, "+") {
			name, pattern = name[1:], ".+"
		}
		if !closed || !variable.MatchString(name) {
			return nil, fmt.Errorf("template %q: {%s is not {name} or {+name}", t, name)
		}
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("template %q: {%s} stands there twice", t, name)
		}
		names = append(names, name)
		fmt.Fprintf(&b, "(?P<%s>%s)", name, pattern)
		rest = after
	}
	b.WriteString("$")
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, fmt.Errorf("template %q: %w", t, err)
	}
	return re, nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// TopicResourceUpdated is the topic of [ResourceUpdated]. Its payload is a [ResourceUpdate]; the
// source is the agent that has the resource.
const TopicResourceUpdated = "openmas.resource-updated"

// ResourceUpdate says which resource has changed.
type ResourceUpdate struct {
	URI string `json:"uri"`
}

// ResourceUpdated tells the MCP clients that subscribed to a resource of the agent that runs in ctx
// that it has changed; they will read it again. It is best effort, like every event, works from
// tools, Runners and children alike, and does nothing where nobody subscribed. uri is that of the
// resource, or one that its template covers.
func ResourceUpdated(ctx context.Context, uri string) error {
	return Publish(ctx, TopicResourceUpdated, ResourceUpdate{URI: uri}, EventKey(uri))
}
