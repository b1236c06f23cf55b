//go:generate go tool -modfile=../internal/tools/go.mod mdatagen metadata.yaml

// Package requestlimitextension bounds what an OTLP receiver needs in memory to decode requests of traces.
//
// A megabyte of OTLP can decode into hundreds: empty messages of two bytes become structures of hundreds, and each
// level of a nested value is a frame on a stack. The extension is a middleware of an HTTP server that looks at a body
// before the receiver does, refuses one that no client of ours would send, and lets only some be decoded at a time.
package requestlimitextension
