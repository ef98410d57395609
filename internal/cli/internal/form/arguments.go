package form

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/openmas/openmas/agent"
)

// MaxInput bounds what a command reads from standard input.
const MaxInput = 16 << 20

// Arguments reads the input of a call from a command line: nothing, one JSON object, key=value
// pairs, or - for JSON from in.
func Arguments(args []string, in io.Reader) (json.RawMessage, error) {
	switch {
	case len(args) == 0:
		return json.RawMessage("{}"), nil
	case len(args) == 1 && args[0] == "-":
		b, err := ReadInput(in)
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

// Texts are the arguments of a prompt, which are texts: key=3 is the text 3.
func Texts(args []string, input json.RawMessage) (json.RawMessage, error) {
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(input, &values); err != nil {
		return nil, err
	}
	for _, arg := range args {
		key, value, pair := strings.Cut(arg, "=")
		if _, ok := values[key]; !pair || !ok || strings.HasPrefix(strings.TrimSpace(arg), "{") {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		values[key] = text
	}
	for key, value := range values {
		if len(value) == 0 || value[0] != '"' {
			return nil, fmt.Errorf("%s: the arguments of a prompt are texts, and %.40s is none", key, value)
		}
	}
	return json.Marshal(values)
}

// AsText adds to the error of a call how to write a text that looks like something else, if that
// may be what is wrong with it.
func AsText(args []string, err error) error {
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

// ReadInput reads all of standard input.
func ReadInput(in io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(in, MaxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(b) > MaxInput {
		return nil, fmt.Errorf("standard input is over %d bytes", MaxInput)
	}
	return b, nil
}
