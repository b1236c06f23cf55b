package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// maxDepth bounds the nesting of a value, so that nobody's attribute decides how deep the encoder recurses.
const maxDepth = 64

const hexDigits = "0123456789abcdef"

// appendString appends text as RFC 8785 writes it: raw UTF-8, with only what JSON forbids escaped.
// Bytes that are not UTF-8 become U+FFFD, one each.
func appendString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	written := 0
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf {
			if isPlain[b] {
				i++
				continue
			}
			dst = appendEscaped(append(dst, text[written:i]...), b)
			i++
			written = i
			continue
		}
		_, width := utf8.DecodeRuneInString(text[i:])
		if width == 1 { // beyond ASCII, only what is not UTF-8 has this width
			dst = utf8.AppendRune(append(dst, text[written:i]...), utf8.RuneError)
			written = i + 1
		}
		i += width
	}
	return append(append(dst, text[written:]...), '"')
}

// isPlain has the ASCII characters that JSON writes as they are; nearly all of every event is made of them.
var isPlain = func() (plain [utf8.RuneSelf]bool) {
	for b := ' '; b < utf8.RuneSelf; b++ {
		plain[b] = b != '"' && b != '\\'
	}
	return plain
}()

func appendEscaped(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xf])
	}
}

// appendFloat appends a number as ECMAScript prints it, which RFC 8785 prescribes; null for what JSON cannot hold.
func appendFloat(dst []byte, value float64) []byte {
	magnitude := math.Abs(value)
	switch {
	case math.IsNaN(value) || math.IsInf(value, 0):
		return append(dst, "null"...)
	case value == 0:
		return append(dst, '0') // also for -0
	case magnitude >= 1e-6 && magnitude < 1e21:
		return strconv.AppendFloat(dst, value, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, value, 'e', -1, 64)
	// Go pads the exponent to two digits, ECMAScript does not; no positive one that comes here has fewer.
	if n := len(dst); dst[n-2] == '0' && dst[n-3] == '-' {
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}

// appendValue appends an attribute's value: bytes as base64, an empty value and what is nested too deep as null.
// Integers are written exactly, also beyond 2^53.
func appendValue(dst []byte, value pcommon.Value, depth int) []byte {
	if depth > maxDepth {
		return append(dst, "null"...)
	}
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return appendString(dst, value.Str())
	case pcommon.ValueTypeInt:
		return strconv.AppendInt(dst, value.Int(), 10)
	case pcommon.ValueTypeBool:
		return strconv.AppendBool(dst, value.Bool())
	case pcommon.ValueTypeDouble:
		return appendFloat(dst, value.Double())
	case pcommon.ValueTypeBytes:
		return appendString(dst, base64.StdEncoding.EncodeToString(value.Bytes().AsRaw()))
	case pcommon.ValueTypeSlice:
		dst = append(dst, '[')
		for i, element := range value.Slice().All() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, element, depth+1)
		}
		return append(dst, ']')
	case pcommon.ValueTypeMap:
		return appendMap(dst, value.Map(), depth)
	default:
		return append(dst, "null"...)
	}
}

// appendMap appends an object; of members of one name, which OTLP allows on the wire, the first one counts.
func appendMap(dst []byte, members pcommon.Map, depth int) []byte {
	type member struct {
		name  string
		value pcommon.Value
	}
	sorted := make([]member, 0, members.Len())
	for name, value := range members.All() {
		sorted = append(sorted, member{validUTF8(name), value})
	}
	slices.SortStableFunc(sorted, func(a, b member) int { return compareUTF16(a.name, b.name) })
	dst = append(dst, '{')
	for i, m := range sorted {
		if i > 0 {
			if m.name == sorted[i-1].name {
				continue
			}
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, m.name), ':')
		dst = appendValue(dst, m.value, depth+1)
	}
	return append(dst, '}')
}

// validUTF8 replaces bytes as appendString does, so that names which it would write alike compare alike.
func validUTF8(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// compareUTF16 orders valid UTF-8 by its UTF-16 code units, as RFC 8785 sorts members.
// That differs from the order of bytes only where a surrogate pair meets a character above the surrogates.
func compareUTF16(a, b string) int {
	for len(a) > 0 && len(b) > 0 {
		ra, wa := utf8.DecodeRuneInString(a)
		rb, wb := utf8.DecodeRuneInString(b)
		if ra != rb {
			return int(inUTF16(ra) - inUTF16(rb))
		}
		a, b = a[wa:], b[wb:]
	}
	return len(a) - len(b)
}

// inUTF16 moves what is above the surrogates behind all that is written as a pair of them.
func inUTF16(r rune) rune {
	if r >= 0xe000 && r <= 0xffff {
		return r + utf8.MaxRune
	}
	return r
}
