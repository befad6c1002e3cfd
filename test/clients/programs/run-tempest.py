"""Runs tests of tempest and prints one JSON line for each event; all else goes to the standard error stream.

Arguments: names of modules. The environment names the configuration (TEMPEST_CONFIG_DIR, TEMPEST_CONFIG). A JSON list on
the standard input names what is left out: ids of tests, classes or modules.
Events: {"event": "tests", "ids": [...], "excluded": [...]}, then {"event": "passed"|"failed"|"skipped", "id": ..., "detail": ...}. An id may
be that of a class ("setUpClass (module.Class)") when a class as a whole failed or was skipped.
"""
import json
import re
import sys
import unittest

EVENTS = sys.stdout
# Whatever a test prints must not get between the events.
sys.stdout = sys.stderr


def tell(event, **fields):
    EVENTS.write(json.dumps({"event": event, **fields}) + "\n")
    EVENTS.flush()


def plain_id(test):
    """Without the attributes that tempest puts behind a name: `module.Class.name[id-...,smoke]`."""
    return re.sub(r"\[.*\]$", "", test.id())


def tests_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_of(item)
        else:
            yield item


class EventResult(unittest.TestResult):
    def addSuccess(self, test):
        super().addSuccess(test)
        tell("passed", id=plain_id(test), detail="")

    # testtools calls these with `details`, unittest with an error triple.
    def addError(self, test, err=None, details=None):
        tell("failed", id=plain_id(test), detail=self.describe(test, err, details))

    addFailure = addError

    def addSkip(self, test, reason=None, details=None):
        if reason is None and details is not None and "reason" in details:
            reason = details["reason"].as_text()
        tell("skipped", id=plain_id(test), detail=reason or "")

    def addExpectedFailure(self, test, err=None, details=None):
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test, details=None):
        tell("failed", id=plain_id(test), detail="succeeded, which was not expected")

    def describe(self, test, err, details):
        if err is not None:
            return self._exc_info_to_string(err, test)
        texts = [content.as_text() for name, content in (details or {}).items() if "traceback" in name]
        return "\n".join(texts)


def main(modules):
    prefixes = json.load(sys.stdin)
    chosen, excluded = [], []
    for test in tests_of(unittest.defaultTestLoader.loadTestsFromNames(modules)):
        name = plain_id(test)
        is_excluded = any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)
        (excluded if is_excluded else chosen).append(test)
    tell("tests", ids=[plain_id(test) for test in chosen], excluded=[plain_id(test) for test in excluded])
    unittest.TestSuite(chosen).run(EventResult())


main(sys.argv[1:])
