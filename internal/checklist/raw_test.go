package checklist

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rawClient is a client of HTTP+SSE that costs a connection and nothing else, and can leave without
// a word.
type rawClient struct {
	url      string
	conn     *net.TCPConn
	in       *bufio.Reader
	endpoint string
	http     *http.Client // for POSTs
}

func openRaw(url string, c *http.Client) (*rawClient, error) {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), hang)
	if err != nil {
		return nil, err
	}
	r := &rawClient{url: url, conn: conn.(*net.TCPConn), in: bufio.NewReaderSize(conn, 4<<10), http: c}
	_ = conn.SetDeadline(time.Now().Add(2 * hang))
	if _, err := io.WriteString(conn,
		"GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		return nil, err
	}
	if r.endpoint, err = r.next(); err == nil && !strings.HasPrefix(r.endpoint, "/messages/") {
		err = fmt.Errorf("the first event is %q", r.endpoint)
	}
	if err == nil {
		err = r.ask("initialize",
			`{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}`, nil)
	}
	if err == nil {
		err = r.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	}
	return r, err
}

// dialRaw opens a session.
func dialRaw(t *testing.T, url string) *rawClient {
	t.Helper()
	r, err := openRaw(url, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// next is the data of the next event. The stream's chunks are its lines in another frame, and are
// passed over.
func (r *rawClient) next() (string, error) {
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return strings.TrimRight(data, "\r\n"), nil
		}
		if strings.HasPrefix(line, "HTTP/1.1 ") && !strings.Contains(line, " 200 ") {
			return "", fmt.Errorf("the answer to the GET is %s", strings.TrimSpace(line))
		}
	}
}

func (r *rawClient) post(msg string) error {
	res, err := r.http.Post(r.url+r.endpoint, "application/json", strings.NewReader(msg))
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the answer to the POST is %s", res.Status)
	}
	return nil
}

// ask makes a request and decodes its result.
func (r *rawClient) ask(method, params string, result any) error {
	if err := r.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params)); err != nil {
		return err
	}
	for {
		data, err := r.next()
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		var m struct {
			ID     any             `json:"id"`
			Method string          `json:"method"`
			Result json.RawMessage `json:"result"`
			Error  any             `json:"error"`
		}
		switch err := json.Unmarshal([]byte(data), &m); {
		case err != nil:
			return fmt.Errorf("%s: %w in %q", method, err, data)
		case m.Method != "":
			continue
		case m.Error != nil:
			return fmt.Errorf("%s: %v", method, m.Error)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		}
		return nil
	}
}

// echo calls a tool, and checks its answer.
func (r *rawClient) echo(word string) error {
	var res struct {
		Content []struct{ Text string } `json:"content"`
		IsError bool                    `json:"isError"`
	}
	if err := r.ask("tools/call", fmt.Sprintf(`{"name":"guide_echo","arguments":{"message":%q}}`, word),
		&res); err != nil {
		return err
	}
	if want := fmt.Sprintf(`{"echoed":%q}`, word); res.IsError || len(res.Content) != 1 || res.Content[0].Text != want {
		return fmt.Errorf("%+v, want %s", res, want)
	}
	return nil
}

// close leaves in order, break_ as a process does that is killed: the other side's TCP gets a
// reset.
func (r *rawClient) close() { _ = r.conn.Close() }

func (r *rawClient) break_() {
	_ = r.conn.SetLinger(0)
	_ = r.conn.Close()
}
