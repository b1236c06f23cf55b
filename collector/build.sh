#!/bin/sh
# Builds build/otelcol-franklinwh with the Go on the path: stripped, static, and the same bytes wherever the same Go does
# it, because no path, time or revision of a repository goes in.
set -eu
cd "$(dirname "$0")"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off
export GOFLAGS="${GOFLAGS:-} -trimpath -buildvcs=false"
rm -rf build
exec go run go.opentelemetry.io/collector/cmd/builder@v0.161.0 --config builder-config.yaml
