"""
`python -m franklinwh_telemetry` is the command line `franklinwh-telemetry`.
"""

from franklinwh_telemetry.cli import main

if __name__ == "__main__":
    main()
