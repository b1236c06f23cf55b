package requestlimitextension

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/encoding/protowire"
)

// asBytes is a field of protobuf that has a length.
func asBytes(number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

func inside(content []byte, numbers ...protowire.Number) []byte {
	for _, number := range numbers {
		content = asBytes(number, content)
	}
	return content
}

// everything has, once, each message that the receiver decodes, and is ten deep.
func everything(t testing.TB) []byte {
	t.Helper()
	made := ptrace.NewTraces()
	resource := made.ResourceSpans().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "franklinwh-cloud")
	scope := resource.ScopeSpans().AppendEmpty()
	scope.Scope().Attributes().PutInt("a", 1)
	span := scope.Spans().AppendEmpty()
	span.SetName(strings.Repeat("x", 1000))
	span.SetStartTimestamp(pcommon.Timestamp(1<<64 - 1))
	span.Attributes().PutEmptySlice("b").AppendEmpty().SetEmptyMap().PutBool("c", true)
	span.Events().AppendEmpty().Attributes().PutDouble("d", 1.5)
	span.Links().AppendEmpty().Attributes().PutEmptyBytes("e").FromRaw(make([]byte, 100))
	span.Status().SetMessage("surprise")
	body, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(made)
	require.NoError(t, err)
	return body
}

// Three down to the span; the resource, the scope, the event and the link with an attribute and its value each; the
// seven in one another of the span's attribute; and the status.
const messagesInEverything = 3 + 4*3 + 7 + 1

func TestAHonestRequestIsCounted(t *testing.T) {
	body := everything(t)
	assert.NoError(t, limits{messages: messagesInEverything, depth: 10}.checkProtobuf(body))
	assert.ErrorIs(t, limits{messages: messagesInEverything - 1, depth: 10}.checkProtobuf(body), errTooMany)
	assert.ErrorIs(t, limits{messages: messagesInEverything, depth: 9}.checkProtobuf(body), errTooDeep)
}

func TestWhatNeedsManyTimesItsSizeIsRefused(t *testing.T) {
	few := limits{messages: 50_000, depth: 32}
	many := func(number protowire.Number) []byte { return bytes.Repeat(asBytes(number, nil), 50_001) }
	for name, body := range map[string][]byte{
		"resources":           many(1),
		"resource":            inside(many(1), 1),
		"scopes":              inside(many(2), 1),
		"attributes":          inside(many(1), 1, 1),
		"entities":            inside(many(3), 1, 1),
		"keys of an entity":   inside(many(3), 3, 1, 1),
		"scope":               inside(many(1), 2, 1),
		"scope's attributes":  inside(many(3), 1, 2, 1),
		"spans":               inside(many(2), 2, 1),
		"span's attributes":   inside(many(9), 2, 2, 1),
		"events":              inside(many(11), 2, 2, 1),
		"event's attributes":  inside(many(3), 11, 2, 2, 1),
		"links":               inside(many(13), 2, 2, 1),
		"link's attributes":   inside(many(4), 13, 2, 2, 1),
		"statuses":            inside(many(15), 2, 2, 1),
		"values of a key":     inside(many(2), 9, 2, 2, 1),
		"elements of a list":  inside(many(1), 5, 2, 9, 2, 2, 1),
		"members of a map":    inside(many(1), 6, 2, 9, 2, 2, 1),
		"lists, one after":    inside(many(5), 2, 9, 2, 2, 1),
		"maps, one after":     inside(many(6), 2, 9, 2, 2, 1),
		"many in many scopes": inside(bytes.Repeat(inside(bytes.Repeat(asBytes(2, nil), 300), 2), 200), 1),
	} {
		assert.ErrorIs(t, few.checkProtobuf(body), errTooMany, name)
	}
	var deep []byte
	for range 1000 {
		deep = inside(deep, 1, 5)
	}
	assert.ErrorIs(t, few.checkProtobuf(inside(deep, 2, 9, 2, 2, 1)), errTooDeep)
	assert.ErrorIs(t, few.checkProtobuf(inside(deep, 2, 1, 1, 1)), errTooDeep)
}

func TestWhatIsNoMessageIsNotFollowed(t *testing.T) {
	looksLikeOne := bytes.Repeat(asBytes(1, nil), 10)
	none := limits{messages: 4, depth: 4}
	assert.NoError(t, none.checkProtobuf(inside(looksLikeOne, 5, 2, 2, 1)), "a name")
	assert.NoError(t, none.checkProtobuf(inside(looksLikeOne, 1234, 2, 2, 1)), "an unknown field")
	assert.NoError(t, none.checkProtobuf(inside([]byte("host.name"), 3, 3, 1, 1)), "a key of an entity")
	assert.NoError(t, none.checkProtobuf(nil))
}

func TestWhatIsMalformedIsRefused(t *testing.T) {
	body := everything(t)
	most := limits{messages: 1000, depth: 32}
	for end := 1; end < len(body); end++ {
		assert.ErrorIs(t, most.checkProtobuf(body[:end]), errMalformed)
	}
	group := protowire.AppendTag(protowire.AppendTag(nil, 3, protowire.StartGroupType), 3, protowire.EndGroupType)
	assert.ErrorIs(t, most.checkProtobuf(group), errMalformed)
	assert.ErrorIs(t, most.checkProtobuf([]byte{0x00}), errMalformed)
}

func TestTextIsCounted(t *testing.T) {
	few := limits{messages: 3, depth: 1}
	assert.NoError(t, few.checkText([]byte(`{"a":[null,null]}surprise`)))
	for _, body := range []string{`{"a":[null,null,null]}`, `{{{{{`, `[[[[[`, `{"a":{"b":{"c":{"d":{}}}}}`} {
		assert.ErrorIs(t, few.checkText([]byte(body)), errTooMany, body)
	}
}

func BenchmarkCheckProtobuf(b *testing.B) {
	body := everything(b)
	most := limits{messages: 1000, depth: 32}
	b.ReportAllocs()
	for b.Loop() {
		if err := most.checkProtobuf(body); err != nil {
			b.Fatal(err)
		}
	}
}
