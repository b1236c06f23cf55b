"""shim"""
from franklinwh_telemetry.inifile import Edited, EditRefused, edit
