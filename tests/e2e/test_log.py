"""A log that nobody reads stops no mail: stderr is a pipe, or a socket as journald's, with a reader
that does not read."""
import os
import re
import signal
import socket
import subprocess
import time
import unittest

from harness import Gateway, load, program, wait_until

MAILS = 2000


class Stuck(unittest.TestCase):
    def run_with(self, reader, writer):
        """`reader` is looked at only at the end."""
        with Gateway(route="127.0.0.1:1", shards=1) as gate:
            gate.stop()
            command = [program("sekimori"), "--config", os.path.join(gate.dir, "sekimori.yaml")]
            for key, value in {**gate.settings, "route": "127.0.0.1:1", "log": "stderr",
                               "log_level": "debug"}.items():
                command += ["--set", f"{key}={value}"]
            daemon = subprocess.Popen(command, stderr=writer, stdout=subprocess.DEVNULL)
            os.close(writer)
            try:
                wait_until(lambda: self.answers(gate, daemon), 30, "the first answer", every=0.2)
                ran = load("--to", gate.relay, "--connections", 8, "--messages", MAILS, "--size",
                           "1k", "--from", "alice@int.example", "--rcpt", "u%d@ext.example")
                self.assertEqual((ran["acked"], ran["unsent"]), (MAILS, 0))
                counters = gate.ctl("status")[0][0]["counters"]
                self.assertGreater(counters["log_lost"], MAILS // 4)
                os.set_blocking(reader, False)
                text = b""

                def said():
                    nonlocal text
                    try:
                        text += os.read(reader, 1 << 20)
                    except BlockingIOError:
                        pass
                    return re.search(rb" dropped=[1-9]\d*\n", text)
                wait_until(said, 10, "how many lines were lost")
                daemon.send_signal(signal.SIGTERM)
                end = time.monotonic() + 20
                while daemon.poll() is None and time.monotonic() < end:
                    said()
                    time.sleep(0.05)
                self.assertEqual(daemon.returncode, 0, "a clean stop")
            finally:
                if daemon.poll() is None:
                    daemon.kill()
                daemon.wait()
                os.close(reader)

    @staticmethod
    def answers(gate, daemon):
        if daemon.poll() is not None:
            raise AssertionError(f"the daemon ended with {daemon.returncode}")
        try:
            return gate.run_ctl("status").returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def test_a_pipe(self):
        self.run_with(*os.pipe())

    def test_a_socket(self):
        ours, its = socket.socketpair()
        self.run_with(ours.detach(), its.detach())


if __name__ == "__main__":
    unittest.main()
