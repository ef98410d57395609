package scaffold

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strings"

	"github.com/openmas/openmas/internal/cli"
)

const openmasModule = "github.com/openmas/openmas"

// An origin is where a new module gets openmas from: a clone, or a version that is published.
type origin struct{ clone, version string }

// source finds the origin. The compiler has noted where this file was: in a clone, if it is still
// there, or in the module cache, unless somebody built without paths.
func source(replace string) (origin, error) {
	if replace != "" {
		dir, err := filepath.Abs(replace)
		if err != nil {
			return origin{}, fmt.Errorf("--replace: %w", err)
		}
		if !isClone(dir) {
			return origin{}, cli.Usage(fmt.Errorf("--replace %s: there is no go.mod of %s in this folder", replace,
				openmasModule))
		}
		return origin{clone: dir}, nil
	}
	_, file, _, _ := goruntime.Caller(0)
	if dir := filepath.Join(filepath.Dir(file), "..", "..", "..", ".."); filepath.IsAbs(file) && isClone(dir) &&
		!strings.Contains(filepath.ToSlash(dir), "/openmas@v") {
		return origin{clone: dir}, nil
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != openmasModule || info.Main.Version == "" || info.Main.Version == "(devel)" ||
		strings.HasSuffix(info.Main.Version, "+dirty") {
		return origin{}, cli.Usage(errors.New("this openmas was built from a clone that is not there any more, and " +
			"has no version that is published; name a clone with --replace FOLDER"))
	}
	return origin{version: info.Main.Version}, nil
}

// isClone reports whether the folder has the go.mod of openmas.
func isClone(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && strings.HasPrefix(string(text), "module "+openmasModule+"\n")
}
