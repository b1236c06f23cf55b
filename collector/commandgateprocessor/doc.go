//go:generate go tool -modfile=../internal/tools/go.mod mdatagen metadata.yaml

// Package commandgateprocessor lets spans through only as far as they are five facts about one finished command.
//
// Each span is parsed into the command, its start time, its latency, its success and a random UUID, and a new
// span is built from them. What was received is neither edited nor filtered: it ends here, whatever it holds.
package commandgateprocessor
