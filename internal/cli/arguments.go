package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/openmas/openmas/agent"
)

// maxInput bounds what a command reads from standard input.
const maxInput = 16 << 20

// arguments reads the input of a call from the command line.
func arguments(args []string, in io.Reader) (json.RawMessage, error) {
	switch {
	case len(args) == 0:
		return json.RawMessage("{}"), nil
	case len(args) == 1 && args[0] == "-":
		b, err := readInput(in)
		if err != nil {
			return nil, err
		}
		return object(b)
	case len(args) == 1 && strings.HasPrefix(strings.TrimSpace(args[0]), "{"):
		return object([]byte(args[0]))
	}
	values := map[string]json.RawMessage{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is neither key=value nor a JSON object", arg)
		}
		if _, dup := values[key]; dup {
			return nil, fmt.Errorf("%q is given twice", key)
		}
		if json.Valid([]byte(value)) {
			values[key] = json.RawMessage(value)
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		values[key] = text
	}
	return json.Marshal(values)
}

// asText adds to the error of a call how to write a text that looks like something else, if that
// may be what is wrong with it.
func asText(args []string, err error) error {
	if !errors.Is(err, agent.CodeInvalidArgument) || !strings.Contains(err.Error(), `want "string"`) {
		return err
	}
	for _, arg := range args {
		key, value, pair := strings.Cut(arg, "=")
		if pair && !strings.HasPrefix(value, `"`) && json.Valid([]byte(value)) &&
			strings.Contains(err.Error(), key+": type: ") {
			return fmt.Errorf("%w\n%s is taken as JSON; as text it is %s='\"%s\"'", err, arg, key, value)
		}
	}
	return err
}

func object(b []byte) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil || m == nil {
		return nil, fmt.Errorf("the arguments are not a JSON object: %.60q", b)
	}
	return json.RawMessage(bytes.TrimSpace(b)), nil
}

func readInput(in io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(b) > maxInput {
		return nil, fmt.Errorf("standard input is over %d bytes", maxInput)
	}
	return b, nil
}
