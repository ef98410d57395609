package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/openmas/openmas/internal/ops"
	"github.com/openmas/openmas/runtime/project"
)

// leastGo is the first minor version of Go 1 that the module openmas compiles with.
const leastGo = 26

var goVersion = regexp.MustCompile(`^go1\.(\d+)`)

// goTool looks for the go command, which a project with a package needs. cfg may be nil.
func goTool(cfg *project.Config) func(context.Context) finding {
	absent := lacks
	if cfg == nil || cfg.Package == "" {
		absent = without
	}
	return func(ctx context.Context) finding {
		path, err := exec.LookPath("go")
		if err != nil {
			return absent(fmt.Sprintf("install Go 1.%d or a later one, its bin folder in PATH", leastGo),
				"there is no go command in PATH")
		}
		out, err := exec.CommandContext(ctx, path, "env", "GOVERSION").Output()
		version := strings.TrimSpace(string(out))
		if err != nil {
			return absent("go version shows more", "%s does not say its version: %v", path, err)
		}
		if m := goVersion.FindStringSubmatch(version); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n < leastGo {
				return absent(fmt.Sprintf("install Go 1.%d or a later one", leastGo), "%s at %s is too old",
					version, path)
			}
		}
		if cfg != nil && cfg.Package != "" {
			if s, err := os.Stat(cfg.Path(cfg.Package)); err != nil || !s.IsDir() {
				return lacks("write the folder of the main package with the agents' types under package:",
					"%s; there is no folder %s", version, cfg.Path(cfg.Package))
			}
			if out, err := command(ctx, cfg.Path(cfg.Package), path, "env", "GOMOD"); err == nil && out == os.DevNull {
				return lacks("openmas init . in the project's folder makes it",
					"%s; there is no go.mod for package: %s", version, cfg.Package)
			}
		}
		return found("%s", version)
	}
}

// command runs a program in a folder, and returns what it prints.
func command(ctx context.Context, dir, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// runtimeFolder looks at the folder where processes can be operated.
func runtimeFolder(context.Context) finding {
	dir, err := ops.Folder()
	if err != nil {
		return lacks("set XDG_RUNTIME_DIR to a folder of yours with the mode 0700", "%v",
			strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return found("%s", dir)
}

// stateFolder looks whether the folder is there, or can be made, and can be written to.
func stateFolder(dir string) func(context.Context) finding {
	return func(context.Context) finding {
		at := dir
		for {
			info, err := os.Stat(at)
			if err == nil && !info.IsDir() {
				return lacks("move it, or write another folder under state:", "%s is no folder", at)
			}
			if err == nil {
				break
			}
			if parent := filepath.Dir(at); errors.Is(err, fs.ErrNotExist) && parent != at {
				at = parent
				continue
			}
			return lacks("write another folder under state:", "%v", err)
		}
		f, err := os.CreateTemp(at, ".openmas-doctor-*")
		if err != nil {
			return lacks("let your user write there, or write another folder under state:",
				"%s cannot be written to: %v", at, errors.Unwrap(err))
		}
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			return lacks("write another folder under state:", "%v", err)
		}
		if at != dir {
			return found("%s, which the first run makes", dir)
		}
		return found("%s", dir)
	}
}

// spareDescriptors are for what is not a session of a client: agents, sockets, files.
const spareDescriptors = 256

// descriptors looks whether the process may open enough files for all the sessions of the gateway.
// cfg may be nil.
func descriptors(cfg *project.Config) func(context.Context) finding {
	return func(context.Context) finding {
		limit, known := descriptorLimit()
		if !known {
			return found("no limit on this system")
		}
		need, why := uint64(spareDescriptors), ""
		if cfg != nil && cfg.Gateway != nil {
			need += uint64(max(cfg.MCP.MaxSessions, 0))
			why = fmt.Sprintf(" for mcp.max_sessions, %d", cfg.MCP.MaxSessions)
		}
		if limit < need {
			return without(fmt.Sprintf("ulimit -n %d, or LimitNOFILE=%d in a systemd unit", need, need),
				"%d, fewer than the %d%s and the rest", limit, need, why)
		}
		return found("%d", limit)
	}
}
