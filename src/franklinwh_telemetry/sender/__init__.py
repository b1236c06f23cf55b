"""The sender: the only room that knows OpenTelemetry, always in a process of its own."""
