package posthogexporter

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func TestStringsAreWrittenAsRFC8785Does(t *testing.T) {
	for text, written := range map[string]string{
		"":                         `""`,
		"status":                   `"status"`,
		"a<b>&c é\u2028\"\\":       `"a<b>&c é` + "\u2028" + `\"\\"`,
		"\b\t\n\f\r\x00\x1f\x7f":   `"\b\t\n\f\r\u0000\u001f` + "\x7f" + `"`,
		"\U0001f600":               "\"\U0001f600\"",
		"\ufffd":                   "\"\ufffd\"",
		"a\xffb":                   "\"a\ufffdb\"",
		"\xed\xa0\x80":             "\"\ufffd\ufffd\ufffd\"",
		"\xc3":                     "\"\ufffd\"",
		"no escape of / or ' or `": "\"no escape of / or ' or `\"",
	} {
		assert.Equal(t, written, string(appendString(nil, text)), "%q", text)
	}
}

// The samples of RFC 8785, appendix B.
func TestNumbersAreWrittenAsRFC8785Does(t *testing.T) {
	for bits, written := range map[uint64]string{
		0x0000000000000000: "0",
		0x8000000000000000: "0",
		0x0000000000000001: "5e-324",
		0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308",
		0xffefffffffffffff: "-1.7976931348623157e+308",
		0x4340000000000000: "9007199254740992",
		0xc340000000000000: "-9007199254740992",
		0x4430000000000000: "295147905179352830000",
		0x7fffffffffffffff: "null",
		0x7ff0000000000000: "null",
		0x44b52d02c7e14af5: "9.999999999999997e+22",
		0x44b52d02c7e14af6: "1e+23",
		0x44b52d02c7e14af7: "1.0000000000000001e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000",
		0x444b1ae4d6e2ef4f: "999999999999999900000",
		0x444b1ae4d6e2ef50: "1e+21",
		0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7",
		0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332",
		0x41b3de4355555557: "333333333.33333343",
		0xbecbf647612f3696: "-0.0000033333333333333333",
		0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		assert.Equal(t, written, string(appendFloat(nil, math.Float64frombits(bits))), "%016x", bits)
	}
}

// A zero is cut off an exponent only where Go has padded it.
func TestExponentsAreWrittenAsRFC8785Does(t *testing.T) {
	for written, value := range map[string]float64{
		"1e-7":    1e-7,
		"1.5e-9":  1.5e-9,
		"1e-10":   1e-10,
		"1e-20":   1e-20,
		"1e-107":  1e-107,
		"1e+30":   1e30,
		"1e+100":  1e100,
		"-1e+107": -1e107,
		"null":    math.Inf(-1),
	} {
		assert.Equal(t, written, string(appendFloat(nil, value)))
	}
}

func TestMembersAreSortedByUTF16(t *testing.T) {
	// The sample of RFC 8785, section 3.2.3, a prefix, and the characters next to the surrogates and the pairs of them.
	names := []string{
		"\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6", "1a", "", "\U0001f601",
		"\uffff", "\U0010ffff", "\ue000", "\U00010000", "\ud7ff",
	}
	expected := []string{
		"", "\r", "1", "1a", "\u0080", "\u00f6", "\u20ac", "\ud7ff",
		"\U00010000", "\U0001f600", "\U0001f601", "\U0010ffff", "\ue000", "\ufb33", "\uffff",
	}
	slices.SortFunc(names, compareUTF16)
	assert.Equal(t, expected, names)
	for _, a := range expected {
		for _, b := range expected {
			units := slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
			assert.Equal(t, units, sign(compareUTF16(a, b)), "%q, %q", a, b)
		}
	}
}

func sign(n int) int {
	return min(max(n, -1), 1)
}

func TestValuesOfEveryType(t *testing.T) {
	value := pcommon.NewValueMap()
	members := value.Map()
	members.PutStr("text", "t")
	members.PutInt("int", math.MinInt64)
	members.PutInt("exact", 1<<53+1)
	members.PutBool("bool", true)
	members.PutDouble("double", 0.5)
	members.PutDouble("infinite", math.Inf(1))
	members.PutEmpty("empty")
	members.PutEmptyBytes("bytes").FromRaw([]byte{0xfb, 0xff})
	slice := members.PutEmptySlice("slice")
	slice.AppendEmpty().SetInt(2)
	slice.AppendEmpty().SetEmptyMap().PutBool("b", false)
	members.PutEmptyMap("none")
	assert.Equal(t, `{"bool":true,"bytes":"+/8=","double":0.5,"empty":null,"exact":9007199254740993,"infinite":null,`+
		`"int":-9223372036854775808,"none":{},"slice":[2,{"b":false}],"text":"t"}`, string(appendValue(nil, value, 0)))
}

func TestOfMembersOfOneNameTheFirstCounts(t *testing.T) {
	// No Put makes a duplicate, but the wire can hold one.
	value := pcommon.NewValueMap()
	value.Map().PutInt("\xff", 1)
	value.Map().PutInt("b", 3)
	value.Map().PutInt("\ufffdc", 4)
	value.Map().PutInt("\ufffd", 2)
	assert.Equal(t, "{\"b\":3,\"\ufffd\":1,\"\ufffdc\":4}", string(appendValue(nil, value, 0)))
}

// So many members are no longer sorted by insertion, which would keep the order of those of one name anyway.
func TestOfManyMembersOfOneNameTheFirstCounts(t *testing.T) {
	value := pcommon.NewValueMap()
	for b := byte(0xff); b >= 0x80; b-- {
		value.Map().PutInt(string([]byte{b}), int64(b))
		value.Map().PutInt(string([]byte{'a' + b%26}), 0)
	}
	written := string(appendValue(nil, value, 0))
	assert.True(t, strings.HasSuffix(written, "\"z\":0,\"\ufffd\":255}"), written)
}

// 64 levels below the outermost are written, and what is below them as null.
func TestNestingIsBounded(t *testing.T) {
	nestings := map[string]struct {
		within          func(pcommon.Value) pcommon.Value
		opening, ending string
	}{
		"lists": {func(outer pcommon.Value) pcommon.Value { return outer.SetEmptySlice().AppendEmpty() }, "[", "]"},
		"maps":  {func(outer pcommon.Value) pcommon.Value { return outer.SetEmptyMap().PutEmpty("a") }, `{"a":`, "}"},
	}
	for name, nesting := range nestings {
		t.Run(name, func(t *testing.T) {
			outermost := pcommon.NewValueEmpty()
			for value, depth := outermost, 0; depth < 10_000; depth++ {
				value = nesting.within(value)
			}
			assert.Equal(t, strings.Repeat(nesting.opening, 65)+"null"+strings.Repeat(nesting.ending, 65),
				string(appendValue(nil, outermost, 0)))
		})
	}
}
