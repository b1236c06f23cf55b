package commandgateprocessor

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func readme(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(content)
}

// Each example is a configuration that starts.
func TestExamplesOfTheReadme(t *testing.T) {
	vocabularies := filepath.Join(t.TempDir(), "vocabularies.json")
	require.NoError(t, os.WriteFile(vocabularies, []byte(`{"franklinwh-cloud": ["status"]}`), 0o600))
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	require.Len(t, examples, 2)
	for _, example := range examples {
		content := strings.ReplaceAll(example[1], "vocabularies.json", vocabularies)
		sub, err := resolve(t, content).Sub("processors::commandgate")
		require.NoError(t, err)
		config := createDefaultConfig().(*Config)
		require.NoError(t, sub.Unmarshal(config))
		require.NoError(t, config.Validate())
		require.Contains(t, config.Vocabularies[testApp], "status")
	}
}

// The table of reasons has all of them, in the order of the metric's, and so has metadata.yaml.
func TestReasonsOfTheReadme(t *testing.T) {
	metadata, err := os.ReadFile("metadata.yaml")
	require.NoError(t, err)
	_, table, found := strings.Cut(readme(t), "## Why spans are dropped")
	require.True(t, found)
	for name, found := range map[string][][]string{
		"README.md":     regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1),
		"metadata.yaml": regexp.MustCompile(`(?m)^      - ([a-z_]+)$`).FindAllStringSubmatch(string(metadata), -1),
	} {
		var names []string
		for _, one := range found {
			names = append(names, one[1])
		}
		require.Equal(t, reasonNames[accepted+1:], names, name)
	}
}

// Each limit stands in the README as the code has it.
func TestLimitsOfTheReadme(t *testing.T) {
	require.Contains(t, readme(t), "0 to 604800000 (seven days)")
	require.EqualValues(t, 604800000, maxLatencyMS)
	require.Contains(t, readme(t), "1 to 200 characters")
	require.Equal(t, 200, maxCommandChars)
	require.Contains(t, readme(t), "`[a-z0-9][a-z0-9._-]{0,63}`")
	require.Equal(t, "^[a-z0-9][a-z0-9._-]{0,63}$", applicationName.String())
}
