package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

// bench is what all tests share: made once, before the first of them.
var bench struct {
	enabled bool
	dir     string // of what is below
	scripts string // the programs of testdata/node, beside the packages that they import
}

// The programs of ours, built when first needed.
var (
	// with no agent types of its own
	openmas = program("../../cmd/openmas")
	// with the types of package fixture
	system = program("./fixture/system")
	// a client for the conformance suite
	conformant = program("./fixture/conformant")
	sdkServer  = program("github.com/modelcontextprotocol/go-sdk/conformance/everything-server") // the yardsticks
	sdkClient  = program("github.com/modelcontextprotocol/go-sdk/conformance/everything-client")
	// a module of its own
	mcpGo = program("./mcpgo")
)

// program returns the path of a Go program, which is built at the first call.
func program(pkg string) func(t *testing.T) string {
	built := sync.OnceValues(func() (string, error) {
		out := filepath.Join(bench.dir, path.Base(pkg))
		if runtime.GOOS == "windows" {
			out += ".exe"
		}
		build := exec.Command("go", "build", "-o", out, pkg)
		if _, err := os.Stat(filepath.Join(pkg, "go.mod")); err == nil {
			build = exec.Command("go", "build", "-C", pkg, "-o", out, ".")
		}
		said, err := build.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", pkg, err, said)
		}
		return out, nil
	})
	return func(t *testing.T) string {
		t.Helper()
		out, err := built()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv("OPENMAS_INTEROP") != "1" {
		return m.Run() // every test prints why it is skipped
	}
	dir, err := os.MkdirTemp("", "openmas-interop-")
	if err == nil {
		defer os.RemoveAll(dir)
		bench.enabled, bench.dir = true, dir
		err = prepare()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	code := m.Run()
	if err := rows.write(os.Getenv("OPENMAS_INTEROP_REPORT")); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	return code
}

func prepare() error {
	// A script finds what it imports in a folder node_modules beside it.
	bench.scripts = filepath.Join(bench.dir, "node")
	if err := os.CopyFS(bench.scripts, os.DirFS(filepath.Join("testdata", "node"))); err != nil {
		return err
	}
	if dir, ok := toolbox.Peers.Installed(); ok {
		return os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(bench.scripts, "node_modules"))
	}
	return nil
}

// needs skips the test unless the tools are installed; where CI asks for all of them it fails.
func needs(t *testing.T, tools ...*toolbox.Tool) {
	t.Helper()
	if !bench.enabled {
		t.Skip("make interop runs this: it needs programs that are installed for it")
	}
	for _, tool := range tools {
		if _, ok := tool.Installed(); !ok {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed, and CI=true wants it", tool.Name())
			}
			t.Skipf("%s is not installed", tool.Name())
		}
	}
}

// installed reports whether the tools are.
func installed(tools []*toolbox.Tool) bool {
	for _, tool := range tools {
		if _, ok := tool.Installed(); !ok {
			return false
		}
	}
	return true
}

// folder is where an installed tool is.
func folder(tool *toolbox.Tool) string {
	dir, _ := tool.Installed()
	return dir
}

func nodeProgram(t *testing.T) string {
	t.Helper()
	bin, err := toolbox.NodeIn(folder(toolbox.Node))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, "node")
}
