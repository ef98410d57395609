package project

import (
	"encoding"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written "4MiB", "64KiB" or "1000".
type Size int64

// Sizes for literals.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var (
	_ encoding.TextMarshaler   = Size(0)
	_ encoding.TextUnmarshaler = (*Size)(nil)
)

var sizeUnits = []struct {
	name string
	size Size
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// String writes the size in the largest unit that leaves no fraction, and [Off] as off.
func (s Size) String() string {
	if s < 0 {
		return offText
	}
	for _, u := range sizeUnits[:3] {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a whole number of bytes with an optional unit: B, KiB, MiB or GiB; or off.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), Size(1)
	if number == offText {
		*s = Off
		return nil
	}
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/int64(unit) {
		return fmt.Errorf(`%q is not a size: write a whole number of bytes above 0 and a unit, like "512KiB" or "4MiB"`,
			text)
	}
	*s = Size(n) * unit
	return nil
}

// Off is the value of a number, duration or size that is off, where a key can be.
const Off = -1

// offText is what is written where something is off.
const offText = "off"
