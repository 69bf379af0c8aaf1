"""``python -m vapbench``: the same as the ``vapbench`` command."""

from vapbench.cli import main

main()
