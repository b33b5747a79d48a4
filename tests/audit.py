"""Looks for known vulnerabilities of all packages with pip-audit: python -m tests.audit, by `make audit`.

Ends with 1 and their names if there are any. Where the database of vulnerabilities cannot be reached, says so and ends
with 0: nothing was checked.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = ("requirements-dev.txt", "bench/requirements.txt")  # they have all packages of the other files
SECONDS = "15"  # for one answer of the database


def audit() -> list[dict[str, object]]:
    """What pip-audit knows about each package; [] if it gives no answer."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]
    command += [f"--requirement={file}" for file in FILES]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", SECONDS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except ValueError:
        print(done.stderr.strip()[-500:], file=sys.stderr)
        return []


def look(packages: list[dict[str, object]]) -> tuple[list[str], list[str], list[str]]:
    """The names of the packages that were checked, a line for each vulnerability, and the names of the others."""
    checked = [str(package["name"]) for package in packages if "vulns" in package]
    others = [str(package["name"]) for package in packages if "vulns" not in package]
    found = [
        f"{package['name']} {package['version']}: {problem['id']}, mended in {problem['fix_versions'] or 'no release'}"
        for package in packages
        for problem in package.get("vulns", ())  # type: ignore[attr-defined]
    ]
    return checked, found, others


def main() -> int:
    """Print what was found. Returns the exit code."""
    checked, found, others = look(audit())
    if not checked:
        print("skipped: no package was checked, because pip-audit gave no answer; it may not reach its database")
        return 0
    print("\n".join(found) or f"no known vulnerability in {len(checked)} packages")
    if others:
        print(f"not checked: {', '.join(others)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
