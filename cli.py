"""`python cli.py ...` from a checkout: hands over to `ablate.cli`; not installed."""

from ablate.cli import main

if __name__ == "__main__":
    main()
