"""The version of the module, in one place for the package and for the gateway."""

VERSION = "0.1.0"
