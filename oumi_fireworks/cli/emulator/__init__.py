"""``oumi-fireworks emulator``: a Fireworks server on this machine, alone or around a command."""
