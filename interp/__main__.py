"""``python -m interp``: the command line, also where no script is installed."""

from interp.cli import main

if __name__ == "__main__":
    main()
