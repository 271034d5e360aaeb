#!/usr/bin/env python3
"""OUT-10 in real minutes: a hop that answers the final dot after 9.9 minutes, and one after 10.1.

    tests/e2e/late_dot.py --build build [--dot-timeout 10m --early 594 --late 606]

The first must end delivered, after one transaction. The second may have taken the mail: it is tried
again, its recipient can't be discarded any more, and nothing is lost. A line of JSON at the end.
"""
import argparse
import json
import os
import sys
import time
import unittest

from harness import wait_until
from test_out import Case

GRACE = 60


class LateDot(Case):
    settings = {}
    early = late = 0

    def test_the_dot(self):
        began = time.monotonic()
        sinks = {"early": self.mx("early.example", {"dot": self.early}),
                 "late": self.mx("late.example", {"dot": self.late})}
        mails = {name: self.send(f"x@{name}.example") for name in sinks}
        wait_until(lambda: all(s.received for s in sinks.values()), 30, "the content")
        self.ends(mails["early"], "delivered", self.early + GRACE)
        took = time.monotonic() - began
        self.ends(mails["late"], "retry", self.late - self.early + GRACE)
        self.assertEqual(self.gate.run_ctl("discard", mails["late"]).returncode, 1)
        self.assertEqual([len(s.received) for s in sinks.values()], [1, 1])
        print(json.dumps({"delivered_after_s": round(took, 1), "retry_after_s":
                          round(time.monotonic() - began, 1), "contents": [1, 1]}), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("SEKIMORI_BUILD", "build"))
    p.add_argument("--dot-timeout", help="default: the gateway's own")
    p.add_argument("--early", type=float, default=594)
    p.add_argument("--late", type=float, default=606)
    a = p.parse_args()
    os.environ["SEKIMORI_BUILD"] = os.path.abspath(a.build)
    LateDot.settings = {"dot_timeout": a.dot_timeout} if a.dot_timeout else {}
    LateDot.early, LateDot.late = a.early, a.late
    result = unittest.TextTestRunner(verbosity=0).run(
        unittest.defaultTestLoader.loadTestsFromTestCase(LateDot))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
