package recorded

import (
	"encoding/json"
	"slices"
	"strings"
)

// Damages are what a value becomes.
var Damages = []string{`null`, `5`, `-0`, `1e999`, `12345678901234567890`, `""`, `"x"`, `"\ud800"`, `[]`, `["x"]`,
	`[null]`, `{}`, `{"type":5}`, `true`, `false`, strings.Repeat("[", 600) + strings.Repeat("]", 600)}

// Damage is the recording with one place of an item damaged. All numbers count modulo what there
// is, and the recording needs an item.
func (r Recording) Damage(item, place int, damage string) (damaged Recording, n int) {
	n = item % len(r.Items)
	spots := places(r.Items[n])
	at := spots[place%len(spots)]
	items := slices.Clone(r.Items)
	items[n] = items[n][:at[0]] + damage + items[n][at[1]:]
	return r.With(items), n
}

// places are where the values in a JSON value stand, itself included: begin and end.
func places(value string) (all [][2]int) {
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber()
	var walk func()
	walk = func() {
		end := int(d.InputOffset()) // nothing but a colon, commas and space are between
		begin := end + len(value[end:]) - len(strings.TrimLeft(value[end:], " \t\r\n:,"))
		open, err := d.Token()
		if err != nil {
			panic(err) // it was read before
		}
		at := len(all)
		all = append(all, [2]int{begin, 0})
		if open == json.Delim('{') || open == json.Delim('[') {
			for d.More() {
				if open == json.Delim('{') {
					_, _ = d.Token() // the name
				}
				walk()
			}
			_, _ = d.Token() // the end
		}
		all[at][1] = int(d.InputOffset())
	}
	walk()
	return all
}
