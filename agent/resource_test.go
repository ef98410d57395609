package agent_test

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

// readVars serves a template and returns the variables of a URI; ok is false when it does not cover
// it.
func readVars(t *testing.T, template, uri string) (vars map[string]string, ok bool) {
	t.Helper()
	ctx := one(t, agent.Capabilities{Resources: []agent.Resource{agent.NewResourceFunc(template, "n", "", "",
		func(_ context.Context, _ string, v map[string]string) ([]agent.ResourceContents, error) {
			vars = v
			return nil, nil
		})}})
	_, err := agent.ReadResource(ctx, "callee", uri)
	if err != nil {
		wantCode(t, err, agent.CodeNotFound, true)
	}
	return vars, err == nil
}

func TestTemplates(t *testing.T) {
	for _, tt := range []struct {
		template, uri string
		vars          map[string]string // nil: not covered
	}{
		{"f://{a}", "f://x", map[string]string{"a": "x"}},
		{"f://{a}", "f://x/y", nil},
		{"f://{a}", "f://", nil},
		{"f://{a}", "F://x", nil},
		{"f://{a}", "xf://x", nil},
		{"f://{+p}", "f://x\ny", map[string]string{"p": "x\ny"}},
		{"f://{a}", "f://x%2Fy%20z", map[string]string{"a": "x/y z"}},
		{"f://{a}", "f://%zz", nil},
		{"f://{a}", "f://ä", map[string]string{"a": "ä"}},
		{"f://{a}/{b}", "f://x/y", map[string]string{"a": "x", "b": "y"}},
		{"f://{a}/{b}", "f://x/y/z", nil},
		{"f://{a}.{b}", "f://x.y.z", map[string]string{"a": "x.y", "b": "z"}},
		{"f://{+p}", "f://x/y", map[string]string{"p": "x/y"}},
		{"f://{a}/{+p}", "f://x/y/z", map[string]string{"a": "x", "p": "y/z"}},
		{"f://(a|b)*?{x}", "f://(a|b)*?1", map[string]string{"x": "1"}},
		{"f://(a|b)*?{x}", "f://a1", nil},
	} {
		vars, ok := readVars(t, tt.template, tt.uri)
		if ok != (tt.vars != nil) || !maps.Equal(vars, tt.vars) {
			t.Errorf("%s covers %s: %v, with %v; want %v", tt.template, tt.uri, ok, vars, tt.vars)
		}
	}
}

func TestResourceDefinitions(t *testing.T) {
	read := func(context.Context, string, map[string]string) ([]agent.ResourceContents, error) { return nil, nil }
	for want, r := range map[string]agent.Resource{
		"no URI with a scheme":      agent.NewResourceFunc("latest", "n", "", "", read),
		"name is missing":           agent.NewResourceFunc("f://x", "", "", "", read),
		"function is nil":           agent.NewResource("f://x", "n", "", "", nil),
		"{a b is not {name}":        agent.NewResourceFunc("f://{a b}", "n", "", "", read),
		"{a is not {name}":          agent.NewResourceFunc("f://{a", "n", "", "", read),
		"{?a is not {name}":         agent.NewResourceFunc("f://x{?a}", "n", "", "", read),
		"stands there twice":        agent.NewResourceFunc("f://{a}/{a}", "n", "", "", read),
		"invalid UTF-8":             agent.NewResourceFunc("f://\xff{a}", "n", "", "", read),
		"make it with agent.NewRes": {},
	} {
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %s", err, want)
		}
	}
	fixed, template := agent.NewResourceFunc("f://x", "n", "d", "text/x", read, agent.ResourceTitle("T")),
		agent.NewResourceFunc("f://{x}", "n", "", "", read)
	if i := fixed.Info(); fixed.Err() != nil ||
		!reflect.DeepEqual(i, agent.ResourceInfo{URI: "f://x", Name: "n", Title: "T", Description: "d",
			MIMEType: "text/x"}) ||
		i.Key() != "f://x" {
		t.Errorf("the resource is %+v, %v", i, fixed.Err())
	}
	if i := template.Info(); template.Err() != nil || i.URI != "" || i.Key() != "f://{x}" {
		t.Errorf("the template is %+v, %v", i, template.Err())
	}
}

func TestReadResource(t *testing.T) {
	ctx := one(t, agent.Capabilities{Resources: []agent.Resource{
		agent.NewResource("f://fixed", "fixed", "", "text/x", func(context.Context) (string, error) {
			return "fixed", nil
		}),
		agent.NewResource("f://broken", "broken", "", "", func(context.Context) (string, error) {
			return "", errors.New("torn")
		}),
		agent.NewResourceFunc("f://{name}", "any", "", "text/y",
			func(_ context.Context, uri string, v map[string]string) ([]agent.ResourceContents, error) {
				if v["name"] == "gone" {
					return nil, agent.NotFound(uri)
				}
				return []agent.ResourceContents{{Text: "1"}, {URI: "f://2", MIMEType: "text/z", Text: "2"}}, nil
			}),
		agent.NewResourceFunc("f://{other}", "never", "", "",
			func(context.Context, string, map[string]string) ([]agent.ResourceContents, error) {
				return nil, errors.New("the first template serves")
			}),
	}})
	for uri, want := range map[string][]string{"f://fixed": {"f://fixed text/x fixed"},
		"f://x": {"f://x text/y 1", "f://2 text/z 2"}, "f://{name}": {"f://{name} text/y 1", "f://2 text/z 2"}} {
		contents, err := agent.ReadResource(ctx, "callee", uri)
		var got []string
		for _, c := range contents {
			got = append(got, c.URI+" "+c.MIMEType+" "+c.Text)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s gave %q, %v, want %q", uri, got, err, want)
		}
	}
	for uri, want := range map[string]agent.Code{"f://broken": agent.CodeToolFailed, "f://gone": agent.CodeNotFound} {
		_, err := agent.ReadResource(ctx, "callee", uri)
		wantCode(t, err, want, false)
	}
	_, err := agent.ReadResource(ctx, "callee", "g://x")
	wantCode(t, err, agent.CodeNotFound, true)
}

// Whatever is put into a template's variable comes out again.
func FuzzTemplate(f *testing.F) {
	f.Add("x", "a/b")
	f.Add("%", "ä\n?#")
	f.Fuzz(func(t *testing.T, name, path string) {
		if name == "" || path == "" {
			return
		}
		r := agent.NewResourceFunc("f://{name}/x/{+path}", "n", "", "",
			func(_ context.Context, _ string, v map[string]string) ([]agent.ResourceContents, error) {
				return []agent.ResourceContents{{Text: v["name"]}, {Text: v["path"]}}, nil
			})
		ctx := one(t, agent.Capabilities{Resources: []agent.Resource{r}})
		got, err := agent.ReadResource(ctx, "callee", "f://"+url.PathEscape(name)+"/x/"+url.PathEscape(path))
		if err != nil || got[0].Text != name || got[1].Text != path {
			t.Errorf("%q and %q became %+v, %v", name, path, got, err)
		}
	})
}

// No template and no URI may panic.
func FuzzTemplateCompiles(f *testing.F) {
	f.Add("f://{a}{+b}", "f://x")
	f.Add("{", "}")
	f.Fuzz(func(t *testing.T, template, uri string) {
		r := agent.NewResourceFunc(template, "n", "", "",
			func(context.Context, string, map[string]string) ([]agent.ResourceContents, error) { return nil, nil })
		if r.Err() == nil {
			_, _ = agent.ReadResource(one(t, agent.Capabilities{Resources: []agent.Resource{r}}), "callee", uri)
		}
	})
}
