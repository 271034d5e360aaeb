"""Real mail servers for test_peers: Postfix, smtp-sink and OpenSMTPD, each from a directory of its
own, none of them touching what is installed or configured on the machine."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import wait_until

POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
maillog_file_prefixes = {dir}
maillog_file = {dir}/log
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = next.example
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
relayhost = {relayhost}
smtp_tls_security_level = {tls}
smtp_tls_CAfile = {ca}
smtpd_tls_security_level = may
smtpd_tls_chain_files = {chain}
smtpd_forbid_bare_newline = yes
message_size_limit = 60000000
virtual_mailbox_limit = 0
smtputf8_enable = yes
smtp_sasl_auth_enable = {sasl}
smtp_sasl_password_maps = static:{login}
smtp_sasl_security_options = noanonymous
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process=None):
    def there():
        if process and process.poll() is not None:
            raise unittest.SkipTest(f"{process.args[0]} ended with status {process.returncode}")
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    wait_until(there, 10, f"a server at port {port}")


class Server:
    """with Postfix(...) as p: p.address, p.mails()"""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="peer.")
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def mails(self):
        found = []
        for path in sorted(glob.glob(f"{self.dir}/mail/**/*", recursive=True)):
            if os.path.isfile(path) and "/tmp/" not in path[len(self.dir):]:
                with open(path, "rb") as f:
                    found.append(f.read())
        return found

    def maildir(self):
        os.mkdir(f"{self.dir}/mail")
        os.chown(f"{self.dir}/mail", 65534, 65534)


class Postfix(Server):
    """`login`, "user:password": to the relayhost with AUTH."""

    def __init__(self, relayhost="", ca="", chain="", login="", tls="encrypt"):
        if not shutil.which("postfix") or os.getuid() != 0:
            raise unittest.SkipTest("needs Postfix, and root to start it")
        self.words = {"relayhost": relayhost, "ca": ca, "chain": chain, "tls": tls,
                      "login": login, "sasl": "yes" if login else "no"}

    def start(self):
        self.maildir()
        for name in ("spool", "data"):
            os.mkdir(f"{self.dir}/{name}")
        os.chown(f"{self.dir}/data", pwd.getpwnam("postfix").pw_uid, -1)
        with open(f"{self.dir}/main.cf", "w", encoding="utf-8") as f:
            f.write(POSTFIX_MAIN.format(dir=self.dir, **self.words))
        with open(f"{self.dir}/master.cf", "w", encoding="utf-8") as f:
            f.write(POSTFIX_MASTER.format(port=self.port))
        self.run("start")
        wait_for_port(self.port)

    def run(self, verb):
        done = subprocess.run(["postfix", "-c", self.dir, verb], capture_output=True, text=True)
        if done.returncode and verb == "start":
            raise AssertionError(f"postfix {verb}: {done.stderr}{self.log()}")

    def log(self):
        try:
            with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        if os.path.exists(f"{self.dir}/main.cf"):
            self.run("abort")
            time.sleep(0.1)


class SmtpSink(Server):
    """Postfix's smtp-sink; a file per mail."""

    def start(self):
        program = shutil.which("smtp-sink")
        if not program:
            raise unittest.SkipTest("needs smtp-sink of Postfix")
        self.maildir()
        self.process = subprocess.Popen([program, "-u", "nobody", "-d", f"{self.dir}/mail/%M.",
                                         self.address, "10"], cwd=f"{self.dir}/mail")
        wait_for_port(self.port, self.process)

    def stop(self):
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()


OPENSMTPD_START = """\
set -e
cp /etc/passwd $1/passwd; cp /etc/group $1/group
grep -q ^opensmtpd: $1/passwd || cat >>$1/passwd <<END
opensmtpd:x:64901:64901::/var/lib/opensmtpd/empty:/usr/sbin/nologin
opensmtpq:x:64902:64902::/nonexistent:/usr/sbin/nologin
END
grep -q ^opensmtpd: $1/group || printf 'opensmtpd:x:64901:\\nopensmtpq:x:64902:\\n' >>$1/group
mount --bind $1/passwd /etc/passwd
mount --bind $1/group /etc/group
for at in /var/spool /var/lib /run; do mount -t tmpfs none $at; done
mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty
chmod 711 /var/spool/smtpd /var/lib/opensmtpd/empty
mount --bind $1/root/usr/libexec /usr/libexec
exec $1/root/usr/sbin/smtpd -d -f $1/smtpd.conf
"""

OPENSMTPD_CONF = """\
table v {{ "@" = "nobody" }}
listen on 127.0.0.1 port {port}
action "keep" maildir "{dir}/mail" virtual <v>
match from any for any action "keep"
"""


def unpack(package, to):
    """Debian's package, into a folder, not installed."""
    if os.getuid() != 0:
        raise unittest.SkipTest(f"{package} needs root")
    cache = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"sekimori-e2e-{package}")
    os.makedirs(cache, exist_ok=True)
    if not glob.glob(f"{cache}/*.deb"):
        subprocess.run(["apt-get", "download", "-q", package], cwd=cache, capture_output=True)
    packages = glob.glob(f"{cache}/*.deb")
    if not packages:
        raise unittest.SkipTest(f"apt-get download {package} gave nothing")
    subprocess.run(["dpkg", "-x", packages[0], to], check=True)


class OpenSmtpd(Server):
    """Debian's package, unpacked only: it conflicts with Postfix. It runs in a mount namespace with
    its two users and its spool, which end with it. Without TLS: in Debian 12's the handshake fails
    with any client."""

    def start(self):
        self.maildir()
        unpack("opensmtpd", f"{self.dir}/root")
        with open(f"{self.dir}/smtpd.conf", "w", encoding="utf-8") as f:
            f.write(OPENSMTPD_CONF.format(dir=self.dir, port=self.port))
        with open(f"{self.dir}/log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", OPENSMTPD_START, "sh",
                                             self.dir], stdout=log, stderr=log,
                                            start_new_session=True)
        wait_for_port(self.port, self.process)

    def stop(self):
        if hasattr(self, "process"):
            try:
                os.killpg(self.process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            self.process.wait()


EXIM_START = """\
set -e
cp /etc/passwd $1/passwd; cp /etc/group $1/group
grep -q ^Debian-exim: $1/passwd || echo Debian-exim:x:64911:64911::/:/bin/false >>$1/passwd
grep -q ^Debian-exim: $1/group || echo Debian-exim:x:64911: >>$1/group
mount --bind $1/passwd /etc/passwd
mount --bind $1/group /etc/group
chown Debian-exim: $1/spool $1/log
dir=$1; shift
exec $dir/root/usr/sbin/exim4 -C $dir/exim.conf -odf -oi "$@"
"""

EXIM_CONF = """\
primary_hostname = exim.example
spool_directory = {dir}/spool
log_file_path = {dir}/log/%s.log
keep_environment =
disable_ipv6
never_users =
process_log_path = {dir}/log/process
exim_path = {dir}/root/usr/sbin/exim4
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {port}
  allow_localhost
  hosts_try_chunking = *
  hosts_require_tls = *
  tls_verify_certificates = {dir}/ca.pem
"""


class Exim:
    """Debian's package as OpenSmtpd's: a client that sends BDAT. It delivers while send() waits."""

    def __init__(self, to, ca):
        self.port, self.ca = to.rpartition(":")[2], ca

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="peer.")
        os.chmod(self.dir, 0o755)
        try:
            unpack("exim4-daemon-light", f"{self.dir}/root")
        except BaseException:
            self.__exit__()
            raise
        for name in ("spool", "log"):
            os.mkdir(f"{self.dir}/{name}")
        shutil.copy(self.ca, f"{self.dir}/ca.pem")
        os.chmod(f"{self.dir}/ca.pem", 0o644)
        with open(f"{self.dir}/exim.conf", "w", encoding="utf-8") as f:
            f.write(EXIM_CONF.format(dir=self.dir, port=self.port))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)

    def send(self, sender, recipients, content):
        done = subprocess.run(["unshare", "-m", "sh", "-c", EXIM_START, "sh", self.dir,
                               "-f", sender, *recipients], input=content.replace(b"\r\n", b"\n"),
                              capture_output=True, timeout=60)
        if done.returncode:
            raise AssertionError(f"exim: {done.stderr.decode()}{self.log()}")

    def log(self):
        try:
            with open(f"{self.dir}/log/main.log", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""
