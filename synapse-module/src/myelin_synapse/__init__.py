"""The Synapse side of the Myelin two-factor gateway: a Synapse module on its public interface."""

from .module import MyelinModule
from .version import VERSION

__all__ = ["VERSION", "MyelinModule"]
