#!/usr/bin/env python3
"""Does the judge see what it must see? Each row is a made-up history and its verdicts."""
import os
import tempfile
import unittest

from judge import History, Violation, judge

TWO = ["a@x.example", "b@x.example"]
DOWN_AT_100 = [(100.0, 100.5)]


def history(load="", sink="", outages=(), listed=None, hold=None):
    h = History(lambda token: TWO if token.startswith("t") else None,
                None if hold is None else lambda recipient: hold)
    for text, read in ((load, h.read_load), (sink, h.read_sink)):
        with tempfile.TemporaryDirectory() as top:
            path = os.path.join(top, "ledger")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            read(path)
    h.outages += outages
    if listed is not None:
        h.queue([{"token": t, "accepted_at": f"1970-01-01T00:00:{at:06.3f}Z",
                  "recipients": [{"address": a, "state": s} for a, s in zip(TWO, states)]}
                 for t, at, states in listed], lambda row: row["token"])
    return h


def got(token, who="ab", at=50.0, sha="s", verdict="got"):
    return "".join(f"{verdict} {token} {w}@x.example {at} {sha} 10\n" for w in who)


ACKED, FAILED, UNKNOWN = "acked t1 49.0\n", "failed t1 451\n", "unknown t1\n"

# name: (load, sink, outages, verdicts)
ROWS = {
    "all well": (ACKED, got("t1"), [], []),
    "nothing happened": ("", "", [], []),
    "acked, no copy": (ACKED, "", [], ["lost"]),
    "acked, one of two copies": (ACKED, got("t1", "a"), [], ["lost"]),
    "acked, copy not answered": (ACKED, got("t1", verdict="unanswered"), [], ["lost"]),
    "acked, copy not answered, then taken":
        (ACKED, got("t1", verdict="unanswered") + got("t1", at=60.0), [], []),
    "a torn last line of a ledger": (ACKED + "acked t2 49.", got("t1"), [], []),
    "refused and not seen again": (FAILED, "", [], []),
    "refused, but delivered": (FAILED, got("t1"), [], ["unexpected"]),
    "connection died before the dot, but delivered":
        ("failed t1 000\n", got("t1"), [], ["unexpected"]),
    "never sent": ("", got("t1"), [], ["unexpected"]),
    "nobody's token": ("", got("x1"), [], ["unexpected"]),
    "without token": ("", got("-"), [], ["unexpected"]),
    "a recipient it never had": (ACKED, got("t1", "abc"), [], ["unexpected"]),
    "no answer, not delivered": (UNKNOWN, "", [], []),
    "no answer, delivered": (UNKNOWN, got("t1"), [], []),
    "no answer, delivered to one of two": (UNKNOWN, got("t1", "a"), [], ["partial"]),
    "twice without a crash": (ACKED, got("t1") + got("t1", at=51.0), [], ["doubled"]),
    "twice around a crash": (ACKED, got("t1", at=99.9) + got("t1", at=101.0), DOWN_AT_100, []),
    "twice, the sink read the first while all was down":
        (ACKED, got("t1", at=100.3) + got("t1", at=101.0), DOWN_AT_100, []),
    "twice before a crash":
        (ACKED, got("t1", at=99.8) + got("t1", at=99.9), DOWN_AT_100, ["doubled"]),
    "twice after a crash":
        (ACKED, got("t1", at=100.6) + got("t1", at=101.0), DOWN_AT_100, ["doubled"]),
    "first copy long before the crash":
        (ACKED, got("t1", at=80.0) + got("t1", at=101.0), DOWN_AT_100, ["doubled"]),
    "three times around one crash":
        (ACKED, got("t1", at=99.9) + got("t1", at=101.0) + got("t1", at=102.0), DOWN_AT_100,
         ["doubled"]),
    "three times around two crashes":
        (ACKED, got("t1", at=99.9) + got("t1", at=101.0) + got("t1", at=103.0),
         [(100.0, 100.5), (102.0, 102.5)], []),
    "two copies with two crashes between them":
        (ACKED, got("t1", at=99.9) + got("t1", at=103.0), [(100.0, 100.5), (102.0, 102.5)], []),
    "one recipient twice around a crash":
        (ACKED, got("t1", at=99.9) + got("t1", "a", at=101.0), DOWN_AT_100, []),
    "twice and different":
        (ACKED, got("t1", at=99.9) + got("t1", at=101.0, sha="z"), DOWN_AT_100, ["altered"]),
    "an unanswered copy that differs":
        (ACKED, got("t1", sha="z", verdict="unanswered") + got("t1", at=60.0), [], ["altered"]),
    "refused by the sink, then taken":
        (ACKED, got("t1", verdict="refused") + got("t1", at=60.0), [], []),
    "refused by the sink": (ACKED, got("t1", verdict="refused"), [], ["lost"]),
}


class Ledgers(unittest.TestCase):
    def verdicts(self, h):
        try:
            judge(h)
        except Violation as v:
            return sorted(v.kinds)
        return []

    def test_rows(self):
        for name, (load, sink, outages, want) in ROWS.items():
            with self.subTest(name):
                self.assertEqual(self.verdicts(history(load, sink, outages)), want)

    def test_discards(self):
        a = ("t1", TWO[0])
        for name, done, sink, states, want in (
                ("confirmed, not seen", True, got("t1", "b"), ["discarded", "delivered"], []),
                ("confirmed, seen", True, got("t1"), ["discarded", "delivered"],
                 ["forbidden", "mistold"]),
                ("confirmed, seen in part", True,
                 got("t1", "b") + got("t1", "a", verdict="unanswered"), ["discarded", "delivered"],
                 ["forbidden", "mistold"]),
                ("confirmed, forgotten", True, got("t1", "b"), ["waiting", "delivered"],
                 ["mistold"]),
                ("answer lost, done", False, got("t1", "b"), ["discarded", "delivered"], []),
                ("answer lost, not done", False, got("t1"), ["delivered", "delivered"], []),
                ("answer lost, gone", False, got("t1", "b"), ["retry", "delivered"], ["lost"])):
            with self.subTest(name):
                h = history(ACKED, sink, [], [("t1", 40.0, states)])
                h.discard_asked.add(a)
                if done:
                    h.discard_done.add(a)
                self.assertEqual(self.verdicts(h), want)

    def test_states(self):
        for states, sink, want in (
                (["delivered", "delivered"], got("t1"), []),
                (["delivered", "delivered"], got("t1", "a"), ["lost", "mistold"]),
                (["delivered", "bounced"], got("t1", "a"), []),
                (["delivered", "retry"], got("t1", "a"), ["lost"]),
                (["delivered", "discarded"], got("t1", "a"), ["lost", "mistold"]),
                (["delivered", "discarded"], got("t1"), ["mistold"])):
            with self.subTest(f"{states} {sink}"):
                h = history(ACKED, sink, [], [("t1", 40.0, states)])
                self.assertEqual(self.verdicts(h), want)
        self.assertEqual(self.verdicts(history(ACKED, got("t1"), [], [])), ["mistold"])
        with self.assertRaises(Violation):
            history(ACKED, got("t1"), [], [("t1", 40.0, ["delivered"] * 2)] * 2)

    def test_holds(self):
        for at, asked, want in ((50.0, False, []), (49.9, False, ["early"]), (49.9, True, [])):
            with self.subTest(f"{at} {asked}"):
                h = history(ACKED, got("t1", at=at), [], [("t1", 40.0, ["delivered"] * 2)],
                            hold=10.0)
                if asked:
                    h.release_asked |= {("t1", r) for r in TWO}
                self.assertEqual(self.verdicts(h), want)

    def test_set_aside(self):
        h = history(ACKED, "", [], [("t1", 40.0, ["retry"] * 2)])
        h.set_aside.add("t1")
        self.assertEqual(self.verdicts(h), [])


if __name__ == "__main__":
    unittest.main()
