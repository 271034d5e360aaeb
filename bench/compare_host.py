"""What compare measures about the machine: its conditions, its disk, and who used its cores."""
import mmap
import os
import platform
import re
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf("SC_CLK_TCK")
BLOCK = 4096


def read(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return default


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip()


# --- CPU --------------------------------------------------------------------------------------


class Accounting:
    """CPU seconds of a server with all the processes it ever starts.

    A cgroup (v2, only its counter is used) sees everything, also what was born and died meanwhile.
    Where none can be made, /proc: each live process below the root, with its reaped children.
    """

    def __init__(self, name):
        self.root = None
        self.path = None
        mount = re.search(r"^\S+ (\S+) cgroup2 ", read("/proc/mounts"), re.M)
        path = mount and os.path.join(mount.group(1), f"sekimori-compare-{os.getpid()}-{name}")
        try:
            os.mkdir(path)
            if read(os.path.join(path, "cpu.stat")):
                self.path = path
            else:
                os.rmdir(path)
        except (OSError, TypeError):
            pass
        self.method = "cgroup" if self.path else "proc"

    def wrap(self, command):
        if not self.path:
            return command
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', os.path.join(self.path, "cgroup.procs"),
                *command]

    def seconds(self):
        """(user, system) so far."""
        if self.path:
            stat = dict(line.split() for line in
                        read(os.path.join(self.path, "cpu.stat")).splitlines())
            return int(stat["user_usec"]) / 1e6, int(stat["system_usec"]) / 1e6
        user = system = 0
        for pid in self.processes():
            fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            if len(fields) > 14:
                user += int(fields[11]) + int(fields[13])
                system += int(fields[12]) + int(fields[14])
        return user / TICK, system / TICK

    def processes(self):
        if self.path:
            return [int(p) for p in read(os.path.join(self.path, "cgroup.procs")).split()]
        parents = {}
        for name in os.listdir("/proc"):
            fields = read(f"/proc/{name}/stat").rpartition(")")[2].split() if name.isdigit() else []
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(name))
        found = [self.root] if self.root else []
        for pid in found:  # grows while it is walked: breadth first
            found += parents.get(pid, [])
        return found

    def drop(self):
        if self.path:
            try:
                os.rmdir(self.path)
            except OSError:
                pass


def machine_ticks():
    """Seconds of all cores: busy, stolen by the hypervisor, waiting for the disk."""
    v = [int(n) / TICK for n in read("/proc/stat").split("\n", 1)[0].split()[1:]]
    return {"busy": v[0] + v[1] + v[2] + v[5] + v[6], "steal": v[7], "iowait": v[4]}


# --- disk -------------------------------------------------------------------------------------


def device_of(directory):
    """Path below /sys/class/block of the device that holds the directory, or None."""
    number = os.stat(directory).st_dev
    path = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return path if os.path.exists(path) else None


def device_counts(device):
    """Of the whole device, whoever asked: writes, bytes written, flushes (syncs of the disk)."""
    fields = read(os.path.join(device, "stat")).split() if device else []
    if len(fields) < 16:
        return {"writes": 0, "written": 0, "flushes": 0}
    return {"writes": int(fields[4]), "written": int(fields[6]) * 512, "flushes": int(fields[15])}


class DiskProbe:
    """One 4 KiB O_DIRECT overwrite and fdatasync at a time: the least of a durable 250."""

    SLOTS = 1024

    def __init__(self, directory):
        self.path = os.path.join(directory, "disk-probe")
        self.buffer = mmap.mmap(-1, BLOCK)
        self.buffer.write(os.urandom(BLOCK))
        with open(self.path, "wb") as f:
            for _ in range(self.SLOTS):
                f.write(self.buffer)
            os.fsync(f.fileno())
        self.fd = os.open(self.path, os.O_WRONLY | os.O_DIRECT)
        self.next = 0

    def sample(self, count):
        """Microseconds of each overwrite with its sync."""
        times = []
        for _ in range(count):
            begin = time.perf_counter_ns()
            os.pwrite(self.fd, self.buffer, self.next * BLOCK)
            os.fdatasync(self.fd)
            times.append((time.perf_counter_ns() - begin) / 1000)
            self.next = (self.next + 1) % self.SLOTS
        return times

    def drop(self):
        os.close(self.fd)
        os.unlink(self.path)


def summary(times):
    s = sorted(times)
    return {"count": len(s), "min": round(s[0], 1), "p50": round(statistics.median(s), 1),
            "p90": round(s[int(len(s) * 0.9)], 1), "p99": round(s[int(len(s) * 0.99)], 1),
            "max": round(s[-1], 1)}


# --- conditions -------------------------------------------------------------------------------


def filesystem(directory):
    best = ("", "", "", "")
    for line in read("/proc/mounts").splitlines():
        source, target, kind, options = line.split()[:4]
        inside = (os.path.abspath(directory) + "/").startswith(target.rstrip("/") + "/")
        if inside and len(target) >= len(best[1]):
            best = (source, target, kind, options)
    return {"source": best[0], "mount": best[1], "type": best[2], "options": best[3]}


def commit():
    git = lambda *words: output("git", "-C", ROOT, *words)
    changed = git("status", "--porcelain", "--", "core", "shards", "storage", "crypto")
    return {"commit": git("rev-parse", "--short=12", "HEAD"),
            "uncommitted_product_files": [line[3:] for line in changed.splitlines()]}


def conditions(directory, build):
    cpu = re.search(r"^model name\s*: (.*)$", read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"), re.M)
    cache = dict(re.findall(r"^(CMAKE_BUILD_TYPE|CMAKE_C_FLAGS):\w+=(.*)$",
                            read(os.path.join(build, "CMakeCache.txt")), re.M))
    device = device_of(directory)
    whole = device and (device if os.path.exists(device + "/queue") else os.path.dirname(device))
    queue = lambda name: whole and read(f"{whole}/queue/{name}").strip()
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "cpu": cpu.group(1) if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)),
        "memory_mib": int(memory.group(1)) // 1024 if memory else 0,
        "kernel": platform.release(),
        "system": (re.search(r'PRETTY_NAME="(.*)"', read("/etc/os-release")) or ["", ""])[1],
        "network": "loopback",
        "filesystem": filesystem(directory),
        "device": {"name": device and os.path.basename(device), "write_cache": queue("write_cache"),
                   "rotational": queue("rotational"), "scheduler": queue("scheduler")},
        "load_average": os.getloadavg(),
        **commit(),
        "build_type": cache.get("CMAKE_BUILD_TYPE", ""),
        "openssl": output("openssl", "version"),
        "postfix": output("postconf", "-dh", "mail_version"),
    }
