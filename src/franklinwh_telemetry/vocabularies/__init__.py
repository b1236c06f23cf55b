"""Reviewed vocabularies that ship with the package, one module for each application."""
