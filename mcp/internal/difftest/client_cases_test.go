package difftest

import "strings"

// clientCases are what servers answer to tools/call.
func clientCases() map[string]clientCase {
	text := `{"content":[{"type":"text","text":"hi"}]`
	cases := map[string]clientCase{
		"text":               answers(text + `}`),
		"structured":         answers(text + `,"structuredContent":{"b":[1,2.50,"x"],"a":null}}`),
		"structured only":    answers(`{"structuredContent":{"a":1}}`),
		"a list":             answers(text + `,"structuredContent":[1,2]}`),
		"a number":           answers(text + `,"structuredContent":7}`),
		"null structured":    answers(text + `,"structuredContent":null}`),
		"an error result":    answers(`{"isError":true,"content":[{"type":"text","text":"out of paper"}]}`),
		"an error with more": answers(`{"isError":true,"content":[{"type":"text","text":"no"}],"structuredContent":{"why":7}}`),
		"a named error":      answers(`{"isError":true,"content":[{"type":"text","text":"busy: later"}],"_meta":{"openmas/code":"resource_exhausted","openmas/retry-after":1500}}`),
		"an image":           answers(`{"content":[{"type":"image","data":"aGVsbG8=","mimeType":"image/png"},{"type":"audio","data":"aGk=","mimeType":"audio/wav"}]}`),
		"resources": answers(`{"content":[{"type":"resource_link","uri":"a://b","name":"n","size":12},` +
			`{"type":"resource","resource":{"uri":"x://1","text":"t"}},{"type":"resource","resource":{"uri":"x://2","blob":"aGk="}}]}`),
		"annotated": answers(`{"content":[{"type":"text","text":"x","annotations":{"audience":["user"],"priority":0.5},"_meta":{"k":[1]}}]}`),
		"metadata":  answers(text + `,"_meta":{"ui":{"resourceUri":"ui://x"},"n":1.50}}`),
		"our metadata": answers(
			text + `,"_meta":{"openmas/generated":true,"openmas/structured":"7","openmas/code":"internal"}}`),
		"complete":         answers(text + `,"resultType":"complete"}`),
		"wants input":      answers(`{"resultType":"input_required","requestState":"s","inputRequests":{}}`),
		"another type":     answers(text + `,"resultType":"task"}`),
		"unknown members":  answers(text + `,"extra":{"deep":[1]},"task":null}`),
		"empty":            answers(`{}`),
		"empty content":    answers(`{"content":[]}`),
		"null content":     answers(`{"content":null}`),
		"null text":        answers(`{"content":[{"type":"text","text":null}]}`),
		"no text":          answers(`{"content":[{"type":"text"}]}`),
		"a number of text": answers(`{"content":[{"type":"text","text":42}]}`),
		"content is text":  answers(`{"content":"just text"}`),
		"one block":        answers(`{"content":{"type":"text","text":"one"}}`),
		"an unknown block": answers(`{"content":[{"type":"text","text":"a"},{"type":"video","data":"x"}]}`),
		"a null block":     answers(`{"content":[null]}`),
		"no type":          answers(`{"content":[{"text":"a"}]}`),
		"bad base64":       answers(`{"content":[{"type":"image","data":"!!","mimeType":"image/png"}]}`),
		"a string":         answers(`"hello"`),
		"an array":         answers(`[]`),
		"null":             answers(`null`),
		"true for failed":  answers(text + `,"isError":"true"}`),
		"null for failed":  answers(text + `,"isError":null}`),
		"another case":     answers(`{"Content":[{"type":"text","text":"shouted"}],"ISERROR":true}`),
		"twice":            answers(text + `,"content":[{"type":"text","text":"second"}]}`),
		"text twice":       answers(`{"content":[{"type":"text","text":"a","text":"b"}]}`),
		"escapes":          answers(`{"content":[{"type":"te\u0078t","text":"\u0000\ud83d\udc19\n\"\\\/<>&\u2028"}]}`),
		"a lone surrogate": answers(`{"content":[{"type":"text","text":"\ud800 lone"}],"structuredContent":{"s":"\udc00"}}`),
		"space": answers(" {\t\"content\" : [ { \"type\":\"text\" , \"text\" : \"x\" } ] , " +
			"\"structuredContent\" : { \"a\" : 1 } } "),
		"escaped members": answers(`{"c\u006fntent":[{"type":"text","text":"x"}]}`),
		"an escaped key":  answers(text + `,"structuredContent":{"\u0061":1,"\"":2}}`),
		"deep": answers(text + `,"structuredContent":{"a":` + strings.Repeat("[", 300) +
			strings.Repeat("]", 300) + `}}`),
		"deeper": answers(text + `,"structuredContent":{"a":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) +
			`}}`),

		"an error":              plain(`{"jsonrpc":"2.0","id":$id,"error":{"code":-32602,"message":"unknown tool","data":{"a":1}}}`),
		"an error without text": plain(`{"jsonrpc":"2.0","id":$id,"error":{"code":-32000}}`),
		"an empty error":        plain(`{"jsonrpc":"2.0","id":$id,"error":{}}`),
		"a text for an error":   plain(`{"jsonrpc":"2.0","id":$id,"error":"it broke"}`),
		"an error of text":      plain(`{"jsonrpc":"2.0","id":$id,"error":{"code":"E","message":"no"}}`),
		"our error":             plain(`{"jsonrpc":"2.0","id":$id,"error":{"code":-32603,"message":"m","data":{"openmas/error":{"code":"unavailable","message":"x","notExecuted":true}}}}`),
		"the SDK's own error":   plain(`{"jsonrpc":"2.0","id":$id,"error":{"code":-32005,"message":"rejected by transport"}}`),
		"null error":            plain(`{"jsonrpc":"2.0","id":$id,"error":null,"result":` + text + `}}`),
		"null error last":       plain(`{"jsonrpc":"2.0","id":$id,"result":` + text + `},"error":null}`),
		"null result, error":    plain(`{"jsonrpc":"2.0","id":$id,"result":null,"error":{"code":1,"message":"x"}}`),
		"result and error": plain(`{"jsonrpc":"2.0","id":$id,"result":` + text +
			`},"error":{"code":1,"message":"x"}}`),
		"neither":            plain(`{"jsonrpc":"2.0","id":$id}`),
		"both null":          plain(`{"jsonrpc":"2.0","id":$id,"result":null,"error":null}`),
		"members in between": plain(`{"x":[{}],"result":` + text + `},"jsonrpc":"2.0","y":1,"id":$id}`),
		"a float for an id":  plain(`{"jsonrpc":"2.0","id":$float,"result":` + text + `}}`),
		"an exponent":        plain(`{"jsonrpc":"2.0","id":$exp,"result":` + text + `}}`),
		"a string for an id": plain(`{"jsonrpc":"2.0","id":$string,"result":` + text + `}}`),
		"escaped envelope":   plain(`{"jsonrpc":"2.0","\u0069d":$id,"r\u0065sult":` + text + `}}`),
		"result twice":       plain(`{"jsonrpc":"2.0","id":$id,"result":{"content":[]},"result":` + text + `}}`),
		"id twice":           plain(`{"jsonrpc":"2.0","id":1,"id":$id,"result":` + text + `}}`),
		"tag twice":          plain(`{"jsonrpc":"2.0","jsonrpc":"2.0","id":$id,"result":` + text + `}}`),
		"a batch of one":     plain(`[{"jsonrpc":"2.0","id":$id,"result":` + text + `}}]`),
		"a batch": plain(`[{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"b"}},` +
			`{"jsonrpc":"2.0","id":$id,"result":` + text + `}}]`),
		"a batch with strangers": plain(
			`[{"jsonrpc":"2.0","id":99999,"result":{}},7,{"jsonrpc":"2.0","id":$id,"result":` + text + `}}]`),
		"an empty batch": {say: `[]`},

		"no tag":         {say: `{"id":$id,"result":` + text + `}}`},
		"an old tag":     {say: `{"jsonrpc":"1.0","id":$id,"result":` + text + `}}`},
		"a method too":   {say: `{"jsonrpc":"2.0","id":$id,"method":"ping","result":` + text + `}}`, asks: 1},
		"a null method":  {say: `{"jsonrpc":"2.0","id":$id,"method":null,"result":` + text + `}}`, asks: 1},
		"another id":     {say: `{"jsonrpc":"2.0","id":99999,"result":` + text + `}}`},
		"a null id":      {say: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
		"no id":          {say: `{"jsonrpc":"2.0","result":` + text + `}}`},
		"not JSON":       {say: `hello`},
		"half":           {say: `{"jsonrpc":"2.0","id":$id,"result":{"content":[`},
		"NaN":            {say: `{"jsonrpc":"2.0","id":$id,"result":{"content":[],"structuredContent":{"v":NaN}}}`},
		"more after it":  {say: `{"jsonrpc":"2.0","id":$id,"result":` + text + `}} trailing`},
		"not UTF-8":      {say: "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"caf\xe9\"}]}}"},
		"a raw control":  {say: "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"a\x01b\"}]}}"},
		"answered twice": {say: `{"jsonrpc":"2.0","id":$id,"result":` + text + `}}`},
		"an unknown request": {say: `{"jsonrpc":"2.0","id":1,"method":"workspace/configuration","params":{}}`,
			asks: 1},
		"a ping": {say: `{"jsonrpc":"2.0","id":"p","method":"ping"}`, asks: 1},
		"unknown notifications": {say: `{"jsonrpc":"2.0","method":"notifications/weird","params":[1,2]}` + "\n" +
			`{"jsonrpc":"2.0","method":"$/progress"}`},
		"progress": {say: `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$token,"progress":1,"total":2.5,"message":"one"}}` + "\n" +
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$token,"progress":2}}`},
		"progress of another": {say: `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"stranger","progress":1}}`},
		"logs": {say: `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning","logger":"l","data":{"a":[1]}}}` + "\n" +
			`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"verbose","data":null}}` + "\n" +
			`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"text"}}`},
	}
	return cases
}

func plain(say string) clientCase { return clientCase{say: say, plain: true} }
