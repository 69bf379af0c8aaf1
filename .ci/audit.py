"""Audit the installed packages: whether they fit together (offline), and what the advisory services know of them.

Exit code 0: nothing known, or nothing could be asked, which is said; 1: something is known; 2: the audit itself failed.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any

SERVICES = {"osv": "api.osv.dev", "pypi": "pypi.org"}
SECONDS = 5
_NO_ANSWER = ("ConnectionError", "ServiceError", "HTTPError", "Timeout", "ConnectTimeout", "SSLError")


def reachable(host: str) -> bool:
    """Whether a connection to ``host`` can be opened."""
    try:
        with socket.create_connection((host, 443), SECONDS):
            return True
    except OSError:
        return False


def main() -> int:
    """Audit, and print what came of it."""
    fit = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    print(f"audit: {fit.stdout.strip() or fit.stderr.strip()}")
    service = next((name for name, host in SERVICES.items() if reachable(host)), None)
    if service is None:
        print(f"audit: NO ADVISORY WAS ASKED ABOUT: none of {', '.join(SERVICES.values())} can be reached.")
        return 0
    options = ["--vulnerability-service", service, "--format", "json", "--local", "--skip-editable"]
    command = [sys.executable, "-m", "pip_audit", *options, "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return _report(json.loads(done.stdout)["dependencies"], service)
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        # A proxy may open the connection and not have the service behind it.
        if any(word in done.stderr for word in _NO_ANSWER):
            print(f"audit: NO ADVISORY WAS ASKED ABOUT: {service} did not answer ({last}).")
            return 0
        print(f"audit: failed: {last}")
        return 2


def _report(packages: list[dict[str, Any]], service: str) -> int:
    known = [(package, advisory) for package in packages for advisory in package.get("vulns", ())]
    for package, advisory in known:
        fixed = ", ".join(advisory["fix_versions"]) or "no release yet"
        print(f"audit: {package['name']} {package['version']}: {advisory['id']}; fixed in {fixed}")
    skipped = sum("skip_reason" in package for package in packages)
    if skipped == len(packages):
        # A mirror of the index answers for packages and knows no advisories.
        print(f"audit: NO ADVISORY WAS ASKED ABOUT: what answers as {service} knows none of {skipped} packages.")
        return 0
    print(
        f"audit: {len(packages) - skipped} packages asked about at {service}, {skipped} not known there; "
        f"{len(known)} advisories."
    )
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main())
