__version__ = "0.1.0"


def load_ipython_extension(shell):
    "What `%load_ext beejan` calls."
    from .serve.lab import load_lab

    load_lab(shell)
