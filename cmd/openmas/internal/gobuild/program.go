package gobuild

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime/project"
)

// maxBuiltIn is how long a project file may be that is built in: it goes to the linker in one
// argument, of which Linux takes 128 KiB.
const maxBuiltIn = 90 << 10

// Program builds the package of a project into the program out, with the project file in it: a
// static one, without the paths of this machine. GOOS and GOARCH choose for which machine.
func Program(ctx context.Context, cfg *project.Config, out string, errOut io.Writer) error {
	if cfg.Package == "" {
		return cli.Usage(errors.New("the project file names no package:, so there is no Go program to build: " +
			"openmas itself and the project file are what runs it"))
	}
	dir, name, err := folder(cfg)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(cfg.File)
	if err != nil {
		return fmt.Errorf("read the project file: %w", err)
	}
	if len(text) > maxBuiltIn {
		return cli.Usage(fmt.Errorf("%s has %d bytes, and a project that is built in has at most %d: deploy the file "+
			"beside the program, and run it with --project", cfg.File, len(text), maxBuiltIn))
	}
	if out, err = filepath.Abs(out); err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	goTool, err := goCommand(name)
	if err != nil {
		return err
	}
	flags := "-s -w -X=" + cli.BuiltInVar + "=" + base64.StdEncoding.EncodeToString(text)
	return compile(ctx, goTool, dir, name, errOut, []string{"CGO_ENABLED=0"}, "-trimpath", "-ldflags="+flags, "-o", out)
}
