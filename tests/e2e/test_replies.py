"""SMUG-22: a next hop whose replies are no SMTP is never believed: the mail waits for a retry."""
import contextlib
import unittest

from harness import Dns, Gateway, ScriptSink, demo_policy, wait_until

LONG = b"x" * (1 << 20)

# What the hop does, at which stage: each once; after that it is honest.
HOSTILE = {
    "everything in advance": {"mail": b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"},
    "two greetings": {"banner": b"220 a\r\n220 b\r\n"},
    "greeting and EHLO's reply": {"banner": b"220 a\r\n250 b\r\n"},
    "two replies to EHLO": {"ehlo": b"250 a\r\n250 b\r\n"},
    "two replies to MAIL": {"mail": b"250 a\r\n250 b\r\n"},
    "two replies to RCPT": {"rcpt": b"250 a\r\n250 b\r\n"},
    "RCPT and early 354": {"rcpt": b"250 ok\r\n354 go\r\n"},
    "250 with the 354": {"data": b"354 go\r\n250 taken\r\n"},
    "250 for the 354": {"data": b"250 taken\r\n"},
    "two replies to the dot": {"dot": b"250 a\r\n250 b\r\n"},
    "354 after the dot": {"dot": b"354 more\r\n"},
    "codes differ, greeting": {"banner": b"220-a\r\n250 b\r\n"},
    "codes differ, RCPT": {"rcpt": b"250-a\r\n550 b\r\n"},
    "codes differ, dot": {"dot": b"250-a\r\n450 b\r\n"},
    "codes differ the other way": {"dot": b"450-a\r\n250 b\r\n"},
    "a line of 1 MiB": {"dot": b"250 " + LONG + b"\r\n"},
    "a line of 1 MiB, EHLO": {"ehlo": b"250 " + LONG + b"\r\n"},
    "a reply of 1 MiB in lines": {"dot": b"250-x\r\n" * 150000 + b"250 x\r\n"},
    "NUL in a reply": {"dot": b"250 o\0k\r\n"},
    "NUL for a reply": {"dot": b"\0\r\n"},
    "bare LF": {"dot": b"250 ok\n"},
    "bare LF between two": {"dot": b"250 ok\n250 ok\r\n"},
    "bare LF, MAIL": {"mail": b"250 ok\n"},
    "bare CR": {"dot": b"250 o\rk\r\n"},
    "no code": {"dot": b"ok\r\n"},
    "two digits": {"dot": b"25 ok\r\n"},
    "four digits": {"dot": b"2500 ok\r\n"},
    "letters": {"dot": b"25O ok\r\n"},
    "a code of 1": {"dot": b"150 ok\r\n"},
    "a code of 6": {"dot": b"650 ok\r\n"},
    "HTTP": {"banner": b"HTTP/1.1 400 Bad Request\r\n\r\n"},
    "TLS": {"banner": b"\x15\x03\x01\x00\x02\x02\x46"},
}


class Replies(unittest.TestCase):
    """Each hop is a domain of its own, so that all may misbehave at once."""

    def run_cases(self, features):
        settings = {"reply_timeout": "2s", "data_timeout": "2s", "dot_timeout": "2s"}
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(ScriptSink(listen=("127.0.1.1", 0)))
            hops, zones = {}, {}
            for n, name in enumerate(HOSTILE, 2):
                hops[f"hop{n}.example"] = name, stack.enter_context(ScriptSink(
                    {stage: [action, None] for stage, action in HOSTILE[name].items()},
                    listen=(f"127.0.1.{n}", first.port), features=features))
                zones[f"hop{n}.example"] = {"A": [f"127.0.1.{n}"]}
            dns = stack.enter_context(Dns(zones))
            gate = stack.enter_context(Gateway(
                resolver=dns.address, policy=demo_policy("0s"),
                settings={**settings, "outbound_port": first.port}))
            self.judge(gate, hops)

    def judge(self, gate, hops):
        for domain in hops:
            gate.send(f"x@{domain}", subject=domain)
        row = lambda: {m["subject"]: m["recipients"][0]["state"] for m in gate.list("--all")}
        wait_until(lambda: set(row().values()) <= {"retry", "bounced", "delivered"}, 20,
                   "an outcome for all")
        for domain, state in row().items():
            with self.subTest(hop=hops[domain][0], features=hops[domain][1].features):
                self.assertEqual(state, "retry")

        def delivered():
            gate.ctl("flush")
            return set(row().values()) == {"delivered"}
        wait_until(delivered, 20, "delivery once the hops are honest", every=0.4)
        for name, hop in hops.values():
            with self.subTest(hop=name, features=hop.features):
                # an answer to the dot that was no answer may have been a 250: those come again
                self.assertIn(len(hop.got()), (1, 2) if "dot" in HOSTILE[name] else (1,))

    def test_SMUG_22_with_pipelining(self):
        self.run_cases(("PIPELINING", "8BITMIME"))

    def test_SMUG_22_without_pipelining(self):
        self.run_cases(())


if __name__ == "__main__":
    unittest.main()
