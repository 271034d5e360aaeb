"""Crashes at the moments that matter most, each made certain: the daemon is stopped (SIGSTOP) where
it stands, then killed. The random ones are tests/crash."""
import os
import signal
import time
import unittest

from harness import Client, Gateway, ScriptSink, demo_policy, simple_mail, wait_until

SENDER = "alice@int.example"
FLIGHT = 50
SOON = {"retry_first": "1s", "retry_longest": "2s", "outbound_connections": str(FLIGHT),
        "outbound_connections_first": str(FLIGHT)}


def is_stopped(pid):
    """Each thread stops by itself, some time after the signal; until then it reads replies."""
    states = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8", errors="replace") as f:
            states.add(f.read().rpartition(")")[2].split()[0])
    return states == {"T"}


class Crash(unittest.TestCase):
    def gate(self, sink):
        return self.enterContext(Gateway(route=sink.address, settings=SOON,
                                         policy=demo_policy("0s", "")))

    def test_CRASH_09_between_the_hops_250_and_our_note_of_it(self):
        """One more copy, the same to the byte, to that recipient and to nobody else."""

        def stop_then_answer(_session, _line):
            os.kill(gate.pid, signal.SIGSTOP)
            wait_until(lambda: is_stopped(gate.pid), 10, "a stop of every thread")
            return None
        sink = self.enterContext(ScriptSink({"dot": [None, stop_then_answer, None]}))
        gate = self.gate(sink)
        first = gate.send(["done@ext.example"], "before")
        wait_until(lambda: [m for m in gate.list("--all") if m["state"] == "delivered"], 10,
                   f"delivery of {first}")
        gate.send(["window@ext.example"], "window")
        wait_until(lambda: len(sink.got()) == 2, 10, "the first copy")
        time.sleep(0.1)  # the 250 lies in the daemon's socket, unread
        gate.restart(kill=True)
        wait_until(lambda: len(sink.got()) == 3, 20, "the second copy")
        row = gate.mail_with("window")
        gate.wait_states(row["id"], "delivered")
        time.sleep(3)  # two more retry intervals
        copies = [m for m in sink.got() if m.recipients == ["window@ext.example"]]
        self.assertEqual(len(copies), 2)
        self.assertEqual(copies[0].content, copies[1].content)
        self.assertIn(b"Message-ID:", copies[0].content)
        self.assertEqual(len([m for m in sink.got() if m.recipients == ["done@ext.example"]]), 1)

    def test_CRASH_08_killed_with_50_mails_in_flight_both_ways(self):
        """What was answered 250 arrives; what was not is nobody's; a copy too many only where the
        hop had the whole mail and its answer was not noted."""
        sink = self.enterContext(ScriptSink({"dot": [30.0] * FLIGHT + [None]}))
        gate = self.gate(sink)
        for n in range(FLIGHT):
            gate.send([f"out{n}@ext.example"], f"out{n}")
        wait_until(lambda: len(sink.received) == FLIGHT, 20, f"{FLIGHT} mails at the hop")
        coming = []
        for n in range(FLIGHT):
            c = self.enterContext(Client(gate.relay, ehlo="src.example"))
            for line, code in ((f"MAIL FROM:<{SENDER}>", 250),
                               (f"RCPT TO:<in{n}@ext.example>", 250), ("DATA", 354)):
                self.assertEqual(c.command(line).code, code)
            c.send(simple_mail(SENDER, [f"in{n}@ext.example"], f"in{n}"))  # no dot
            coming.append(c)
        gate.restart(kill=True)
        arrived = lambda: {r for m in sink.got() for r in m.recipients}
        everybody = {f"out{n}@ext.example" for n in range(FLIGHT)}
        wait_until(lambda: arrived() == everybody, 60, "every mail that was answered 250")
        wait_until(lambda: not gate.list(), 20, "an empty queue")
        for n in range(FLIGHT):
            copies = [m for m in sink.received if m.recipients == [f"out{n}@ext.example"]]
            self.assertEqual(len(copies), 2, f"copies of out{n}")
            self.assertEqual(copies[0].content, copies[1].content)


if __name__ == "__main__":
    unittest.main()
