"""The methods of optimisation, each a file: its keys, its update and its theory.

May import: config, theory.

Every file of this folder is imported here, and its class enters itself in the list of methods.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
