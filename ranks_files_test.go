package openmas_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Inside a package the arrows run one way too: a file uses what those below it declare, and nothing
// of those above it. A file uses another when it names a type, a function, a variable or a
// constant, a method or a field that is declared there. What it reaches through an interface, it
// does not use.
func TestFilesRunOneWay(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it looks at the files for Linux")
	}
	for _, p := range typedPackages(t) {
		if circles := describe(p.uses); circles != "" {
			t.Errorf("%s has files in a circle:\n%s", p.path, circles)
		}
	}
}

// uses has, for every file of a package, the files that it uses, with one name that it uses there.
type uses map[string]map[string]string

type typedPackage struct {
	path string
	uses uses
}

// typedPackages type-checks the packages of this module. What they import comes from the build
// cache.
func typedPackages(t *testing.T) []typedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps",
		"-json=ImportPath,Dir,GoFiles,Export", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	type listed struct {
		pkg
		Export string
	}
	var own []listed
	exports := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		exports[p.ImportPath] = p.Export
		if p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/") {
			own = append(own, p)
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	var all []typedPackage
	for _, p := range own {
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
		typed, err := (&types.Config{Importer: imports}).Check(p.ImportPath, fset, files, info)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, typedPackage{path: p.ImportPath, uses: usesOf(fset, typed, info)})
	}
	if len(all) < 8 {
		t.Fatalf("go list found %d packages only", len(all))
	}
	return all
}

func usesOf(fset *token.FileSet, p *types.Package, info *types.Info) uses {
	all := uses{}
	for id, obj := range info.Uses {
		if obj.Pkg() != p || !ofPackage(p, obj) {
			continue
		}
		from, to := filepath.Base(fset.Position(id.Pos()).Filename), filepath.Base(fset.Position(obj.Pos()).Filename)
		if from == to {
			continue
		}
		if all[from] == nil {
			all[from] = map[string]string{}
		}
		if one := all[from][to]; one == "" || obj.Name() < one {
			all[from][to] = obj.Name()
		}
	}
	return all
}

// ofPackage reports whether obj is declared at the top of a file, or a method or a field.
func ofPackage(p *types.Package, obj types.Object) bool {
	switch obj := obj.(type) {
	case *types.Func:
		return true
	case *types.Var:
		return obj.IsField() || obj.Parent() == p.Scope()
	default:
		return obj.Parent() == p.Scope()
	}
}

// circles returns the sets of two files and more that all use each other, be it through others.
func circles(all uses) [][]string {
	reached := map[string]map[string]bool{}
	var walk func(from, at string)
	walk = func(from, at string) {
		for to := range all[at] {
			if !reached[from][to] {
				reached[from][to] = true
				walk(from, to)
			}
		}
	}
	for from := range all {
		reached[from] = map[string]bool{}
		walk(from, from)
	}
	var found [][]string
	done := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(all)) {
		if done[from] || !reached[from][from] {
			continue
		}
		circle := []string{from}
		for to := range reached[from] {
			if to != from && reached[to][from] {
				circle = append(circle, to)
				done[to] = true
			}
		}
		slices.Sort(circle)
		found = append(found, circle)
	}
	return found
}

// describe has a line for every file that stands in a circle: what it uses of the others there.
func describe(all uses) string {
	var b strings.Builder
	for _, circle := range circles(all) {
		for _, from := range circle {
			fmt.Fprintf(&b, "\t%s uses", from)
			for _, to := range circle {
				if name := all[from][to]; name != "" {
					fmt.Fprintf(&b, " %s (%s)", to, name)
				}
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestCirclesAreFound(t *testing.T) {
	use := func(arrows ...string) uses {
		all := uses{}
		for _, a := range arrows {
			from, to, _ := strings.Cut(a, ">")
			if all[from] == nil {
				all[from] = map[string]string{}
			}
			all[from][to] = "x"
		}
		return all
	}
	for _, c := range []struct {
		all  uses
		want string
	}{
		{use("a>b", "b>c", "a>c"), "[]"},
		{use("a>b", "b>a", "c>a"), "[[a b]]"},
		{use("a>b", "b>c", "c>a", "d>e", "e>d", "c>d"), "[[a b c] [d e]]"},
	} {
		if got := fmt.Sprint(circles(c.all)); got != c.want {
			t.Errorf("circles of %v: %s, want %s", c.all, got, c.want)
		}
	}
}
