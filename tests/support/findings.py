"""Findings for tests: what matters to the test, and the rest as it usually is."""

from typing import Any

from tuning_operator.api.findings import Code, Evidence, Finding, Severity


def finding(code: Code, verdict: str, severity: Severity = Severity.BLOCK, **fields: Any) -> Finding:
    """Return a finding; `numbers` go into its evidence, other fields are the finding's own."""
    evidence = Evidence(numbers=fields.pop("numbers", {}))
    return Finding(
        code=code,
        verdict=verdict,
        severity=severity,
        **({"rule": "K01", "message": f"{code} says {verdict}.", "evidence": evidence} | fields),
    )
