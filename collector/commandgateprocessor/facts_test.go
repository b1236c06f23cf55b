package commandgateprocessor

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	dayMS  = 24 * hourMS
	hourMS = 60 * 60 * 1000
)

// change is done to the one good span of a batch, its attributes and its resource's attributes.
type change func(span ptrace.Span, attributes, resource pcommon.Map)

func onSpan(do func(span ptrace.Span)) change {
	return func(span ptrace.Span, _, _ pcommon.Map) { do(span) }
}

func onAttributes(do func(attributes pcommon.Map)) change {
	return func(_ ptrace.Span, attributes, _ pcommon.Map) { do(attributes) }
}

func onResource(do func(resource pcommon.Map)) change {
	return func(_ ptrace.Span, _, resource pcommon.Map) { do(resource) }
}

func startAt(ms int64) change {
	return onSpan(func(span ptrace.Span) { span.SetStartTimestamp(pcommon.Timestamp(ms * 1e6)) })
}

func latency(ms int64) change {
	return onAttributes(func(attributes pcommon.Map) { attributes.PutInt(latencyKey, ms) })
}

func uuid(text string) change {
	return onAttributes(func(attributes pcommon.Map) { attributes.PutStr(uuidKey, text) })
}

func changed(do change) ptrace.Traces {
	traces := goodTraces()
	resource := traces.ResourceSpans().At(0)
	span := resource.ScopeSpans().At(0).Spans().At(0)
	do(span, span.Attributes(), resource.Resource().Attributes())
	return traces
}

// Each fault alone drops the span, and is counted under its own reason.
func TestReasons(t *testing.T) {
	tests := map[string]struct {
		do  change
		why reason
	}{
		"nothing": {func(ptrace.Span, pcommon.Map, pcommon.Map) {}, accepted},

		"no application":        {onResource(func(resource pcommon.Map) { resource.Clear() }), missingAttribute},
		"application as bytes":  {onResource(func(resource pcommon.Map) { resource.PutEmptyBytes(applicationKey).FromRaw([]byte(testApp)) }), wrongType},
		"application not known": {onResource(func(resource pcommon.Map) { resource.PutStr(applicationKey, "franklinwh") }), unknownApplication},
		"application empty":     {onResource(func(resource pcommon.Map) { resource.PutStr(applicationKey, "") }), unknownApplication},
		"application huge":      {onResource(func(resource pcommon.Map) { resource.PutStr(applicationKey, strings.Repeat("a", 1<<20)) }), unknownApplication},
		"application not UTF-8": {onResource(func(resource pcommon.Map) { resource.PutStr(applicationKey, testApp+"\xff") }), unknownApplication},
		"application upper":     {onResource(func(resource pcommon.Map) { resource.PutStr(applicationKey, "Franklinwh-cloud") }), unknownApplication},

		"no trace id": {onSpan(func(span ptrace.Span) { span.SetTraceID(pcommon.TraceID{}) }), emptyID},
		"no span id":  {onSpan(func(span ptrace.Span) { span.SetSpanID(pcommon.SpanID{}) }), emptyID},

		"45 days old":        {startAt(testNowMS - 45*dayMS), accepted},
		"over 45 days old":   {startAt(testNowMS - 45*dayMS - 1), tooOld},
		"no start":           {startAt(0), tooOld},
		"22 h ahead":         {startAt(testNowMS + 22*hourMS), accepted},
		"over 22 h ahead":    {startAt(testNowMS + 22*hourMS + 1), tooFarAhead},
		"the last time":      {onSpan(func(span ptrace.Span) { span.SetStartTimestamp(1<<64 - 1) }), tooFarAhead},
		"negative as signed": {onSpan(func(span ptrace.Span) { span.SetStartTimestamp(1 << 63) }), tooFarAhead},

		"no command":         {onAttributes(func(attributes pcommon.Map) { attributes.Remove(commandKey) }), missingAttribute},
		"command as list":    {onAttributes(func(attributes pcommon.Map) { attributes.PutEmptySlice(commandKey).AppendEmpty().SetStr("status") }), wrongType},
		"command as bytes":   {onAttributes(func(attributes pcommon.Map) { attributes.PutEmptyBytes(commandKey).FromRaw([]byte("status")) }), wrongType},
		"command without":    {onAttributes(func(attributes pcommon.Map) { attributes.PutEmpty(commandKey) }), wrongType},
		"no latency":         {onAttributes(func(attributes pcommon.Map) { attributes.Remove(latencyKey) }), missingAttribute},
		"latency as double":  {onAttributes(func(attributes pcommon.Map) { attributes.PutDouble(latencyKey, 1834) }), wrongType},
		"latency as text":    {onAttributes(func(attributes pcommon.Map) { attributes.PutStr(latencyKey, "1834") }), wrongType},
		"no success":         {onAttributes(func(attributes pcommon.Map) { attributes.Remove(successKey) }), missingAttribute},
		"success as text":    {onAttributes(func(attributes pcommon.Map) { attributes.PutStr(successKey, "true") }), wrongType},
		"success as integer": {onAttributes(func(attributes pcommon.Map) { attributes.PutInt(successKey, 1) }), wrongType},
		"no UUID":            {onAttributes(func(attributes pcommon.Map) { attributes.Remove(uuidKey) }), missingAttribute},
		"UUID as bytes":      {onAttributes(func(attributes pcommon.Map) { attributes.PutEmptyBytes(uuidKey).FromRaw([]byte(testUUID)) }), wrongType},
		"no attribute":       {onAttributes(func(attributes pcommon.Map) { attributes.Clear() }), missingAttribute},

		"latency 0":           {latency(0), accepted},
		"latency negative":    {latency(-1), latencyOutOfRange},
		"latency the least":   {latency(-1 << 63), latencyOutOfRange},
		"latency 7 days":      {latency(7 * dayMS), accepted},
		"latency over 7 days": {latency(7*dayMS + 1), latencyOutOfRange},
		"latency the most":    {latency(1<<63 - 1), latencyOutOfRange},

		"UUID variant 8":       {uuid("9b2c6f0e-1d34-4a5b-8c7d-6e5f40312213"), accepted},
		"UUID variant 9":       {uuid("9b2c6f0e-1d34-4a5b-9c7d-6e5f40312213"), accepted},
		"UUID variant a":       {uuid("9b2c6f0e-1d34-4a5b-ac7d-6e5f40312213"), accepted},
		"UUID variant b":       {uuid("9b2c6f0e-1d34-4a5b-bc7d-6e5f40312213"), accepted},
		"UUID variant 7":       {uuid("9b2c6f0e-1d34-4a5b-7c7d-6e5f40312213"), invalidUUID},
		"UUID variant c":       {uuid("9b2c6f0e-1d34-4a5b-cc7d-6e5f40312213"), invalidUUID},
		"UUID version 1":       {uuid("9b2c6f0e-1d34-1a5b-8c7d-6e5f40312213"), invalidUUID},
		"UUID version 7":       {uuid("9b2c6f0e-1d34-7a5b-8c7d-6e5f40312213"), invalidUUID},
		"UUID upper case":      {uuid(strings.ToUpper(testUUID)), invalidUUID},
		"UUID without dashes":  {uuid(strings.ReplaceAll(testUUID, "-", "")), invalidUUID},
		"UUID in braces":       {uuid("{" + testUUID + "}"), invalidUUID},
		"UUID as URN":          {uuid("urn:uuid:" + testUUID), invalidUUID},
		"UUID with blank":      {uuid(testUUID + " "), invalidUUID},
		"UUID empty":           {uuid(""), invalidUUID},
		"UUID nil":             {uuid("00000000-0000-0000-0000-000000000000"), invalidUUID},
		"UUID anonymous":       {uuid("anonymous"), invalidUUID},
		"an e-mail":            {uuid("a.very.long.name@the.example.company"), invalidUUID},
		"UUID with a letter g": {uuid("9b2c6f0e-1d34-4a5b-8c7d-6e5f4031221g"), invalidUUID},
		"UUID a digit longer":  {uuid(testUUID + "0"), invalidUUID},
		"UUID a digit shorter": {uuid(testUUID[:35]), invalidUUID},
		"UUID with a slash":    {uuid("/b2c6f0e-1d34-4a5b-8c7d-6e5f40312213"), invalidUUID},
		"UUID with a colon":    {uuid(":b2c6f0e-1d34-4a5b-8c7d-6e5f40312213"), invalidUUID},
		"UUID with backquote":  {uuid("`b2c6f0e-1d34-4a5b-8c7d-6e5f40312213"), invalidUUID},
		"UUID first dash":      {uuid("9b2c6f0e01d34-4a5b-8c7d-6e5f40312213"), invalidUUID},
		"UUID second dash":     {uuid("9b2c6f0e-1d3404a5b-8c7d-6e5f40312213"), invalidUUID},
		"UUID third dash":      {uuid("9b2c6f0e-1d34-4a5b08c7d-6e5f40312213"), invalidUUID},
		"UUID fourth dash":     {uuid("9b2c6f0e-1d34-4a5b-8c7d06e5f40312213"), invalidUUID},
		"UUID not UTF-8":       {uuid("\xff" + testUUID[1:]), invalidUUID},
		"UUID full width":      {uuid("９" + testUUID[3:]), invalidUUID},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			received := changed(test.do)
			received.MarkReadOnly()
			rebuilt, counts := newTestRebuilder(t, testConfig()).rebuild(received, testNowMS)
			var expected tally
			expected.spans[test.why] = 1
			require.Equal(t, expected, counts)
			if test.why == accepted {
				require.Equal(t, 1, rebuilt.SpanCount())
			} else {
				require.Equal(t, marshal(t, ptrace.NewTraces()), marshal(t, rebuilt))
			}
		})
	}
}

// No place of a UUID takes what does not belong there, and every digit is one.
func TestEveryPlaceOfAUUIDCounts(t *testing.T) {
	for place := range len(testUUID) {
		wrongs := "g-/:`G"
		if testUUID[place] == '-' {
			wrongs = "0af_"
		}
		for _, wrong := range wrongs {
			text := testUUID[:place] + string(wrong) + testUUID[place+1:]
			parsed, valid := parseUUID(text)
			require.False(t, valid, text)
			require.Empty(t, parsed, text)
		}
	}
	for _, digit := range "0123456789abcdef" {
		text := string(digit) + testUUID[1:]
		parsed, valid := parseUUID(text)
		require.True(t, valid, text)
		require.Equal(t, executionUUID(text), parsed)
	}
}

// Every span of a resource that is not let in is counted, whichever of its scopes it stands in.
func TestEveryScopeOfAResourceIsCounted(t *testing.T) {
	received := ptrace.NewTraces()
	addGoodSpan(goodSpans(received, "surprise"), "status")
	scope := received.ResourceSpans().At(0).ScopeSpans().AppendEmpty()
	addGoodSpan(scope.Spans(), "status")
	addGoodSpan(scope.Spans(), "status")

	rebuilt, counts := newTestRebuilder(t, testConfig()).rebuild(received, testNowMS)

	var expected tally
	expected.spans[unknownApplication] = 3
	require.Equal(t, expected, counts)
	require.Zero(t, rebuilt.ResourceSpans().Len())
}

// Of all faults at once, mended one after another, each in turn is the one that counts.
func TestTheFaultFoundFirstCounts(t *testing.T) {
	mending := []struct {
		why  reason
		mend change
	}{
		{unknownApplication, onResource(func(resource pcommon.Map) { resource.PutStr(applicationKey, testApp) })},
		{emptyID, onSpan(func(span ptrace.Span) { span.SetSpanID(testSpanID) })},
		{tooOld, startAt(testNowMS)},
		{missingAttribute, onAttributes(func(attributes pcommon.Map) { attributes.PutStr(commandKey, "surprise") })},
		{wrongType, latency(-1)},
		{missingAttribute, onAttributes(func(attributes pcommon.Map) { attributes.PutBool(successKey, true) })},
		{wrongType, uuid("surprise")},
		{unknownCommand, onAttributes(func(attributes pcommon.Map) { attributes.PutStr(commandKey, "status") })},
		{latencyOutOfRange, latency(0)},
		{invalidUUID, uuid(testUUID)},
	}
	received := ptrace.NewTraces()
	span := goodSpans(received, "surprise").AppendEmpty()
	span.SetTraceID(testTraceID)
	span.Attributes().PutStr(latencyKey, "surprise")
	span.Attributes().PutBool(uuidKey, false)
	config := testConfig()
	config.UnknownCommand = UnknownCommandDrop
	made := newTestRebuilder(t, config)
	for _, step := range mending {
		_, counts := made.rebuild(received, testNowMS)
		var expected tally
		expected.spans[step.why] = 1
		require.Equal(t, expected, counts, step.why.String())
		step.mend(span, span.Attributes(), received.ResourceSpans().At(0).Resource().Attributes())
	}
	rebuilt, _ := made.rebuild(received, testNowMS)
	require.Equal(t, 1, rebuilt.SpanCount())
}

// Even where both values are the same, nobody may have to choose; others than ours may come twice.
func TestDuplicateAttributes(t *testing.T) {
	tests := map[string]struct {
		placeholder, key string
		put              func(span ptrace.Span, resource pcommon.Map, key string)
		why              reason
	}{
		"application": {"service.nam_", applicationKey, func(_ ptrace.Span, resource pcommon.Map, key string) {
			resource.PutStr(key, testApp)
		}, duplicateAttribute},
		"command": {"franklinwh.comman_", commandKey, func(span ptrace.Span, _ pcommon.Map, key string) {
			span.Attributes().PutStr(key, "status")
		}, duplicateAttribute},
		"latency": {"franklinwh.execution_latency_m_", latencyKey, func(span ptrace.Span, _ pcommon.Map, key string) {
			span.Attributes().PutInt(key, 1834)
		}, duplicateAttribute},
		"success": {"franklinwh.succes_", successKey, func(span ptrace.Span, _ pcommon.Map, key string) {
			span.Attributes().PutBool(key, true)
		}, duplicateAttribute},
		"UUID": {"franklinwh.execution_uui_", uuidKey, func(span ptrace.Span, _ pcommon.Map, key string) {
			span.Attributes().PutStr(key, testUUID)
		}, duplicateAttribute},
		"UUID of another type": {"franklinwh.execution_uui_", uuidKey, func(span ptrace.Span, _ pcommon.Map, key string) {
			span.Attributes().PutEmpty(key)
		}, duplicateAttribute},
		"another": {"surprise_", "surprises", func(span ptrace.Span, _ pcommon.Map, key string) {
			span.Attributes().PutStr("surprises", "1")
			span.Attributes().PutStr(key, "2")
		}, accepted},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			received := changed(func(span ptrace.Span, _, resource pcommon.Map) {
				test.put(span, resource, test.placeholder)
			})
			received = withDuplicate(t, received, test.placeholder, test.key)
			_, counts := newTestRebuilder(t, testConfig()).rebuild(received, testNowMS)
			var expected tally
			expected.spans[test.why] = 1
			require.Equal(t, expected, counts)
		})
	}
}

// The time is a fact in whole milliseconds: what is finer could mark one sender, and is gone.
func TestTimeIsCutToMilliseconds(t *testing.T) {
	received := changed(onSpan(func(span ptrace.Span) {
		span.SetStartTimestamp(pcommon.Timestamp(testNowMS*1e6 + 999_999))
	}))
	rebuilt, _ := newTestRebuilder(t, testConfig()).rebuild(received, testNowMS)
	require.Equal(t, marshal(t, goodTraces()), marshal(t, rebuilt))
}
