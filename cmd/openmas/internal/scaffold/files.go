package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	text "text/template"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime/project"
)

//go:embed templates
var templateFiles embed.FS

const (
	projectFile = "openmas.yaml"
	schemaFile  = "openmas.schema.json"
)

// A plan is what is to be made in a folder.
type plan struct {
	dir, shown string // absolute, and as the user named it
	project    string
	template   template
	agents     string // the folder of the agents, below dir
	made       bool   // the project file is new, and so are the agents
}

// place finds out where the agents go: where there is Go code already, into a folder of their own.
func (p *plan) place() error {
	info, err := os.Stat(p.dir)
	switch {
	case err == nil && !info.IsDir():
		return cli.Usage(fmt.Errorf("%s is a file, and no folder", p.shown))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look at %s: %w", p.shown, err)
	}
	p.made, p.agents = !exists(filepath.Join(p.dir, projectFile)), "."
	code, err := filepath.Glob(filepath.Join(p.dir, "*.go"))
	if err != nil {
		return fmt.Errorf("look for Go files: %w", err)
	}
	if p.made && len(code) > 0 {
		p.agents = "agents"
	}
	if sub := filepath.Join(p.dir, p.agents); p.agents != "." && exists(sub) {
		return cli.Usage(fmt.Errorf("%s has Go code, so that the agents would come into %s, and that is there "+
			"already; write %s with the line \"package: FOLDER\", and say openmas init again", p.shown,
			filepath.Join(p.shown, p.agents), projectFile))
	}
	return nil
}

// fields are what the templates show.
func (p *plan) fields() map[string]string {
	pkg, main := ".", "main.go"
	if p.agents != "." {
		pkg, main = "./"+p.agents, p.agents+"/main.go"
	}
	adduser := "adduser -D -u 10001 app"
	if p.template.base == python {
		adduser = "useradd --create-home --uid 10001 app"
	}
	return map[string]string{"Name": p.project, "Title": strings.ToUpper(p.project[:1]) + p.project[1:],
		"Package": pkg, "Main": main, "About": p.template.about, "Call": p.template.call, "Base": p.template.base,
		"AddUser": adduser,
		"Image":   strings.Join(append([]string{p.project, projectFile}, p.template.extra...), " ")}
}

// write writes what is not there yet, but for the module, and says so.
func (p *plan) write(out io.Writer) error {
	files := map[string]string{"README.md": "common/README.md", "Dockerfile": "common/Dockerfile",
		".gitignore": "common/gitignore"}
	if p.made {
		own := []string{projectFile}
		for _, name := range []string{"main.go", "main_test.go"} {
			files[filepath.Join(p.agents, name)] = p.template.name + "/" + name
		}
		for _, name := range p.template.code {
			files[filepath.Join(p.agents, name)] = p.template.name + "/" + name
		}
		for _, name := range append(own, p.template.extra...) {
			files[name] = p.template.name + "/" + name
		}
	} else {
		p.say(out, projectFile, "kept: it says which package has the agents")
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		content, err := p.fill(files[name])
		if err != nil {
			return fmt.Errorf("the template of %s: %w", name, err)
		}
		if err := p.file(out, name, content); err != nil {
			return err
		}
	}
	return p.file(out, schemaFile, project.Schema())
}

// fill is what a template makes; a .copy is taken as it is.
func (p *plan) fill(name string) (string, error) {
	if raw, err := templateFiles.ReadFile("templates/" + name + ".copy"); err == nil {
		return string(raw), nil
	}
	t, err := text.ParseFS(templateFiles, "templates/"+name+".tmpl")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, p.fields())
	return b.String(), err
}

// file writes one file, unless it is there already.
func (p *plan) file(out io.Writer, name, content string) error {
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", name, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		p.say(out, name, "kept")
		return nil
	}
	if err == nil {
		_, err = f.WriteString(content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	p.say(out, name, "written")
	return nil
}

func (p *plan) say(out io.Writer, name, done string) {
	fmt.Fprintf(out, "%-32s %s\n", filepath.ToSlash(filepath.Join(p.shown, name)), done)
}
