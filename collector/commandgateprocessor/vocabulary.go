package commandgateprocessor

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// otherCommand is what every command is called that its vocabulary does not list.
const otherCommand = "other"

// maxCommandChars is also the limit where commands are recorded: no longer one can arrive.
const maxCommandChars = 200

var applicationName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// vocabulary is what one application may say.
type vocabulary struct {
	application string
	// members has each listed command, and `other`, under itself: what goes out is our own text, never the sender's.
	members  map[string]string
	maxBytes int
}

// member returns the listed command that text is, in time that does not grow with the text.
func (v *vocabulary) member(text string) (string, bool) {
	if len(text) > v.maxBytes {
		return "", false
	}
	command, listed := v.members[text]
	return command, listed
}

// parseVocabularies returns them in the order of their applications' names, which the output keeps.
// Its errors are one line each, and name what to change; the applications are checked in that order too.
func parseVocabularies(listed map[string][]string) ([]*vocabulary, error) {
	if len(listed) == 0 {
		return nil, errors.New("`vocabularies` is missing or empty: give each application its list of commands, " +
			"as `vocabularies: ${file:vocabularies.json}` with what `franklinwh-telemetry vocabulary` prints")
	}
	applications := make([]string, 0, len(listed))
	for application := range listed {
		applications = append(applications, application)
	}
	slices.Sort(applications)
	vocabularies := make([]*vocabulary, 0, len(applications))
	for _, application := range applications {
		parsed, err := parseVocabulary(application, listed[application])
		if err != nil {
			return nil, err
		}
		vocabularies = append(vocabularies, parsed)
	}
	return vocabularies, nil
}

func parseVocabulary(application string, commands []string) (*vocabulary, error) {
	if !applicationName.MatchString(application) {
		return nil, fmt.Errorf("`vocabularies`: %s is not an application's name: write its `service.name`, "+
			"1 to 64 of a-z, 0-9, dot, dash and underscore that begin with a letter or digit", quote(application))
	}
	if len(commands) == 0 {
		return nil, fmt.Errorf("`vocabularies`: %q lists no command: list at least one, or remove the application",
			application)
	}
	parsed := &vocabulary{
		application: application,
		members:     map[string]string{otherCommand: otherCommand},
		maxBytes:    len(otherCommand),
	}
	for index, command := range commands {
		if fault := faultOf(command); fault != "" {
			return nil, fmt.Errorf("`vocabularies`: command %d of %q, %s, %s", index+1, application, quote(command), fault)
		}
		if _, twice := parsed.members[command]; twice {
			return nil, fmt.Errorf("`vocabularies`: command %d of %q, %s, is listed twice: remove one of the two",
				index+1, application, quote(command))
		}
		parsed.members[command] = command
		parsed.maxBytes = max(parsed.maxBytes, len(command))
	}
	return parsed, nil
}

// faultOf says what is wrong with a listed command and how to mend it; the empty text for nothing.
func faultOf(command string) string {
	switch {
	case command == "":
		return "is empty: remove it, or write the command"
	case command == otherCommand:
		return "is what unlisted commands are called: remove it"
	case !utf8.ValidString(command):
		return "is not UTF-8: save the file as UTF-8"
	case utf8.RuneCountInString(command) > maxCommandChars:
		return fmt.Sprintf("has more than %d characters: shorten it", maxCommandChars)
	case strings.ContainsFunc(command, isControl):
		return "has control characters: remove them"
	case strings.HasPrefix(command, " ") || strings.HasSuffix(command, " ") || strings.Contains(command, "  "):
		return "has surplus spaces: write one between words, and none around them"
	default:
		return ""
	}
}

func isControl(char rune) bool {
	return char < ' ' || (char >= 0x7f && char <= 0x9f)
}

// quote keeps an error to one line of bearable length, whatever the text holds.
func quote(text string) string {
	const maxQuotedChars = 40
	if chars := []rune(text); len(chars) > maxQuotedChars {
		return fmt.Sprintf("%+q...", string(chars[:maxQuotedChars]))
	}
	return fmt.Sprintf("%+q", text)
}
