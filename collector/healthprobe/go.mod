module github.com/franklinwh-telemetry/franklinwh-telemetry/collector/healthprobe

go 1.26.0
