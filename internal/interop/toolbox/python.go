package toolbox

import (
	"context"
	_ "embed" // the pins
	"os"
	"path/filepath"
	"runtime"
)

// The Python SDK: the release that the first generation of servers in the wild was written for, and
// the newest.
const (
	PythonOldVersion = "1.6.0"
	PythonNewVersion = "2.3.0"
)

// FastMCPVersion is the newest fastmcp, whose client many Python programs use.
const FastMCPVersion = "4.2.3"

// PythonOld and PythonNew are virtual environments with the Python SDK, FastAPI and uvicorn,
// FastMCP is one with fastmcp, PythonTraced one with the newest SDK and that of OpenTelemetry.
// RealPython has servers that people use; the one for SQLite needs an SDK of its own.
var (
	PythonOld    = python("mcp "+PythonOldVersion, pythonOldPins, "mcp=="+PythonOldVersion, "fastapi", "uvicorn")
	PythonNew    = python("mcp "+PythonNewVersion, pythonNewPins, "mcp=="+PythonNewVersion, "fastapi", "uvicorn")
	FastMCP      = python("fastmcp "+FastMCPVersion, fastMCPPins, "fastmcp=="+FastMCPVersion)
	PythonTraced = python("traced mcp "+PythonNewVersion, pythonTracedPins, "mcp=="+PythonNewVersion,
		"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
	RealPython = python("servers", realPythonPins, "mcp-server-time", "mcp-server-git", "mcp-server-fetch")
	RealSQLite = python("sqlite server", realSQLitePins, "mcp-server-sqlite")
)

var (
	//go:embed pins/python-fastmcp.txt
	fastMCPPins []byte
	//go:embed pins/python-traced.txt
	pythonTracedPins []byte
	//go:embed pins/python-real.txt
	realPythonPins []byte
	//go:embed pins/python-sqlite.txt
	realSQLitePins []byte
	//go:embed pins/python-old.txt
	pythonOldPins []byte
	//go:embed pins/python-new.txt
	pythonNewPins []byte
)

// python is a virtual environment with packages, in the versions of the constraints.
func python(name string, constraints []byte, packages ...string) *Tool {
	return &Tool{
		name: "python " + name,
		pins: [][]byte{constraints},
		install: func(ctx context.Context, dir string, _ note) error {
			python, err := need("python3")
			if err != nil {
				return err
			}
			if err := run(ctx, dir, python, "-c",
				"import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"); err != nil {
				return &Missing{"python3", "3.10 or later with venv and ensurepip is needed"}
			}
			if err := run(ctx, dir, python, "-m", "venv", "."); err != nil {
				return err
			}
			// Constraints, not requirements: on other systems the SDK wants a few packages more.
			list := filepath.Join(dir, "constraints.txt")
			if err := os.WriteFile(list, constraints, 0o644); err != nil {
				return err
			}
			return run(ctx, dir, append([]string{PythonIn(dir), "-m", "pip", "install", "--quiet",
				"--disable-pip-version-check", "--no-input", "--constraint", list}, packages...)...)
		},
	}
}

// PythonIn is the interpreter of a virtual environment. Programs of packages are started with it
// and -m: their own scripts know the folder that the environment was made in, before it was moved.
func PythonIn(dir string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "Scripts", "python.exe")
	}
	return filepath.Join(dir, "bin", "python")
}
