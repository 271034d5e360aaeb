"""The short form of tests/e2e/crowd.py: DOS-01, DOS-02, DOS-05, BOMB-06 and STATE-04 with hundreds
of connections and thousands of commands and mails. Figures are printed; what is asserted holds on
any machine."""
import unittest

import crowd
from harness import sanitized


class Crowds(unittest.TestCase):
    def arguments(self):
        return crowd.arguments(["--idle", "300", "--active", "50", "--slow", "300",
                                "--mails", "500", "--commands", "20000", "--large", "40",
                                "--large-size", "5", "--held", "20000"])

    def test_DOS_02_idle_and_active_at_once(self):
        got = crowd.idle(self.arguments())
        print(got)
        self.assertEqual((got["idle_answering_after"], got["mails"], got["unsent"]), (300, 500, 0))

    def test_DOS_01_slow_ones_and_a_normal_one(self):
        got = crowd.slow(self.arguments())
        print(got)
        self.assertEqual(got["still_connected"], 300)
        self.assertGreaterEqual(got["rounds"], 1)

    def test_STATE_04_commands_of_one_kind(self):
        got = crowd.commands(self.arguments())
        print(got)
        for name in crowd.KINDS:
            with self.subTest(kind=name):
                self.assertGreater(got[name]["replies"], 1000)
                if not sanitized():
                    self.assertLess(got[name]["growth_KiB"], 4096)

    def test_BOMB_06_large_mails_at_once(self):
        """40 x 5 MiB: 200 MiB in flight cost less than half of it, since bodies go to the disk as
        they come; and where memory is for two, the others are told 452, and none is lost."""
        got = crowd.large(self.arguments())
        print(got)
        for name in ("enough", "short"):
            with self.subTest(memory=name):
                ran = got[name]
                self.assertEqual(ran["in_queue"], ran["acked"])
                self.assertEqual(ran["acked"] + ran["refused"], 40)
                self.assertEqual(ran["after"], 250)
                if not sanitized():
                    self.assertLess(ran["growth_MiB"], 90 if name == "enough" else 60)
        self.assertEqual(got["enough"]["refused"], 0)
        self.assertGreater(got["short"]["refused"], 0)
        self.assertGreater(got["short"]["acked"], 0)
        self.assertGreater(got["short"]["shed"], 0)

    def test_DOS_05_a_restart_with_held_mails(self):
        """20,000 mails that are due in two hours: kill -9, start, and the first 250. They cost a
        start hardly memory, since nobody reads the queue to its end."""
        got = crowd.held(self.arguments())
        print(got)
        self.assertEqual((got["in_queue"], got["code"]), (got["acked"], 250))
        self.assertEqual(got["acked"], 20000)
        if not sanitized():
            self.assertLess(got["seconds_to_250"], got["seconds_when_empty"] + 10)
            self.assertLess(got["bytes_each"], 1500)


if __name__ == "__main__":
    unittest.main()
