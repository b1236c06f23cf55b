package commandgateprocessor

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
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

	// fault is of the shape of Vocabularies, which is then empty.
	fault error
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

func createDefaultConfig() component.Config {
	return &Config{UnknownCommand: UnknownCommandOther}
}

// Unmarshal refuses what is not a mapping of lists of text. Without it a text in place of a list, such as a file
// that is cut short or a page of an error, would become a list of that one text. It is Validate that says so:
// what is said while reading, the Collector spreads over several lines.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if c.fault = checkShape(conf.ToStringMap()[vocabulariesKey]); c.fault != nil {
		return nil
	}
	return conf.Unmarshal(c)
}

// Validate returns the first fault, in one line that says how to mend it.
func (c *Config) Validate() error {
	_, err := newRebuilder(c)
	return err
}

const vocabulariesKey = "vocabularies"

// checkShape lets pass what is absent, which Validate names.
func checkShape(vocabularies any) error {
	switch listed := vocabularies.(type) {
	case nil:
		return nil
	case map[string]any:
		for _, application := range slices.Sorted(maps.Keys(listed)) {
			if err := checkListShape(application, listed[application]); err != nil {
				return err
			}
		}
		return nil
	default:
		return errors.New("`vocabularies` is not a mapping: give each application its list of commands, " +
			"as `{\"franklinwh-cloud\": [\"status\"]}`; a file that it is read from is cut short, has an application twice, or is another file")
	}
}

func checkListShape(application string, commands any) error {
	switch listed := commands.(type) {
	case nil:
		return nil
	case []any:
		for index, command := range listed {
			if _, isText := command.(string); !isText {
				return fmt.Errorf("`vocabularies`: command %d of %s is not a text: put it in quotes, or remove it",
					index+1, quote(application))
			}
		}
		return nil
	default:
		return fmt.Errorf("`vocabularies`: what %s has is not a list: write its commands between [ and ]",
			quote(application))
	}
}
