"""The values that the parts of Loopmark exchange: frozen values, no I/O, no clock."""
