"""How our telemetry meets the libraries that programs are built with, one module each."""
