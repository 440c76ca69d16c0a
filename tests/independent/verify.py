#!/usr/bin/env python3
"""Verifies a driftlock lock, and what it describes, by docs/lock-format.md alone.

Written from that page and from nothing else, with Python's standard library: if this and driftlock disagree, one of
the two or the page is wrong. It is slow, and it follows its argument's path without any of driftlock's precautions.

    verify.py LOCK...                                                  each lock: canonical, and its digest
    verify.py LOCK --root ROOT [--include GLOB]... [--exclude GLOB]... and everything below ROOT, nar too

Exit code 0: verified. 1: the tree differs, a line for each entry. 2: a lock is refused.
"""

import argparse
import base64
import binascii
import hashlib
import os
import re
import stat
import sys


class Refused(Exception):
    pass


# --- strings -----------------------------------------------------------------------------------------------------

SHORT = {'"': '"', "\\": "\\", "\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r"}
LONG = [(0x0, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F)]
LONG += [(0x2028, 0x202E), (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB)]


def escaped(character):
    """What a character is in a string."""
    if character in SHORT:
        return "\\" + SHORT[character]
    if any(first <= ord(character) <= last for first, last in LONG):
        return "\\u%04x" % ord(character)
    return character


def is_utf8(raw):
    try:
        raw.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


class Cursor:
    """Reads one line from left to right."""

    def __init__(self, line):
        self.line, self.at = line, 0

    def has(self, literal):
        if self.line.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def need(self, literal):
        if not self.has(literal):
            raise Refused("at byte %d it needs %r" % (self.at, literal))

    def match(self, pattern, what):
        found = re.compile(pattern, re.DOTALL).match(self.line, self.at)
        if not found:
            raise Refused("at byte %d it needs %s" % (self.at, what))
        self.at = found.end()
        return found.group(0)

    def string(self):
        quoted = self.match(rb'"(?:[^"\\]|\\.)*"', "a string")
        text = quoted[1:-1].decode("utf-8", errors="strict")
        plain = re.sub(r"\\u([0-9a-f]{4})|\\(.)", lambda m: chr(int(m[1], 16)) if m[1] else unshort(m[2]), text)
        if "".join(map(escaped, plain)) != text:
            raise Refused("%r is not escaped as it has to be" % text)
        return plain.encode("utf-8")

    def base64(self):
        text = self.match(rb"[A-Za-z0-9+/=]*", "Base64")
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise Refused("%r is not Base64" % text) from error
        if base64.b64encode(raw) != text:
            raise Refused("%r is not canonical Base64" % text)
        return raw

    def sri(self):
        self.need(b"sha256-")
        raw = self.base64()
        if len(raw) != 32:
            raise Refused("a digest has 32 bytes")
        return raw

    def number(self, limit):
        number = int(self.match(rb"0|[1-9][0-9]*", "a number"))
        if number >= limit:
            raise Refused("%d is too large" % number)
        return number

    def text_or_base64(self, key):
        """`"key":"…"` or `"key_base64":"…"`."""
        if self.has(b'"%s":' % key):
            return self.string()
        self.need(b'"%s_base64":"' % key)
        raw = self.base64()
        self.need(b'"')
        if is_utf8(raw):
            raise Refused("%r is UTF-8 and has to stand as text" % raw)
        return raw


def unshort(letter):
    for character, short in SHORT.items():
        if short == letter:
            return character
    raise Refused("there is no escape \\%s" % letter)


# --- locks -------------------------------------------------------------------------------------------------------


# The root itself, which is an entry where attributes are asked for.
ROOT = b"."


def check_path(path):
    if path == ROOT:
        return
    names = path.split(b"/")
    if b"\0" in path or any(name in (b"", b".", b"..") for name in names):
        raise Refused("%r is no path below a root" % path)


def parse_entry(line, attributes):
    cursor = Cursor(line)
    cursor.need(b"{")
    path = cursor.text_or_base64(b"path")
    check_path(path)
    cursor.need(b',"type":"')
    entry = {"type": cursor.match(rb"[a-z_]+", "a type").decode()}
    cursor.need(b'"')
    if entry["type"] == "file":
        entry["executable"] = cursor.has(b',"executable":true')
        cursor.need(b',"size":')
        entry["size"] = cursor.number(1 << 64)
        cursor.need(b',"sha256":"')
        entry["sha256"] = cursor.match(rb"[0-9a-f]{64}", "64 hex digits").decode()
        cursor.need(b'"')
    elif entry["type"] == "directory":
        entry["nar"] = None
        if cursor.has(b',"nar":"'):
            entry["nar"] = cursor.sri()
            cursor.need(b'"')
    elif entry["type"] == "symlink":
        cursor.need(b",")
        entry["target"] = cursor.text_or_base64(b"target")
    elif entry["type"] in ("char_device", "block_device"):
        cursor.need(b',"major":')
        entry["major"] = cursor.number(1 << 32)
        cursor.need(b',"minor":')
        entry["minor"] = cursor.number(1 << 32)
    elif entry["type"] == "container":
        parse_container(cursor, entry, attributes)
    elif entry["type"] not in ("fifo", "socket"):
        raise Refused("the type %s is not known" % entry["type"])
    if "mode" in attributes:
        cursor.need(b',"mode":"')
        entry["mode"] = int(cursor.match(rb"[0-7]{4}", "four octal digits"), 8)
        cursor.need(b'"')
    if "owner" in attributes:
        cursor.need(b',"uid":')
        entry["uid"] = cursor.number(1 << 32)
        cursor.need(b',"gid":')
        entry["gid"] = cursor.number(1 << 32)
    if "xattrs" in attributes:
        entry["xattrs"] = parse_xattrs(cursor)
    cursor.need(b"}")
    if cursor.at != len(line):
        raise Refused("there is something behind the entry")
    return path, entry


def parse_container(cursor, entry, attributes):
    cursor.need(b',"image":')
    entry["image"] = cursor.string()
    entry["image_id"] = None
    if cursor.has(b',"image_id":"sha256:'):
        entry["image_id"] = cursor.match(rb"[0-9a-f]{64}", "64 hex digits").decode()
        cursor.need(b'"')
    entry["repo_digests"] = parse_strings(cursor, b"repo_digests")
    if "state" in attributes:
        cursor.need(b',"state":')
        entry["state"] = cursor.string()
    if "mounts" in attributes:
        cursor.need(b',"mounts":[')
        entry["mounts"] = parse_list(cursor, b"]", parse_mount)
    for name in ("networks", "ports"):
        if name in attributes:
            entry[name] = parse_strings(cursor, name.encode())
    if "labels" in attributes:
        cursor.need(b',"labels":{')
        entry["labels"] = parse_list(cursor, b"}", parse_label)
        if len({name for name, _ in entry["labels"]}) != len(entry["labels"]):
            raise Refused("a label is there twice")
    if "env" in attributes:
        entry["env"] = parse_strings(cursor, b"env")
    if "security" in attributes:
        entry["security"] = parse_security(cursor)
    if "compose" in attributes:
        entry["compose"] = {}
        for before, name in ((b',"compose":{', "project"), (b",", "service"), (b",", "config_hash")):
            cursor.need(b'%s"%s":' % (before, name.encode()))
            entry["compose"][name] = cursor.string()
        cursor.need(b"}")


def parse_security(cursor):
    security = {}
    cursor.need(b',"security":{"privileged":')
    security["privileged"] = cursor.match(rb"true|false", "true or false") == b"true"
    for name in ("cap_add", "cap_drop"):
        security[name] = parse_strings(cursor, name.encode())
    for name in ("user", "pid_mode", "ipc_mode", "userns_mode"):
        cursor.need(b',"%s":' % name.encode())
        security[name] = cursor.string()
    for name in ("security_opt", "devices"):
        security[name] = parse_strings(cursor, name.encode())
    cursor.need(b',"read_only_root":')
    security["read_only_root"] = cursor.match(rb"true|false", "true or false") == b"true"
    cursor.need(b',"restart":')
    security["restart"] = cursor.string()
    cursor.need(b"}")
    return security


def parse_list(cursor, end, parse):
    """Items between commas, in order and none twice. An item that is a tuple starts with what it is sorted by."""
    items = []
    while not cursor.has(end):
        if items:
            cursor.need(b",")
        item = parse(cursor)
        if items and items[-1] >= item:
            raise Refused("a list is out of order, or has something twice")
        items.append(item)
    return items


def parse_strings(cursor, key):
    cursor.need(b',"%s":[' % key)
    return parse_list(cursor, b"]", Cursor.string)


def parse_mount(cursor):
    cursor.need(b'{"destination":')
    destination = cursor.string()
    cursor.need(b',"type":')
    kind = cursor.string()
    # Without a source, it comes before all that have one.
    source = (1, cursor.string()) if cursor.has(b',"source":') else (0, b"")
    read_only = cursor.has(b',"read_only":true')
    cursor.need(b"}")
    return destination, kind, source, read_only


def parse_label(cursor):
    name = cursor.string()
    cursor.need(b':"')
    value = cursor.match(rb"[0-9a-f]{64}", "64 hex digits")
    cursor.need(b'"')
    return name, value


def parse_xattrs(cursor):
    cursor.need(b',"xattrs":{')
    xattrs = []
    while not cursor.has(b"}"):
        if xattrs:
            cursor.need(b",")
        name = cursor.string()
        if name.startswith(b"base64:"):
            name = base64.b64decode(name[7:], validate=True)
            if is_utf8(name):
                raise Refused("%r is UTF-8 and has to stand as text" % name)
        cursor.need(b':"')
        value = cursor.base64()
        cursor.need(b'"')
        if xattrs and xattrs[-1][0] >= name:
            raise Refused("extended attributes are out of order")
        xattrs.append((name, value))
    return xattrs


def parse_json_lock(raw):
    """Gives kind, attributes and entries, or refuses."""
    if not raw.endswith(b"\n"):
        raise Refused("the last line has no LF")
    lines = raw[:-1].split(b"\n")
    if any(len(line) >= 16 << 20 for line in lines):
        raise Refused("a line is too long")
    lines = iter(enumerate(lines, 1))
    number = 0

    def next_line():
        nonlocal number
        number, line = next(lines, (number, None))
        if line is None:
            raise Refused("it ends in the middle")
        return line

    def exactly(expected):
        if next_line() != expected:
            raise Refused("it should read %r" % expected)

    try:
        exactly(b"{")
        exactly(b'"driftlock": 1,')
        cursor = Cursor(next_line())
        cursor.need(b'"check": ')
        check = cursor.string()
        cursor.match(rb",\Z", "a comma and the end")
        kind = next_line()
        if kind not in [b'"kind": "%s",' % known for known in (b"files", b"trees", b"containers", b"container_files", b"compose")]:
            raise Refused("the kind is not known")
        kind = kind[9:-2].decode()
        line = next_line()
        attributes = []
        if line.startswith(b'"attributes"'):
            known = ["state", "mounts", "networks", "ports", "labels", "env", "security", "compose"]
            known = known if kind in ("containers", "compose") else ["mode", "owner", "xattrs"]
            attributes = [name for name in known if b'"%s"' % name.encode() in line]
            canonical = ", ".join('"%s"' % name for name in attributes)
            if not attributes or line != b'"attributes": [%s],' % canonical.encode():
                raise Refused("the attributes are not as they have to be")
            line = next_line()
        cursor = Cursor(line)
        cursor.need(b'"digest": "')
        stated = cursor.sri()
        cursor.match(rb'",\Z', 'a quote, a comma and the end')
        exactly(b'"entries": [')

        entries, digest, comma = {}, hashlib.sha256(), None
        last = None
        while True:
            line = next_line()
            if line == b"]":
                break
            if comma is False:
                raise Refused("the line before has no comma")
            digest.update(line + b"\n")
            comma = line.endswith(b",")
            path, entry = parse_entry(line[:-1] if comma else line, attributes)
            of_containers = kind in ("containers", "compose")
            if of_containers != (entry["type"] == "container") or of_containers and b"/" in path:
                raise Refused("%r is no entry of this kind" % path)
            if path == ROOT and (not attributes or entry["type"] != "directory" or entry["nar"]):
                raise Refused("the root is no such entry")
            if kind == "files" and entry["type"] == "directory" and path != ROOT:
                raise Refused("%r is a directory, and this kind has none" % path)
            if last is not None and path <= last:
                raise Refused("%r is out of order, or there twice" % path)
            last = path
            entries[path] = entry
        if comma:
            raise Refused("the last entry has a comma")
        exactly(b"}")
        if next(lines, None) is not None:
            raise Refused("there is data after the end")
    except (Refused, UnicodeDecodeError, binascii.Error) as error:
        raise Refused("line %d: %s" % (number, error)) from error
    if digest.digest() != stated:
        raise Refused("the digest does not fit the entries")
    return {"check": check, "kind": kind, "attributes": attributes, "entries": entries}


def parse_text_lock(raw):
    if not raw:
        raise Refused("it is empty")
    if not raw.endswith(b"\n"):
        raise Refused("the last line has no LF")
    entries = {}
    for number, line in enumerate(raw[:-1].split(b"\n"), 1):
        found = re.fullmatch(rb"(\\?)([0-9a-f]{64}) [ *](.+)", line, re.DOTALL)
        if found:
            backslash, sha256, path = found.groups()
        else:
            found = re.fullmatch(rb"(\\?)SHA256 \((.+)\) = ([0-9a-f]{64})", line, re.DOTALL)
            if not found:
                raise Refused("line %d is no line of sha256sum" % number)
            backslash, path, sha256 = found.groups()
        if backslash:
            if not re.fullmatch(rb"(?:[^\\]|\\[\\nr])*", path, re.DOTALL):
                raise Refused("line %d has an escape that there is not" % number)
            known = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}
            path = re.sub(rb"\\(.)", lambda m: known[m[1]], path)
        if path.startswith(b"./"):
            path = path[2:]
        check_path(path)
        if path in entries:
            raise Refused("line %d: %r is there twice" % (number, path))
        entries[path] = {"type": "file", "sha256": sha256.decode()}
    return {"check": None, "kind": "files", "attributes": [], "entries": entries}


# --- trees -------------------------------------------------------------------------------------------------------


def glob(text):
    """A glob as a regular expression over bytes."""
    rest, out, braces = os.fsencode(text), b"", 0
    if rest == b"**":
        return re.compile(rb".*", re.DOTALL)
    if rest.startswith(b"**/"):
        rest, out = rest[3:], b"(?:[^/]+/)*"
    while rest:
        if rest == b"/**":
            rest, out = b"", out + b"/.+"
        elif rest.startswith(b"/**/"):
            rest, out = rest[4:], out + b"/(?:[^/]+/)*"
        elif rest.startswith(b"*"):
            rest, out = rest.lstrip(b"*"), out + b"[^/]*"
        elif rest.startswith(b"?"):
            rest, out = rest[1:], out + b"[^/]"
        elif rest.startswith(b"["):
            found = re.match(rb"\[([!^]?)(\]?[^\]]*)\]", rest)
            out += b"[" + (b"^" if found[1] else b"") + re.sub(rb"([\\\[\]^&~|])", rb"\\\1", found[2]) + b"]"
            rest = rest[found.end() :]
        elif rest.startswith(b"{"):
            rest, out, braces = rest[1:], out + b"(?:", braces + 1
        elif rest.startswith(b"}") and braces:
            rest, out, braces = rest[1:], out + b")", braces - 1
        elif rest.startswith(b",") and braces:
            rest, out = rest[1:], out + b"|"
        else:
            rest = rest[1:] if rest.startswith(b"\\") else rest
            rest, out = rest[1:], out + re.escape(rest[:1])
    return re.compile(out, re.DOTALL)


def leads(text):
    """Globs for the directories on the way to what a glob picks."""
    names, out = text.split("/"), []
    for number, name in enumerate(names):
        last = number == len(names) - 1
        if "**" in name or not last and any(character in name for character in "{[\\"):
            return out + ["/".join(names[:number] + ["**"])]
        if not last:
            out.append("/".join(names[: number + 1]))
    return out


class Live:
    """What is below a root now."""

    def __init__(self, root, lock, include, exclude):
        self.root, self.lock = os.fsencode(root), lock
        self.include, self.exclude = list(map(glob, include)), list(map(glob, exclude))
        # A lock in sha256sum's format can't hold links.
        on_the_way = [lead for text in include for lead in leads(text)] if lock["check"] is not None else []
        self.leads = list(map(glob, on_the_way))

    def full(self, path):
        return self.root + b"/" + path if path else self.root

    def names(self, directory):
        for name in sorted(os.listdir(self.full(directory))):
            path = directory + b"/" + name if directory else name
            if not any(pattern.fullmatch(path) for pattern in self.exclude):
                yield name, path

    def entries(self, directory=b""):
        """Every entry that a lock of the same kind would have, in no particular order."""
        trees = self.lock["kind"] == "trees"
        if not directory and self.lock["attributes"]:
            yield ROOT, self.entry(ROOT, os.lstat(self.root))
        for _, path in self.names(directory):
            status = os.lstat(self.full(path))
            is_directory = stat.S_ISDIR(status.st_mode)
            patterns = self.include + (self.leads if stat.S_ISLNK(status.st_mode) else [])
            if trees or not is_directory and any(pattern.fullmatch(path) for pattern in patterns):
                yield path, self.entry(path, status)
            if is_directory:
                yield from self.entries(path)

    def entry(self, path, status):
        mode, full = status.st_mode, self.full(path)
        if stat.S_ISREG(mode):
            entry = {"type": "file", "executable": bool(mode & 0o100), "size": status.st_size}
            with open(full, "rb") as file:
                entry["sha256"] = hashlib.sha256(file.read()).hexdigest()
        elif stat.S_ISDIR(mode):
            entry = {"type": "directory", "nar": None}
            if b"/" not in path and path != ROOT:
                entry["nar"] = self.nar(path)
        elif stat.S_ISLNK(mode):
            entry = {"type": "symlink", "target": os.readlink(full)}
        elif stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            entry = {"type": "fifo" if stat.S_ISFIFO(mode) else "socket"}
        else:
            entry = {"type": "char_device" if stat.S_ISCHR(mode) else "block_device"}
            entry.update(major=os.major(status.st_rdev), minor=os.minor(status.st_rdev))
        if "mode" in self.lock["attributes"]:
            entry["mode"] = mode & 0o7777
        if "owner" in self.lock["attributes"]:
            entry.update(uid=status.st_uid, gid=status.st_gid)
        if "xattrs" in self.lock["attributes"]:
            names = sorted(map(os.fsencode, os.listxattr(full, follow_symlinks=False)))
            entry["xattrs"] = [(name, os.getxattr(full, name, follow_symlinks=False)) for name in names]
        return entry

    def nar(self, path):
        """The digest of an archive; nothing if there can be none."""
        digest = hashlib.sha256()

        def put(raw):
            digest.update(len(raw).to_bytes(8, "little") + raw + b"\0" * (-len(raw) % 8))

        def node(path):
            mode = os.lstat(self.full(path)).st_mode
            put(b"(")
            put(b"type")
            if stat.S_ISREG(mode):
                put(b"regular")
                if mode & 0o100:
                    put(b"executable")
                    put(b"")
                put(b"contents")
                with open(self.full(path), "rb") as file:
                    put(file.read())
            elif stat.S_ISLNK(mode):
                put(b"symlink")
                put(b"target")
                put(os.readlink(self.full(path)))
            elif stat.S_ISDIR(mode):
                put(b"directory")
                for name, below in self.names(path):
                    put(b"entry")
                    put(b"(")
                    put(b"name")
                    put(name)
                    put(b"node")
                    if not node(below):
                        return False
                    put(b")")
            else:
                return False
            put(b")")
            return True

        put(b"nix-archive-1")
        return digest.digest() if node(path) else None


def differences(expected, actual):
    """One line for each path that differs. Moves are shown as what they are made of."""
    for path in sorted(set(expected) | set(actual)):
        if path not in actual:
            yield "removed", path
        elif path not in expected:
            yield "added", path
        else:
            before, now = expected[path], actual[path]
            # What a text lock does not know is no difference.
            keys = [key for key in before if before[key] != now.get(key)]
            if keys:
                yield "differs in " + ", ".join(keys), path


def verify(path, arguments):
    """Prints what there is to say of one lock, and gives the exit code."""
    try:
        with open(path, "rb") as file:
            raw = file.read()
        lock = parse_text_lock(raw) if path.endswith(".lock.txt") else parse_json_lock(raw)
    except Refused as error:
        print("refused: %s" % error)
        return 2
    print("%d entries, canonical" % len(lock["entries"]))
    if arguments.root is None:
        return 0
    live = Live(arguments.root, lock, arguments.include, arguments.exclude)
    found = list(differences(lock["entries"], dict(live.entries())))
    for what, path in found:
        print("%s: %r" % (what, path))
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description="Verifies driftlock locks by docs/lock-format.md alone.")
    parser.add_argument("locks", nargs="+", metavar="LOCK")
    parser.add_argument("--root")
    parser.add_argument("--include", action="append", default=[], metavar="GLOB")
    parser.add_argument("--exclude", action="append", default=[], metavar="GLOB")
    arguments = parser.parse_args()
    return max(verify(lock, arguments) for lock in arguments.locks)


if __name__ == "__main__":
    sys.exit(main())
