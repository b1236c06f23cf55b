package commandgateprocessor

import (
	"fmt"

	"go.opentelemetry.io/collector/component"
)

// UnknownCommand is what becomes of a span whose command is not in its vocabulary.
type UnknownCommand string

const (
	// UnknownCommandOther passes the span on with the command `other`.
	UnknownCommandOther UnknownCommand = "other"
	// UnknownCommandDrop drops the span.
	UnknownCommandDrop UnknownCommand = "drop"
)

// Config of the gate. There is no default vocabulary, so the default does not validate.
type Config struct {
	// Vocabularies has the list of commands of each application, by its `service.name`.
	Vocabularies map[string][]string `mapstructure:"vocabularies"`

	// UnknownCommand is `other` by default.
	UnknownCommand UnknownCommand `mapstructure:"unknown_command"`

	_ struct{}
}

var _ component.Config = (*Config)(nil)

func createDefaultConfig() component.Config {
	return &Config{UnknownCommand: UnknownCommandOther}
}

// Validate returns the first fault, in one line that says how to mend it.
func (c *Config) Validate() error {
	if c.UnknownCommand != UnknownCommandOther && c.UnknownCommand != UnknownCommandDrop {
		return fmt.Errorf("`unknown_command` is %s: write `other` or `drop`", quote(string(c.UnknownCommand)))
	}
	_, err := parseVocabularies(c.Vocabularies)
	return err
}
