// Package wholelines is the stock file exporter, of which no part of a line stays when a write fails.
//
// The stock exporter writes a line and its end by two writes, and leaves behind what a full disk, or a kill between the
// two, let it write. The next line, which the client is told is kept, then continues that part and cannot be read.
package wholelines
