package runtime

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/openmas/openmas/runtime/project"
)

// ChildVar is set in the environment of a child process of this program: its main calls
// [ServeChild] then.
const ChildVar = "OPENMAS_CHILD"

// helloVersion changes when a child could misread its hello. Parent and child are the same program,
// so that this guards against an executable that was replaced in between.
const helloVersion = 1

// maxHello bounds the line; the config of an agent is in it.
const maxHello = 4 << 20

// hello is the line of JSON that a child reads before MCP begins: who it is and where to call back.
// It holds secrets.
type hello struct {
	Version   int               `json:"openmas"`
	Program   string            `json:"program,omitempty"`
	Project   string            `json:"project"`
	Agent     string            `json:"agent"`
	Instance  string            `json:"instance"`
	Type      string            `json:"type"`
	Config    map[string]any    `json:"config,omitempty"`
	StateDir  string            `json:"stateDir"`
	Dir       string            `json:"dir"`
	Broker    string            `json:"broker"`
	URL       string            `json:"url"`
	Token     string            `json:"token"`
	Timeout   time.Duration     `json:"timeout"` // of the calls that the child makes
	Run       bool              `json:"run"`     // whether its Runner is to run
	Restart   project.Restart   `json:"restart"`
	Telemetry project.Telemetry `json:"telemetry"`
	LogLevel  slog.Level        `json:"logLevel"`
	MCP       project.MCP       `json:"mcp"`
}

// readHello reads the line and leaves what follows in the reader that it returns.
func readHello(in io.Reader) (hello, io.Reader, error) {
	br := bufio.NewReaderSize(in, 64<<10)
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			var h hello
			if err := json.Unmarshal(line, &h); err != nil {
				return h, nil, fmt.Errorf("read the parent's hello: %w", err)
			}
			if h.Version != helloVersion {
				return h, nil, fmt.Errorf("the parent speaks version %d of the child protocol, this program %d: was "+
					"the executable replaced while it ran?", h.Version, helloVersion)
			}
			return h, br, nil
		case len(line) > maxHello:
			return hello{}, nil, fmt.Errorf("the parent's hello is over %d bytes", maxHello)
		case !errors.Is(err, bufio.ErrBufferFull):
			return hello{}, nil, fmt.Errorf("read the parent's hello from stdin: %w", err)
		}
	}
}
