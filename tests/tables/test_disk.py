"""How files are read and replaced: regular files only; a failed write keeps the old file."""

import errno
import fcntl
import os

import pytest

from gdconv.tables import disk


def link(path):
    path.symlink_to(path.parent / "elsewhere")


def dangling_link(path):
    path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (link, "is a symbolic link"),
        (dangling_link, "is a symbolic link"),
        (os.mkfifo, "is not a regular file"),
        (os.mkdir, "is not a regular file"),
    ],
)
def test_only_regular_files_are_read_and_replaced(tmp_path, no_waiting, make, what):
    (tmp_path / "elsewhere").write_bytes(b"mine")
    strange = tmp_path / "file"
    make(strange)
    calls = [
        lambda: disk.check(strange),
        lambda: disk.read_bytes(strange),
        lambda: disk.checksum(strange),
        lambda: disk.open_file(strange, "ab"),
        lambda: disk.replace(strange, [b"new"]),
    ]
    # The name of the temporary file is known to everybody.
    make(tmp_path / ".other.tmp")
    calls += [
        lambda: disk.replace(tmp_path / "other", [b"new"]),
        lambda: disk.remove_temporary(tmp_path / "other"),
    ]
    before = sorted(os.listdir(tmp_path))
    with no_waiting():
        for call in calls:
            with pytest.raises(disk.NotAFileError, match=what):
                call()
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


def test_a_file_that_is_not_there_is_fine(tmp_path):
    disk.check(tmp_path / "file")
    disk.remove_temporary(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        disk.read_bytes(tmp_path / "file")


def test_the_checksum_is_that_of_sha256sum(tmp_path):
    # NIST, FIPS 180-2, appendix B.1.
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert disk.replace(tmp_path / "file", [b"a", b"", b"bc"]) == known
    assert disk.checksum(tmp_path / "file") == known


def broken_off():
    yield b"half"
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_failed_replacement_keeps_the_old_file_and_no_other(tmp_path, monkeypatch, where):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fails(*_):
        raise OSError(errno.EIO, "Input/output error")

    if where != "write":
        monkeypatch.setattr(disk.os, where, fails)
    with pytest.raises(OSError, match=r"error|space"):
        disk.replace(path, broken_off() if where == "write" else [b"new"])
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]


def test_what_a_killed_writer_left_is_removed_or_used(tmp_path):
    path, temporary = tmp_path / "file", tmp_path / ".file.tmp"
    temporary.write_bytes(b"longer than what is written next")
    disk.replace(path, [b"new"])
    assert path.read_bytes() == b"new"
    assert not temporary.exists()
    temporary.write_bytes(b"left")
    disk.remove_temporary(path)
    assert not temporary.exists()


def test_what_another_process_is_writing_is_left_to_it(tmp_path):
    path, temporary = tmp_path / "file", tmp_path / ".file.tmp"
    with temporary.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        disk.remove_temporary(path)
    assert temporary.exists()


def test_two_writers_of_one_file_take_turns(tmp_path, monkeypatch):
    """The first renames what the second was waiting for: that is the file now, not a temporary."""
    path = tmp_path / "file"
    real = fcntl.flock

    def late(file, operation):
        monkeypatch.setattr(disk.fcntl, "flock", real)
        disk.replace(path, [b"first"])
        real(file, operation)

    monkeypatch.setattr(disk.fcntl, "flock", late)
    disk.replace(path, [b"second"])
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_is_made_with_those_above_it(tmp_path):
    disk.make_folder(tmp_path / "a" / "b")
    disk.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        disk.make_folder(tmp_path / "file" / "b")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.EIO])
def test_a_file_system_without_fsync_of_folders_will_do(tmp_path, monkeypatch, number):
    def fails(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(disk.os, "fsync", fails)
    if number == errno.EIO:
        with pytest.raises(OSError, match="error"):
            disk.sync_folder(tmp_path)
    else:
        disk.sync_folder(tmp_path)
