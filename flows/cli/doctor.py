"""`mgi doctor`: is this installation all right?"""

from __future__ import annotations

from flows.cli.common import Answer, complain, guarded, out

MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}


@guarded
def doctor() -> Answer:
    """Check versions, device, weights, disk and Prefect. Exit code 1 if something that is needed is broken."""
    from flows.doctor import examine

    checks = examine()
    for check in checks:
        out.print(f"{MARKS[check.level]}  {check.subject:<13} {check.found}", markup=False)
        if check.advice:
            out.print(f"      {'':<13} -> {check.advice}", markup=False)
    bad = [check.subject for check in checks if check.level == "bad"]
    if bad:
        complain(f"mgi: broken: {', '.join(bad)}")
    return Answer({"checks": checks, "bad": len(bad)}, 1 if bad else 0)
