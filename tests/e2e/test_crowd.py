"""The short form of tests/e2e/crowd.py: DOS-01, DOS-02 and STATE-04 with hundreds of connections
and thousands of commands. Figures are printed; what is asserted holds on any machine."""
import unittest

import crowd
from harness import sanitized


class Crowds(unittest.TestCase):
    def arguments(self):
        return crowd.arguments(["--idle", "300", "--active", "50", "--slow", "300",
                                "--mails", "500", "--commands", "20000"])

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


if __name__ == "__main__":
    unittest.main()
