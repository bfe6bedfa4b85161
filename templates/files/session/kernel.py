"""Start the user's kernel: with the environment's own ipykernel, or else the one beside it."""

import sys

try:
    import ipykernel_launcher  # noqa: F401
except ImportError:
    # Last on the path: whatever the environment has itself comes first.
    sys.path.append("/opt/launchyard/kernel")

from ipykernel import kernelapp

kernelapp.launch_new_instance()
