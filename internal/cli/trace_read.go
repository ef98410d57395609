package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/rotate"
	"github.com/openmas/openmas/internal/traces"
)

const (
	tracesFolder = "traces"
	// maxTraceFile bounds a file, and what a Jaeger answers.
	maxTraceFile = 256 << 20
	// wholeID is how many digits the ID of a trace has.
	wholeID = 32
	// jaegerTime is how long Jaeger may take, and jaegerBack how far back its traces are searched,
	// the last jaegerDepth of each service. It knows no beginnings of IDs.
	jaegerTime, jaegerBack, jaegerDepth = 10 * time.Second, 24 * time.Hour, 100
)

// recentSpans reads what the processes of a project have kept: of the traces whose id begins with
// id, where with is in one of their spans.
func recentSpans(state, id, with string) ([]traces.Span, error) {
	var spans []traces.Span
	files := rotate.Reader{Dir: filepath.Join(state, tracesFolder)}
	_, err := files.Next(0, func(l rotate.Line) bool {
		text := string(l.Text)
		if strings.Contains(text, `"traceId":"`+strings.ToLower(id)) && strings.Contains(text, with) {
			some, err := traces.Parse(l.Text)
			if err == nil { // a line that a crash has cut costs itself only
				spans = append(spans, some...)
			}
		}
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("read the traces: %w", err)
	}
	return spans, nil
}

// readTraceFile reads a file: one object, or one per line.
func readTraceFile(path string) ([]traces.Span, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readAtMost(f, maxTraceFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if spans, err := traces.Parse(text); err == nil {
		return spans, nil
	}
	var all []traces.Span
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; strings.TrimSpace(line) == "" {
			continue
		}
		spans, err := traces.Parse([]byte(line))
		if err != nil {
			return nil, Usage(fmt.Errorf("%s: line %d is no OTLP in JSON: %w", path, n, err))
		}
		all = append(all, spans...)
	}
	return all, nil
}

// readAtMost reads all of r; more than that many bytes are an error.
func readAtMost(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("there are more than %d bytes, the limit", most)
	}
	return b, err
}

// errNotThere is Jaeger's answer for a trace that it does not have.
var errNotThere = errors.New("it has no such trace")

// A jaeger is a query API, version 3. It is for one command.
type jaeger struct {
	base *url.URL
	left int64 // bytes that the answers may have yet
}

// askJaeger asks the query API at a URL for a trace, or for recent ones: until one begins with id,
// and for all of them where that is empty.
func askJaeger(ctx context.Context, at, id string) ([]traces.Span, error) {
	base, err := url.Parse(at)
	if err != nil || base.Host == "" {
		return nil, Usage(fmt.Errorf("--url %q: want the URL of Jaeger's query API, such as http://127.0.0.1:16686", at))
	}
	ctx, cancel := context.WithTimeout(ctx, jaegerTime)
	defer cancel()
	j := &jaeger{base: base, left: maxTraceFile}
	var spans []traces.Span
	if len(id) == wholeID {
		spans, err = j.spans(ctx, "traces/"+id, nil)
	} else {
		spans, err = j.recent(ctx, strings.ToLower(id))
	}
	if errors.Is(err, errNotThere) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask Jaeger: %w", err)
	}
	return spans, nil
}

// recent returns the spans of recent traces.
func (j *jaeger) recent(ctx context.Context, id string) ([]traces.Span, error) {
	text, err := j.get(ctx, "services", nil)
	if err != nil {
		return nil, err
	}
	var known struct{ Services []string }
	if err := json.Unmarshal(text, &known); err != nil {
		return nil, fmt.Errorf("its services: %w", err)
	}
	now := time.Now()
	query := url.Values{"query.num_traces": {strconv.Itoa(jaegerDepth)},
		"query.start_time_min": {now.Add(-jaegerBack).UTC().Format(time.RFC3339Nano)},
		"query.start_time_max": {now.UTC().Format(time.RFC3339Nano)}}
	var all []traces.Span
	for _, name := range known.Services {
		query.Set("query.service_name", name)
		spans, err := j.spans(ctx, "traces", query)
		if err != nil && !errors.Is(err, errNotThere) {
			return nil, err
		}
		all = append(all, spans...)
		for i := range spans {
			if id != "" && strings.HasPrefix(spans[i].TraceID, id) {
				return all, nil
			}
		}
	}
	return all, nil
}

// spans are those of an answer, which is OTLP.
func (j *jaeger) spans(ctx context.Context, path string, query url.Values) ([]traces.Span, error) {
	text, err := j.get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	spans, err := traces.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the answer is no OTLP in JSON: %w", err)
	}
	return spans, nil
}

// get asks for a path of the API.
func (j *jaeger) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	at := j.base.JoinPath("api/v3", path)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // it was read
	text, err := readAtMost(res.Body, j.left)
	j.left -= int64(len(text))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusNotFound:
		return nil, errNotThere
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %.200q", res.Status, text)
	}
	return text, nil
}
