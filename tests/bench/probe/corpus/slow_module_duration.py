"""How long `slow_module` takes to import: an import takes no arguments."""

seconds = 0.0
