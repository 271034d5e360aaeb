"""Settings: what is bad is refused with its place and changes nothing; what is good is taken by
SIGHUP and by sekictl. And one server owns a directory at a time (CRASH-12)."""
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

from harness import Client, Gateway, ScriptSink, program, wait_until

BAD = {  # text: (line, words of the complaint)
    "hold: 5m\nshardz: 2\n": (2, "shardz"),
    "hold: 5m\nhold: 6m\n": (2, "hold"),
    "# x\n\nhold: five minutes\n": (3, "hold"),
    "hold: 8d\n": (1, "hold"),
    "message_size: 1KiB\n": (1, "message_size"),
    "notices: perhaps\n": (1, "notices"),
    "shards: [1, 2]\n": (1, "shards"),
    "hold: 5m\nroute: \"unclosed\n": (3, ""),  # where it ends
    "hold: 5m\n\tshards: 2\n": (2, ""),
    "just words\n": (1, ""),
    f"control_socket: /{'x' * 103}\n": (1, "longer than 103 bytes"),
}


class Files(unittest.TestCase):
    """Without a gateway."""

    def check(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            return f.name, {
                "sekimori": subprocess.run([program("sekimori"), "--config", f.name, "--check"],
                                           capture_output=True, text=True, timeout=20),
                "sekictl": subprocess.run([program("sekictl"), "config", "test", f.name],
                                          capture_output=True, text=True, timeout=20)}

    def test_bad_files_are_refused_with_line_numbers(self):
        for text, (line, word) in BAD.items():
            path, results = self.check(text)
            for tool, done in results.items():
                with self.subTest(text=text, tool=tool):
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(f"{path}:{line}:", done.stderr)
                    self.assertIn(word, done.stderr)

    def test_every_error_is_told(self):
        _, results = self.check("hold: x\nnotices: y\nshardz: 1\n")
        for tool, done in results.items():
            with self.subTest(tool=tool):
                for line in (1, 2, 3):
                    self.assertIn(f":{line}:", done.stderr)

    def test_a_good_file(self):
        _, results = self.check("hold: 10m\nrelay_listen: [127.0.0.1:2525]\n")
        for tool, done in results.items():
            self.assertEqual(done.returncode, 0, (tool, done.stderr))

    def test_the_longest_control_socket(self):
        _, results = self.check(f"control_socket: /{'x' * 102}\n")
        for tool, done in results.items():
            self.assertEqual(done.returncode, 0, (tool, done.stderr))
        done = subprocess.run([program("sekictl"), "--socket", "/" + "x" * 107, "status"],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 3)
        self.assertIn("too long for a socket: at most 107 bytes", done.stderr)

    def test_the_example_is_good(self):
        example = subprocess.run([program("sekimori"), "--example"], capture_output=True, text=True,
                                 timeout=20).stdout
        self.assertGreater(example.count("\n"), 50)
        _, results = self.check(example)
        for tool, done in results.items():
            self.assertEqual(done.returncode, 0, (tool, done.stderr))


class Reload(unittest.TestCase):
    def setUp(self):
        self.gate = self.enterContext(Gateway(route="127.0.0.1:1"))
        self.config = os.path.join(self.gate.dir, "sekimori.yaml")
        with open(self.config, encoding="utf-8") as f:
            self.text = f.read()

    def write(self, more):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(self.text + more)

    def size(self):
        with Client(self.gate.relay, ehlo="a.example") as c:
            return int(c.features["SIZE"])

    def test_by_sekictl(self):
        self.assertEqual(self.size(), 50 << 20)
        self.write("message_size: 1MiB\n")
        self.assertEqual(self.size(), 50 << 20)
        self.gate.ctl("config", "reload", json=False)
        wait_until(lambda: self.size() == 1 << 20, 5, "the new size")

    def test_by_sighup(self):
        self.write("message_size: 2MiB\n")
        os.kill(self.gate.pid, signal.SIGHUP)
        wait_until(lambda: self.size() == 2 << 20, 5, "the new size")

    def test_a_bad_file_changes_nothing(self):
        self.write("message_size: 1MiB\nhold: never\n")
        done = self.gate.run_ctl("config", "reload", json_output=False)
        self.assertEqual(done.returncode, 1)
        line = self.text.count("\n") + 2
        self.assertIn(f":{line}:", done.stderr)
        os.kill(self.gate.pid, signal.SIGHUP)
        time.sleep(0.5)
        self.assertEqual(self.size(), 50 << 20)
        self.assertTrue([r for r in self.gate.log() if r["level"] in ("error", "warning") and
                         f":{line}:" in json.dumps(r)], "no word of it in the log")
        self.assertTrue(self.gate.is_running())

    def test_a_file_that_is_gone(self):
        os.unlink(self.config)
        self.assertEqual(self.gate.run_ctl("config", "reload").returncode, 1)
        os.kill(self.gate.pid, signal.SIGHUP)
        time.sleep(0.3)
        self.assertEqual(self.size(), 50 << 20)

    def test_a_mail_in_flight_survives(self):
        with self.gate.client() as c:
            c.envelope("alice@int.example", "x@ext.example")
            c.expect("DATA", 354)
            self.write("message_size: 1MiB\n")
            self.gate.ctl("config", "reload", json=False)
            c.send(b"Subject: in flight\r\n\r\nx\r\n.\r\n")
            self.assertEqual(c.reply().code, 250)

    def test_config_show(self):
        rows = self.gate.ctl("config", "show")[0]
        self.assertIn("disk_reserve", json.dumps(rows))


class Owner(unittest.TestCase):
    def test_CRASH_12_a_second_server_on_the_directory(self):
        with ScriptSink() as sink, Gateway(route=sink.address) as gate:
            gate.send("x@ext.example", "mine")
            second = subprocess.run(
                [program("sekimori"), "--config", f"{gate.dir}/sekimori.yaml",
                 "--set", f"control_socket={gate.dir}/second.sock", "--set", "segment_bytes=8MiB",
                 "--set", "relay_listen=127.0.0.1:0", "--set", "submission_listen=127.0.0.1:0",
                 "--set", "submissions_listen=127.0.0.1:0", "--set", "log=stderr"],
                capture_output=True, text=True, timeout=30)
            self.assertNotEqual(second.returncode, 0)
            self.assertIn("data", second.stderr)
            mail = gate.mail_with("mine")
            gate.ctl("release", mail["id"])
            gate.wait_states(mail["id"], "delivered")
            self.assertEqual(len(sink.got()), 1)

    def test_no_gateway_is_exit_3(self):
        with Gateway(route="127.0.0.1:1") as gate:
            gate.stop()
            self.assertEqual(gate.run_ctl("list").returncode, 3)


if __name__ == "__main__":
    unittest.main()
