// Package maskedtelemetry is the Collector's own telemetry with network addresses masked in its log messages.
//
// The HTTP server of a receiver logs the client's address with every failed TLS handshake and every panic, at the
// error level, and no setting of the Collector turns that off without the errors of everything else.
// A client's address is a fact about a user that must not be kept.
package maskedtelemetry
