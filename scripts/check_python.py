"""Say in one sentence why this Python cannot run the workbench; any Python, however old, runs this file."""

import sys


def complaint():
    if sys.version_info < (3, 11):  # noqa: UP036 - an older one is who this file is for
        return "needs Python 3.11 or newer; this is " + ".".join(map(str, sys.version_info[:3]))
    try:
        import ensurepip  # noqa: F401 - Debian splits venv and pip from Python
        import venv  # noqa: F401 - as above
    except ImportError as error:
        return "this Python has no " + str(error.name) + "; Debian has it in the package python3-venv"
    return None


if __name__ == "__main__":
    problem = complaint()
    if problem:
        sys.exit("forensics: " + problem + "\nname another one with: make PYTHON=/path/to/python3.12 ...")
