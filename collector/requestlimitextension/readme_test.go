package requestlimitextension

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func TestReadmeHasEveryDefault(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	defaults := confmap.New()
	require.NoError(t, defaults.Marshal(createDefaultConfig()))
	options := defaults.ToStringMap()
	assert.Len(t, options, 4)
	for name, value := range options {
		assert.Contains(t, string(text), fmt.Sprintf("\n| `%s` | %v | ", name, value))
	}
	assert.Equal(t, len(options), strings.Count(string(text), "\n| `"))
}
