"""`python -m surefoot` is the command `surefoot`."""

from surefoot.cli import command

if __name__ == "__main__":
    command()
