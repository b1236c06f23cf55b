package commandgateprocessor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/commandgateprocessor/internal/metadata"
)

func TestValidConfigs(t *testing.T) {
	longest := strings.Repeat("é", maxCommandChars)
	tests := map[string]*Config{
		"commandgate": {
			Vocabularies:   map[string][]string{testApp: {"status", "tou", "tou --set", "mode --set self_consumption"}},
			UnknownCommand: UnknownCommandOther,
		},
		"commandgate/all": {
			Vocabularies:   map[string][]string{testApp: {"status"}, testAppTwo: {"run"}},
			UnknownCommand: UnknownCommandDrop,
		},
		"commandgate/longest": {
			Vocabularies: map[string][]string{
				"a234567890123456789012345678901234567890123456789012345678901234": {longest},
			},
			UnknownCommand: UnknownCommandOther,
		},
	}
	for name, expected := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := loadVariant(t, name)
			require.NoError(t, err)
			require.Equal(t, expected, config)
			require.NoError(t, confmap.Validate(config))
		})
	}
}

// Each variant is refused in one line that names the fault and the remedy.
func TestRefusedConfigs(t *testing.T) {
	const notMapping = "`vocabularies` is not a mapping: give each application its list of commands, " +
		"as `{\"franklinwh-cloud\": [\"status\"]}`; a file that it is read from is cut short, has an application twice, or is another file"
	const missing = "`vocabularies` is missing or empty: give each application its list of commands, " +
		"as `vocabularies: ${file:vocabularies.json}` with what `franklinwh-telemetry vocabulary` prints"
	const notApplication = " is not an application's name: write its `service.name`, " +
		"1 to 64 of a-z, 0-9, dot, dash and underscore that begin with a letter or digit"
	const notText = "`vocabularies`: command 2 of \"franklinwh-cloud\" is not a text: put it in quotes, or remove it"
	const noCommand = "`vocabularies`: \"franklinwh-cloud\" lists no command: list at least one, or remove the application"
	first := func(rest string) string { return "`vocabularies`: command 1 of \"franklinwh-cloud\", " + rest }
	tests := map[string]string{
		"missing":               missing,
		"empty_mapping":         missing,
		"empty_text":            notMapping,
		"text":                  notMapping,
		"list":                  notMapping,
		"no_list":               "`vocabularies`: what \"franklinwh-cloud\" has is not a list: write its commands between [ and ]",
		"empty_list":            noCommand,
		"no_value":              noCommand,
		"number":                notText,
		"null":                  notText,
		"nested":                notText,
		"duplicate":             "`vocabularies`: command 3 of \"franklinwh-cloud\", \"status\", is listed twice: remove one of the two",
		"empty_command":         "`vocabularies`: command 2 of \"franklinwh-cloud\", \"\", is empty: remove it, or write the command",
		"too_long":              first(`"` + strings.Repeat(`\u00e9`, 40) + `"..., has more than 200 characters: shorten it`),
		"control":               first(`"sta\ntus", has control characters: remove them`),
		"control_c1":            first(`"sta\u0085tus", has control characters: remove them`),
		"spaces":                first(`"tou  --set", has surplus spaces: write one between words, and none around them`),
		"leading_space":         first(`" tou", has surplus spaces: write one between words, and none around them`),
		"trailing_space":        first(`"tou ", has surplus spaces: write one between words, and none around them`),
		"other_listed":          first(`"other", is what unlisted commands are called: remove it`),
		"application_upper":     "`vocabularies`: \"Franklinwh\"" + notApplication,
		"application_empty":     "`vocabularies`: \"\"" + notApplication,
		"application_dash":      "`vocabularies`: \"-app\"" + notApplication,
		"application_newline":   "`vocabularies`: \"app\\n\"" + notApplication,
		"application_too_long":  "`vocabularies`: \"a234567890123456789012345678901234567890\"..." + notApplication,
		"unknown_command":       "`unknown_command` is \"keep\": write `other` or `drop`",
		"unknown_command_empty": "`unknown_command` is \"\": write `other` or `drop`",
	}
	for name, expected := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := loadVariant(t, "commandgate/"+name)
			require.NoError(t, err)
			require.EqualError(t, confmap.Validate(config), expected)
			require.NotContains(t, expected, "\n")
		})
	}
	require.Len(t, tests, len(variants(t).ToStringMap())-4, "each variant has its test")
}

// The Collector's own reading refuses what is no option.
func TestUnknownOptionIsRefused(t *testing.T) {
	_, err := loadVariant(t, "commandgate/misspelt")
	require.ErrorContains(t, err, "'commandgateprocessor.Config' has invalid keys: vocabulary")
}

// A text that is not UTF-8 cannot be written in YAML, but a program that embeds the gate can hold it.
func TestNotUTF8IsRefused(t *testing.T) {
	config := testConfig()
	config.Vocabularies[testApp] = []string{"sta\xfftus"}
	require.EqualError(t, config.Validate(),
		"`vocabularies`: command 1 of \"franklinwh-cloud\", \"sta\\xfftus\", is not UTF-8: save the file as UTF-8")
}

// Refused are the characters that Python's side refuses, to the last: C0, delete and C1.
func TestControlCharacters(t *testing.T) {
	config := createDefaultConfig().(*Config)
	for char := rune(1); char < 0x200; char++ {
		config.Vocabularies = map[string][]string{testApp: {"a" + string(char) + "b"}}
		if char < 0x20 || (char >= 0x7f && char < 0xa0) {
			require.ErrorContains(t, config.Validate(), "has control characters", "%U", char)
		} else {
			require.NoError(t, config.Validate(), "%U", char)
		}
	}
}

// What is quoted is cut after 40 characters, and only then marked as cut.
func TestQuote(t *testing.T) {
	require.Equal(t, `"`+strings.Repeat("a", 40)+`"`, quote(strings.Repeat("a", 40)))
	require.Equal(t, `"`+strings.Repeat("a", 40)+`"...`, quote(strings.Repeat("a", 41)))
}

// Of several faults the same one is always named.
func TestApplicationsAreCheckedInOrder(t *testing.T) {
	config := testConfig()
	for _, application := range []string{"b", "c", "d", "e", "a"} {
		config.Vocabularies[application] = nil
	}
	for range 20 {
		require.ErrorContains(t, config.Validate(), `"a" lists no command`)
	}
}

func TestDefaultConfigIsRefused(t *testing.T) {
	config := createDefaultConfig()
	require.Error(t, confmap.Validate(config))
	_, err := NewFactory().CreateTraces(
		context.Background(), processortest.NewNopSettings(metadata.Type), config, consumertest.NewNop())
	require.ErrorContains(t, err, "`vocabularies` is missing or empty")
}

// What `franklinwh-telemetry vocabulary` prints enters by `${file:}`, and a broken file stops the start.
func TestVocabulariesFromFile(t *testing.T) {
	tests := map[string]struct{ content, fault string }{
		"as printed":      {content: "{\n  \"franklinwh-cloud\": [\n    \"status\",\n    \"tou --set\"\n  ]\n}\n"},
		"empty":           {content: "", fault: "`vocabularies` is missing or empty"},
		"cut short":       {content: `{"franklinwh-cloud": ["status", "to`, fault: "`vocabularies` is not a mapping"},
		"a page":          {content: "<html>502</html>", fault: "`vocabularies` is not a mapping"},
		"without mapping": {content: `["status"]`, fault: "`vocabularies` is not a mapping"},
		"twice":           {content: `{"franklinwh-cloud": ["a"], "franklinwh-cloud": ["b"]}`, fault: "has an application twice"},
		"a text within":   {content: `{"franklinwh-cloud": "status"}`, fault: "is not a list"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vocabularies.json")
			require.NoError(t, os.WriteFile(path, []byte(test.content), 0o600))
			config := createDefaultConfig().(*Config)
			require.NoError(t, resolve(t, "vocabularies: ${file:"+path+"}\n").Unmarshal(config))
			err := config.Validate()
			if test.fault != "" {
				require.ErrorContains(t, err, test.fault)
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string][]string{testApp: {"status", "tou --set"}}, config.Vocabularies)
		})
	}
}

func resolve(t *testing.T, content string) *confmap.Conf {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"file:" + path},
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
	})
	require.NoError(t, err)
	resolved, err := resolver.Resolve(context.Background())
	require.NoError(t, err)
	require.NoError(t, resolver.Shutdown(context.Background()))
	return resolved
}

func variants(t *testing.T) *confmap.Conf {
	t.Helper()
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	return all
}

func loadVariant(t *testing.T, name string) (component.Config, error) {
	t.Helper()
	require.Contains(t, variants(t).ToStringMap(), name)
	sub, err := variants(t).Sub(name)
	require.NoError(t, err)
	config := createDefaultConfig()
	return config, sub.Unmarshal(config)
}
