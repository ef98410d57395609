package toolbox

import (
	"context"
	_ "embed" // the pins
	"fmt"
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

// PythonOld and PythonNew are virtual environments with the Python SDK, FastAPI and uvicorn.
var (
	PythonOld = python(PythonOldVersion, pythonOldPins)
	PythonNew = python(PythonNewVersion, pythonNewPins)
)

var (
	//go:embed pins/python-old.txt
	pythonOldPins []byte
	//go:embed pins/python-new.txt
	pythonNewPins []byte
)

func python(version string, constraints []byte) *Tool {
	return &Tool{
		name: "python mcp " + version,
		pins: [][]byte{constraints},
		install: func(ctx context.Context, dir string) error {
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
			return run(ctx, dir, PythonIn(dir), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
				"--no-input",
				"--constraint", list, fmt.Sprintf("mcp==%s", version), "fastapi", "uvicorn")
		},
	}
}

// PythonIn is the interpreter of a virtual environment.
func PythonIn(dir string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "Scripts", "python.exe")
	}
	return filepath.Join(dir, "bin", "python")
}
