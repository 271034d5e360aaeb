#!/usr/bin/env python3
"""test_tidy -- each row is a tiny tree; it must give exactly its findings, and a clean one none.

A row lays its files over CLEAN and lists `path:line: rule` of every finding wanted. A row that
wants nothing is the near miss of the row above it.
"""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIDY = os.path.join(ROOT, "tools", "tidy")


def load_tidy():
    loader = importlib.machinery.SourceFileLoader("tidy", TIDY)
    spec = importlib.util.spec_from_loader("tidy", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


tidy = load_tidy()


def header(name, body="", guard=None):
    guard = guard or name.upper().replace(".", "_")
    return "/* %s -- a thing. */\n#ifndef %s\n#define %s\n%s#endif\n" % (name, guard, guard, body)


def function(lines):
    """A function of so many lines, its signature included."""
    return "int long_one(int a,\n             int b)\n{\n%s}\n" % ("    a++;\n" * (lines - 4))


CLEAN = {
    "CMakeLists.txt": "add_subdirectory(core/base)\n",
    "core/base/CMakeLists.txt": "add_library(base STATIC str.c other.c arena.c clock.c log.c)\n",
    "core/base/str.h": header("str.h", "int str_length(const char *s);\n"),
    "core/base/str.c": '#include "core/base/str.h"\n\n#include <string.h>\n\n'
                       "int str_length(const char *s)\n{\n    return (int)strlen(s);\n}\n",
    "tools/hello": "#!/bin/sh\necho hello\n",
    "README.md": "# A tour\n",
}


def c_file(path, text, **more):
    """A C file that the build knows."""
    return {path: text, "CMakeLists.txt": "add_library(x STATIC %s)\n" % path, **more}


# name, files laid over CLEAN (None removes one), findings
ROWS = [
    ("a clean tree", {}, []),

    ("floor 0 includes floor 1", {"core/base/str.c": '#include "core/mail/line.h"\n'},
     ["core/base/str.c:1: floor"]),
    ("siblings on floor 2", c_file("crypto/a.c", '\n#include "storage/b.h"\n'),
     ["crypto/a.c:2: floor"]),
    ("siblings on floor 4", c_file("core/portal/a.c", '#include "core/coordinator/b.h"\n'),
     ["core/portal/a.c:1: floor"]),
    ("the program includes a tool", c_file("core/main.c", '#include "tools/b.h"\n'),
     ["core/main.c:1: floor"]),
    ("down, own box and main are fine", c_file(
        "shards/a.c", '#include "shards/b.h"\n#include "storage/b.h"\n#include "core/io/b.h"\n'),
     []),
    ("main sees all of floor 4", c_file(
        "core/main.c", '#include "shards/b.h"\n#include "core/portal/b.h"\n'), []),
    ("tests include anything", c_file(
        "tests/a.c", '#include "tools/b.h"\n#include "core/main.h"\n#include "shards/b.h"\n'), []),
    ("a def climbs like a header", c_file("core/mail/a.c", '#include "crypto/b.def"\n'),
     ["core/mail/a.c:1: floor"]),
    ("an include in a comment", c_file("core/mail/a.c", '/*\n#include "crypto/b.h"\n*/\n'), []),
    ("no such box", c_file("core/util/a.c", "int x;\n"), ["core/util/a.c:1: floor"]),
    ("include not from the root", c_file("core/mail/a.c", '\n\n#include "line.h"\n'),
     ["core/mail/a.c:3: root"]),

    ("rocksdb beside its door", c_file("storage/keeper.c", "#include <rocksdb/c.h>\n"),
     ["storage/keeper.c:1: door"]),
    ("rocksdb through its door", c_file("storage/index_scan.c", "#include <rocksdb/c.h>\n"), []),
    ("a door's own unit test", c_file("tests/unit/storage/test_index.c",
                                      "#include <rocksdb/c.h>\n"), []),
    ("another unit test", c_file("tests/unit/storage/test_keeper.c", "#include <rocksdb/c.h>\n"),
     ["tests/unit/storage/test_keeper.c:1: door"]),
    ("liburing in a shard", c_file("shards/a.c", "# include <liburing.h>\n"),
     ["shards/a.c:1: door"]),
    ("OpenSSL in storage", c_file("storage/a.c", "#include <openssl/evp.h>\n"),
     ["storage/a.c:1: door"]),
    ("OpenSSL in crypto and bench", {
        **c_file("crypto/a.c", "#include <openssl/evp.h>\n"),
        "bench/a.c": "#include <openssl/evp.h>\n", "bench/CMakeLists.txt": "add_x(a.c)\n"}, []),
    ("jemalloc outside its door", c_file("core/mail/a.c", "#include <jemalloc/jemalloc.h>\n"),
     ["core/mail/a.c:1: door"]),
    ("quotes do not open a door", c_file("core/io/a.c", '#include "unbound.h"\n'),
     ["core/io/a.c:1: door"]),

    ("strcpy, even in a test", c_file("tests/a.c", "int a;\nvoid f(void) { strcpy (b, c); }\n"),
     ["tests/a.c:2: banned"]),
    ("named in comment, string and member", c_file(
        "core/mail/a.c", "/* strcpy(a) */ // gets(b)\nchar *s = \"a\\\"sprintf(b)\";\n"
        "void f(void)\n{\n    ops->free(x);\n    ops.free(x);\n    my_free(x);\n"
        "    strerror_r(e);\n}\n"
        "void g(const char *f, ...) __attribute__((format(printf, 1, 2)));\n"), []),
    ("a quote in a char does not open a string", c_file(
        "core/mail/a.c", "int q = '\"';\nint r = atoi(s);\nint t = '\"';\n"),
     ["core/mail/a.c:2: banned"]),
    ("a comment of lines keeps the count", c_file(
        "core/mail/a.c", "/* one\n * two\n */\nint r = atol(s);\n"), ["core/mail/a.c:4: banned"]),
    ("malloc in a shard", c_file("shards/a.c", "void *p = malloc(1);\n"), ["shards/a.c:1: banned"]),
    ("malloc in arena, tests and tools", {
        "core/base/arena.c": "void *p = malloc(1);\nvoid f(void) { free(p); }\n",
        "tests/a.c": "void *p = calloc(1, 1);\n", "tools/a.c": "void *p = malloc(1);\n",
        "CMakeLists.txt": "add(tests/a.c tools/a.c)\n"}, []),
    ("a library's door frees but allocates not", c_file(
        "storage/index.c", "void f(void)\n{\n    free(error);\n    p = malloc(1);\n}\n"),
     ["storage/index.c:4: banned"]),
    ("free beside the door", c_file("storage/keeper.c", "void f(void) { free(error); }\n"),
     ["storage/keeper.c:1: banned"]),
    ("a clock on floor 4", c_file("shards/a.c", "int t = clock_gettime(0, &ts);\n"),
     ["shards/a.c:1: banned"]),
    ("a clock in clock.c and a bench", {
        "core/base/clock.c": "int t = clock_gettime(0, &ts);\nlong u = time(0);\n",
        "bench/a.c": "long u = time(0);\n", "bench/CMakeLists.txt": "add_x(a.c)\n"}, []),
    ("printf in the program", c_file("core/main.c", "void f(void) { printf(s); fprintf(e, s); }\n"),
     ["core/main.c:1: banned"]),
    ("printf in a tool", c_file("tools/a.c", "void f(void) { printf(s); }\n"), []),
    ("environment on floor 2", c_file("crypto/a.c", "char *e = getenv(s);\n"),
     ["crypto/a.c:1: pure"]),
    ("socket on floor 1", c_file("core/mail/a.c", "int e = socket(1, 2, 3);\n"),
     ["core/mail/a.c:1: pure"]),
    ("environment on floor 5, socket in log and io", {
        "core/main.c": "char *e = getenv(s);\n", "core/base/log.c": "int e = socket(1, 2, 3);\n",
        "core/io/a.c": "int e = socket(1, 2, 3);\n",
        "CMakeLists.txt": "add(core/main.c core/io/a.c)\n"}, []),
    ("a mutex, even in a test", c_file("tests/a.c", "\npthread_mutex_t m;\n"),
     ["tests/a.c:2: banned"]),
    ("goto out", c_file("shards/a.c", "void f(void)\n{\n    goto out;\n}\n"),
     ["shards/a.c:3: banned"]),
    ("goto failure is not goto fail", c_file("shards/a.c", "void f(void) { goto failure; }\n"),
     ["shards/a.c:1: banned"]),
    ("goto fail", c_file("shards/a.c", "void f(void) { goto fail; }\n"), []),

    ("a function of 71 lines", {"core/base/str.c": "int a;\n\n" + function(71) + function(70)},
     ["core/base/str.c:3: function"]),
    ("a function of 70 lines", {"core/base/str.c": "int a;\n" + function(70) + "\n" + function(70)},
     []),
    ("a brace in a string", {"core/base/str.c": "int f(void)\n{\n    g(\"\\\n}\n\");\n}\n"
                                                + function(70)}, []),
    ("a table of 100 lines is data", {"core/base/str.c": "int a[] = {\n" + "    1,\n" * 100
                                                         + "};\n"}, []),
    ("101 columns", {"core/base/str.c": "int a;\n// " + "x" * 98 + "\n"},
     ["core/base/str.c:2: columns"]),
    ("100 columns", {"core/base/str.c": "// " + "x" * 97 + "\n"}, []),
    ("49 kanji and three blanks are 101", {"core/base/str.c": "// " + "関" * 49 + "\n"},
     ["core/base/str.c:1: columns"]),
    ("accents are one column", {"core/base/str.c": "// " + "é" * 97 + "\n"}, []),
    ("columns of a def and a script", {"core/base/x.def": "/* " + "x" * 100 + " */\n",
                                       "tools/hello": "#!/bin/sh\n" + "x" * 101 + "\n"},
     ["core/base/x.def:1: columns", "tools/hello:2: columns"]),
    ("prose and data are not counted", {"README.md": "x" * 101 + "\n",
                                        "a.json": "[%s]\n" % (" " * 101)}, []),
    ("1001 lines", {"core/base/str.c": "int a;\n" * 1001}, ["core/base/str.c:1001: length"]),
    ("1000 lines", {"core/base/str.c": "int a;\n" * 1000}, []),

    ("no contract", {"core/base/str.h": header("str.h")[len("/* str.h -- a thing. */\n"):]},
     ["core/base/str.h:1: contract"]),
    ("the contract of another", {"core/base/str.h": header("buf.h", guard="S")},
     ["core/base/str.h:1: contract"]),
    ("a licence line may come first", {
        "core/base/str.h": "/* SPDX-License-Identifier: Apache-2.0 */\n" + header("str.h")}, []),
    ("no guard", {"core/base/str.h": "/* str.h -- a thing. */\nint a;\n"},
     ["core/base/str.h:1: guard"]),
    ("a guard that guards nothing", {
        "core/base/str.h": "/* str.h -- a thing. */\n#ifndef A\n#define B\n#endif\n"},
     ["core/base/str.h:1: guard"]),
    ("code behind the guard", {"core/base/str.h": header("str.h") + "int a;\n"},
     ["core/base/str.h:1: guard"]),
    ("nothing but a comment", {"core/base/str.h": "/* str.h -- a thing. */\n"}, []),
    ("a guard used twice", {"core/mail/str.h": header("str.h")}, ["core/mail/str.h:1: guard"]),

    ("a .c nobody builds", {"core/mail/a.c": "int a;\n"}, ["core/mail/a.c:1: cmake"]),
    ("the same name elsewhere", {"core/mail/str.c": "int a;\n"}, ["core/mail/str.c:1: cmake"]),
    ("named in a comment only", {"core/base/CMakeLists.txt": "add_library(base) # str.c\n"},
     ["core/base/str.c:1: cmake"]),
    ("named from the root or above", {
        "core/mail/a.c": "int a;\n", "core/mail/b.c": "int b;\n",
        "tests/CMakeLists.txt": "add(x ${CMAKE_SOURCE_DIR}/core/mail/a.c ../core/mail/b.c)\n"}, []),
    ("named by a loop", {
        "tests/unit/core/base/test_str.c": "int a;\n",
        "tests/CMakeLists.txt": "function(unit name)\n    add(${name} test_${name}.c)\n",
        "tests/unit/core/base/CMakeLists.txt": "unit(str)\n"}, []),
    ("forgotten by the loop", {
        "tests/unit/core/base/test_str.c": "int a;\n",
        "tests/CMakeLists.txt": "function(unit name)\n    add(${name} test_${name}.c)\n",
        "tests/unit/core/base/CMakeLists.txt": "unit(string)\n"},
     ["tests/unit/core/base/test_str.c:1: cmake"]),

    ("a loop elsewhere does not count", {
        "core/base/a.c": "int a;\n", "CMakeLists.txt": "set(names a)\n",
        "tests/CMakeLists.txt": "add(${name}.c)\n"}, ["core/base/a.c:1: cmake"]),

    ("a setting never used", {
        "core/base/setting.def": "/* SETTING(name, why) */\nSETTING(hold_s, 1)\nSETTING(rcpt, 2)\n",
        "core/base/str.c": "int x(struct setting *s) { return s->hold_s; }\n"},
     ["core/base/setting.def:3: unused"]),
    ("a counter never used", {
        "core/base/counter.def": 'COUNT(ring_full, "times", "x")\nCOUNT(lost, "a", "b")\n',
        "core/base/str.c": "void x(void) { count(ring_full); } /* lost */ char *s = \"lost\";\n"},
     ["core/base/counter.def:2: unused"]),
    ("used by a test only", {
        "core/base/counter.def": 'COUNT(lost, "a", "b")\n',
        **c_file("tests/a.c", "void x(void) { count(lost); }\n")},
     ["core/base/counter.def:1: unused"]),
    ("used by its constant or in a table", {
        "core/base/counter.def": 'COUNT(ring_full, "a", "b")\n', "core/base/str.c":
        "int a = COUNTER_RING_FULL;\n", "core/base/setting.def": "SETTING(smtp.port, 1)\n",
        "core/base/x.def": "ROW(smtp_port)\n"}, []),

    ("work without an owner", {"core/base/str.c": "int a; // T" "ODO later\n",
                               "tools/hello": "#!/bin/sh\n# X" "XX: odd\n",
                               "a.ts": "// F" "IXME()\n"},
     ["a.ts:1: owner", "core/base/str.c:1: owner", "tools/hello:2: owner"]),
    ("work with an owner, a mkstemp", {
        "core/base/str.c": "int a; // T" "ODO(kei): later\nchar n[] = \"/tmp/XXXXXX\";\n"}, []),

    ("blanks at the end", {"core/base/str.c": "int a; \nint b;\n\t\n", "README.md": "a\nb  "},
     ["README.md:2: blank", "README.md:2: newline", "core/base/str.c:1: blank",
      "core/base/str.c:3: blank"]),
    ("no newline at the end", {"core/base/str.c": "int a;\nint b;"},
     ["core/base/str.c:2: newline"]),
    ("an empty line at the end", {"core/base/str.c": "int a;\n\n"}, ["core/base/str.c:2: newline"]),
    ("CR LF", {"core/base/str.c": "int a;\nint b;\r\n"}, ["core/base/str.c:2: crlf"]),
    ("golden bytes are left alone", {"tests/smtp/a.eml": "a \r\n.\r\n", "tests/smtp/b": "x \r\n"},
     []),
    ("an empty file", {"core/base/str.c": ""}, []),
    ("not UTF-8", {"core/base/str.c": b"int a;\n/* \xff */\n"}, ["core/base/str.c:2: utf8"]),

    ("built and foreign files", {
        "build/a.c": "strcpy(a, b) ", "build-base/x/a.c": "strcpy(a, b) ",
        "core/portal/ui/built/a.css": "a ", "core/portal/ui/node_modules/x/a.h": "a ",
        "core/portal/ui/a.css": "a \n"}, ["core/portal/ui/a.css:1: blank"]),
    ("builder.c is not built", {"core/mail/builder.c": "int a;\n"},
     ["core/mail/builder.c:1: cmake"]),
]


def lay(root, files):
    for path, content in {**CLEAN, **files}.items():
        if content is None:
            continue
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())


def command(root, *arguments):
    done = subprocess.run([sys.executable, TIDY, "--root", root, *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode()


def findings_of(root, *arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = tidy.main(["--root", root, *arguments])
    lines = out.getvalue().splitlines()
    found = [":".join(line.split(":")[:3]) for line in lines[:-1]]
    count = int(lines[-1].split()[-2])
    return found, status == (1 if found else 0) and count == len(found)


def case_row(root, files, want):
    lay(root, files)
    found, is_consistent = findings_of(root)
    return "" if found == want and is_consistent else "want %s, got %s" % (want, found)


def case_words(root):
    lay(root, {"README.md": "# A\nA Foobar here\n", "core/base/str.c": "int a; /* foobars */\n"})
    tidy.WORDS["f[o]obar"] = "write bar"
    try:
        found, _ = findings_of(root)
    finally:
        tidy.WORDS.clear()
    want = ["README.md:2: word", "core/base/str.c:1: word"]
    return "" if found == want else "got %s" % found


def case_command(root):
    lay(root, {})
    clean = command(root)
    if clean != (0, ["tidy: 6 files, 0 findings"], ""):
        return "clean: %s" % (clean,)
    lay(root, {"core/base/str.c": "int a = atoi(b);\n", "README.md": "a"})
    status, lines, _ = command(root)
    want = ["README.md:1: newline: the file does not end with a newline",
            "core/base/str.c:1: banned: atoi(): cannot say that it failed",
            "tidy: 6 files, 2 findings"]
    if (status, lines) != (1, want):
        return "bad: %s" % lines
    status, lines, _ = command(root, os.path.join(root, "core"))
    if (status, lines) != (1, [want[1], "tidy: 3 files, 1 findings"]):
        return "by path: %s" % lines
    status, lines, _ = command(root, os.path.join(root, "tools"))
    return "" if (status, lines) == (0, ["tidy: 1 files, 0 findings"]) else "tools: %s" % lines


def git(root, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def case_git(root):
    lay(root, {".gitignore": "ignored.md\n", "ignored.md": "a ", "new.md": "a ", "gone.md": "a "})
    git(root, "init", "-q")
    git(root, "add", "gone.md")
    os.remove(os.path.join(root, "gone.md"))
    found, _ = findings_of(root)
    return "" if found == ["new.md:1: blank", "new.md:1: newline"] else "got %s" % found


def case_format(root):
    shutil.copy(os.path.join(ROOT, ".clang-format"), root)
    lay(root, {"core/base/other.c": "int a;\n\nint  f(void) {\n  return 1; }\n"})
    found, _ = findings_of(root, "--format")
    return "" if found == ["core/base/other.c:3: format"] else "got %s" % found


def case_headers(root):
    lay(root, {"core/base/a.h": header("a.h", "size_t a(void);\n"),
               "core/base/b.h": header("b.h", "#include <stddef.h>\nsize_t b(void);\n"),
               "core/base/c.h": header("c.h", '#include "core/base/a.h"\n')})
    found, _ = findings_of(root, "--headers")
    want = ["core/base/a.h:4: header", "core/base/c.h:1: header"]
    return "" if found == want else "got %s" % found


def case_lint(root):
    shutil.copy(os.path.join(ROOT, ".clang-tidy"), root)
    bad = header("other.h", "int BadName(int a);\n")
    lay(root, {"core/base/other.h": bad, "core/base/other.c":
               '#include "core/base/other.h"\n\nint BadName(int a)\n{\n    return a;\n}\n'})
    gcc_only = "-Wuse-after-free=3 -Wlogical-op -fstack-clash-protection -O2"
    gcc_only += " -ftrivial-auto-var-init=zero -fcf-protection=full -Wstack-usage=100"
    build = os.path.join(root, "build-x")
    os.mkdir(build)
    with open(os.path.join(build, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump([{"directory": build, "file": os.path.join(root, "core/base/%s.c" % name),
                    "command": "/usr/bin/ccache /usr/bin/gcc -std=c17 %s -I.. -o x.o -c ../core/"
                               "base/%s.c" % (gcc_only, name)} for name in ("other", "str")], file)
    found, _ = findings_of(root, "--lint", build)
    if found != ["core/base/other.h:4: lint"]:
        return "got %s" % found
    status, _, errors = command(root, "--lint", root)
    return "" if status == 2 and "compile_commands.json" in errors else "no database: %s" % status


def case_changed(root):
    shutil.copy(os.path.join(ROOT, ".clang-format"), root)
    ugly = "int  a;\n"
    lay(root, {"core/base/other.c": ugly, "core/base/log.c": '#include "core/base/str.h"\n' + ugly})
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "x")
    with open(os.path.join(root, "core/base/str.h"), "w", encoding="utf-8") as file:
        file.write(header("str.h", "int a;\n"))
    found, _ = findings_of(root, "--format", "--changed")
    return "" if found == ["core/base/log.c:2: format"] else "got %s" % found


CASES = [
    # name, what it needs, function
    ("words of the table", None, case_words),
    ("exit status, last line, paths", None, case_command),
    ("git decides what counts", "git", case_git),
    ("--format", "clang-format-14", case_format),
    ("--headers", "gcc", case_headers),
    ("--lint", "clang-tidy-14", case_lint),
    ("--changed follows includes", "clang-format-14", case_changed),
]


def main():
    cases = [(name, None, lambda root, f=files, w=want: case_row(root, f, w))
             for name, files, want in ROWS] + CASES
    passed = failed = 0
    for name, needs, case in cases:
        if needs and not shutil.which(needs):
            print("skipped: %s: %s is not installed" % (name, needs))
            continue
        with tempfile.TemporaryDirectory() as root:
            problem = case(root)
        passed += not problem
        failed += bool(problem)
        if problem:
            print("FAILED: %s: %s" % (name, problem))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
