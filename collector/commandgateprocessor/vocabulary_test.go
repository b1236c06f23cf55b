package commandgateprocessor

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func TestUnlistedCommands(t *testing.T) {
	surprises := map[string]string{
		"another":            "tou --set 0 24 self",
		"another's":          "run", // a command of the other application
		"empty":              "",
		"surplus blank":      "status ",
		"case":               "Status",
		"composed otherwise": "status\u0301",
		"not UTF-8":          "status\xff",
		"huge":               strings.Repeat("status", 1<<20),
		"as long as one":     "statuz",
		"NUL":                "status\x00",
	}
	for name, surprise := range surprises {
		t.Run(name, func(t *testing.T) {
			received := changed(onAttributes(func(attributes pcommon.Map) { attributes.PutStr(commandKey, surprise) }))
			rebuilt, counts := newTestRebuilder(t, testConfig()).rebuild(received, testNowMS)
			expected := tally{unlisted: 1}
			expected.spans[accepted] = 1
			require.Equal(t, expected, counts)
			other := ptrace.NewTraces()
			addGoodSpan(goodSpans(other, testApp), "other")
			require.Equal(t, marshal(t, other), marshal(t, rebuilt))

			config := testConfig()
			config.UnknownCommand = UnknownCommandDrop
			rebuilt, counts = newTestRebuilder(t, config).rebuild(received, testNowMS)
			expected = tally{}
			expected.spans[unknownCommand] = 1
			require.Equal(t, expected, counts)
			require.Zero(t, rebuilt.SpanCount())
		})
	}
}

// The longest names and commands that a configuration can list pass.
func TestLongestTextsPass(t *testing.T) {
	config := createDefaultConfig().(*Config)
	application, command := strings.Repeat("a", 64), strings.Repeat("\U0001F424", 200)
	config.Vocabularies = map[string][]string{application: {"status", command}}
	received := ptrace.NewTraces()
	addGoodSpan(goodSpans(received, application), command)
	rebuilt, counts := newTestRebuilder(t, config).rebuild(received, testNowMS)
	require.Zero(t, counts.unlisted)
	require.Equal(t, marshal(t, received), marshal(t, rebuilt))
}

// `other` is a member of every vocabulary: it is neither counted as unlisted nor dropped.
func TestOtherIsListed(t *testing.T) {
	for _, unknown := range []UnknownCommand{UnknownCommandOther, UnknownCommandDrop} {
		config := testConfig()
		config.UnknownCommand = unknown
		received := ptrace.NewTraces()
		addGoodSpan(goodSpans(received, testApp), "other")
		rebuilt, counts := newTestRebuilder(t, config).rebuild(received, testNowMS)
		var expected tally
		expected.spans[accepted] = 1
		require.Equal(t, expected, counts)
		require.Equal(t, marshal(t, received), marshal(t, rebuilt))
	}
}
