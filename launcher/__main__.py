"""The command's start, without a look for garbage while it imports: nothing that imports make is any."""

import gc

gc.disable()

from launcher.cli import main  # noqa: E402 (the collector goes first)

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
