"""`mgi doctor`: is this installation all right?"""

from __future__ import annotations

from flows.cli.common import guarded, out

MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}


@guarded
def doctor() -> int:
    """Check versions, device, weights, disk and Prefect. Exit code 1 if something that is needed is broken."""
    from flows.doctor import examine

    checks = examine()
    for check in checks:
        out.print(f"{MARKS[check.level]}  {check.subject:<13} {check.found}", markup=False)
        if check.advice:
            out.print(f"      {'':<13} -> {check.advice}", markup=False)
    return 1 if any(check.level == "bad" for check in checks) else 0
