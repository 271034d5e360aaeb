"""SMUG-22: a next hop whose replies are no SMTP is never believed: the mail waits for a retry."""
import unittest

from harness import Gateway, ScriptSink, wait_until

RECIPIENT = "bob@int.example"
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
    def run_cases(self, features):
        settings = {"outbound_mails": 1, "reply_timeout": "2s", "data_timeout": "2s",
                    "dot_timeout": "2s"}
        with ScriptSink(features=features) as sink, \
                Gateway(route=sink.address, settings=settings) as gate:
            for name, script in HOSTILE.items():
                with self.subTest(hop=name):
                    self.one(sink, gate, name, script)

    def one(self, sink, gate, name, script):
        sink.times.clear()
        sink.script = {stage: [action, None] for stage, action in script.items()}
        gate.send(RECIPIENT, subject=name)
        mail = gate.mail_with(name)["id"]
        gate.wait_states(mail, "retry")
        row = gate.show(mail)["recipients"][0]
        self.assertGreaterEqual(row["attempts"], 0)
        sink.script = {}
        before = len(sink.got())

        def delivered():
            gate.ctl("flush")
            return gate.states(mail)[RECIPIENT] == "delivered"
        wait_until(delivered, 10, "delivery by an honest hop", every=0.3)
        self.assertEqual(len(sink.got()), before + 1)

    def test_SMUG_22_with_pipelining(self):
        self.run_cases(("PIPELINING", "8BITMIME"))

    def test_SMUG_22_without_pipelining(self):
        self.run_cases(())


if __name__ == "__main__":
    unittest.main()
