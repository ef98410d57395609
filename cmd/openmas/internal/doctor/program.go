package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/runtime/project"
)

// installs says how to get the programs that MCP servers are started with.
var installs = map[string]string{
	"python": "install Python 3, or write python3", "python3": "install Python 3",
	"node": "install Node.js", "npx": "install Node.js, which has it", "npm": "install Node.js, which has it",
	"uvx": "install uv, which has it", "uv": "install uv", "bunx": "install Bun, which has it", "bun": "install Bun",
	"deno": "install Deno", "docker": "install Docker", "go": "install Go",
}

// python is a Python interpreter, of which version ever.
var python = regexp.MustCompile(`^(python|pypy)[0-9.]*t?$`)

// versionTime is how long a program may take to say its version.
const versionTime = 5 * time.Second

// program looks for the program of an agent, and for the script that it is given.
func program(cfg *project.Config, name string) func(context.Context) finding {
	ac, argv := cfg.Agents[name], cfg.ChildCommand(name)
	return func(ctx context.Context) finding {
		path, err := exec.LookPath(argv[0])
		if own, set := ac.Env["PATH"]; set && filepath.Base(argv[0]) == argv[0] {
			path, err = lookIn(own, argv[0])
		}
		base := strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
		if err != nil {
			do := installs[base]
			if do == "" {
				do = "install it, or correct agents." + name + ".command"
			}
			if bin := filepath.Base(filepath.Dir(argv[0])); strings.HasPrefix(base, "python") &&
				(bin == "bin" || bin == "Scripts") {
				env := filepath.Dir(filepath.Dir(argv[0]))
				do = "make the environment, and install what the program imports: python3 -m venv " + env + " && " +
					filepath.Join(env, bin, "pip") + " install ..."
			}
			if rest, home := strings.CutPrefix(ac.Command[0], "~/"); home {
				do = "there is no shell that knows ~: write ${env:HOME}/" + rest
			}
			return lacks(do, "there is no program %s", argv[0])
		}
		for _, arg := range argv[1:] {
			if strings.HasPrefix(arg, "-") || strings.Contains(arg, "://") {
				continue
			}
			if script.MatchString(arg) && !exists(cfg.ChildDir(name), arg) {
				return lacks("correct agents."+name+".command, or agents."+name+".dir",
					"%s is there; there is no file %s in %s", path, arg, cfg.ChildDir(name))
			}
			break
		}
		if installs[base] == "" && !python.MatchString(base) {
			return found("%s", path)
		}
		ctx, cancel := context.WithTimeout(ctx, versionTime)
		defer cancel()
		out, err := command(ctx, cfg.ChildDir(name), path, "--version")
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return without(base+" --version shows more", "%s has not said its version within %v", path, versionTime)
		case errors.As(err, &exit): // such as a shim of pyenv for a version that is not there
			why, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
			return lacks(fmt.Sprintf("have %s --version run in %s, or write another program into agents.%s.command",
				argv[0], cfg.ChildDir(name), name), "%s does not run: %v", path,
				strings.TrimSuffix(fmt.Sprintf("%v: %s", err, why), ": "))
		case err != nil:
			return lacks("correct agents."+name+".command", "%s does not run: %v", path, err)
		}
		version, _, _ := strings.Cut(out, "\n")
		if base == "node" && len(argv) > 1 && strings.HasSuffix(argv[1], ".ts") && !runsTypeScript(version) {
			return lacks("install Node.js 22.18 or a later one, or write its path into agents."+name+".command",
				"%s is %s, which runs no TypeScript", path, version)
		}
		return found("%s, %s", path, version)
	}
}

// runsTypeScript reports whether a Node.js runs a .ts file as it is. A version that cannot be read
// may do.
func runsTypeScript(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "v%d.%d", &major, &minor); err != nil {
		return true
	}
	return major > 23 || major == 23 && minor >= 6 || major == 22 && minor >= 18
}

// script is an argument that is most likely a program in a file.
var script = regexp.MustCompile(`\.(py|js|mjs|cjs|ts|rb|sh)$`)

func exists(dir, name string) bool {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	_, err := os.Stat(name)
	return err == nil
}

// lookIn looks for a program in the folders of a PATH.
func lookIn(path, name string) (string, error) {
	i := slices.IndexFunc(filepath.SplitList(path), func(dir string) bool {
		_, err := exec.LookPath(filepath.Join(dir, name))
		return err == nil
	})
	if i < 0 {
		return "", exec.ErrNotFound
	}
	return filepath.Join(filepath.SplitList(path)[i], name), nil
}
