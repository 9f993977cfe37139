"""One line a check, on standard output: "ok   SET: STATEMENT" or "FAIL SET: STATEMENT: what was found"."""


class Report:
    """Counts and prints checks. A check that raises counts as failed."""

    def __init__(self, name):
        self.name, self.passed, self.failed = name, 0, 0

    def check(self, statement, problems=()):
        """Prints one check: problems is a list of texts, empty if the statement holds."""
        problems = list(problems)
        if problems:
            self.failed += 1
            more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
            print(f"FAIL {self.name}: {statement}: " + "; ".join(str(p)[:400] for p in problems[:3]) + more, flush=True)
        else:
            self.passed += 1
            print(f"ok   {self.name}: {statement}", flush=True)

    def run(self, statement, check, *args):
        """Runs a function that returns problems, or (statement, problems)."""
        try:
            problems = check(*args)
        except Exception as e:  # whatever a reader throws at a bad file is a failed check
            problems = [f"{type(e).__name__}: {e}"]
        if isinstance(problems, tuple):
            statement, problems = problems
        self.check(statement, problems)


def differences(got, want, what="rows"):
    """Problems where two Counters or dicts differ."""
    if got == want:
        return []
    problems = []
    for k in want.keys() | got.keys():
        if got.get(k) != want.get(k):
            problems.append(f"{what} {k!r}: in the lake {got.get(k)!r}, expected {want.get(k)!r}")
            if len(problems) > 20:
                break
    return problems
