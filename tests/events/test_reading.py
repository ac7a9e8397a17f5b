"""Reading the event log: torn and foreign lines, a rotation under the reader, choosing, following."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rawr_install.errors import UsageError
from rawr_install.events import log as events, reader
from rawr_install.events.reader import Choice, parse_since

pytestmark = pytest.mark.contract("C2", "reader.whole", "what was written is read, once and in order")


def line(number: int, **words: Any) -> str:
    event = {"eventId": f"evt-{number}-a", "ts": "2026-01-01T00:00:00.000Z", "type": "lock.lost", **words}
    return json.dumps({**event, "number": number}, separators=(",", ":"))


def numbers(path: Path) -> list[object]:
    """What a reader sees: an event's number, or the text of a line that is no event."""
    return [found.event["number"] if found.event else found.text for found in reader.read(str(path))]


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert numbers(tmp_path / "none.jsonl") == []


def test_the_log_that_was_set_aside_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{line(3)}\n{line(4)}\n")
    (tmp_path / "events.jsonl.1").write_text(f"{line(1)}\n{line(2)}\n")
    assert numbers(path) == [1, 2, 3, 4]


@pytest.mark.contract("C2", "reader.all-lines", "every line is read, whatever it is")
@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (f"{line(1)}\n{line(2)}", [1, 2]),
        (f"{line(1)}\n{line(2)[:30]}", [1, line(2)[:30]]),
        (f"{line(1)[:40]}{line(2)}\n{line(3)}\n", [line(1)[:40], 2, 3]),
        (f"hello\n{line(1)}\n", ["hello", 1]),
        (f"\n\n{line(1)}\n  \n", [1]),
        (f"{line(1)}\r\n", [1]),
        ('{"a":1}\n[1]\n7\nnull\n""\n', ['{"a":1}', "[1]", "7", "null", '""']),
        (f'{{"eventId":1,"ts":"t","type":"x"}}\n{line(1)}\n', ['{"eventId":1,"ts":"t","type":"x"}', 1]),
        ("[" * 50_000 + f"\n{line(1)}\n", ["[" * 50_000, 1]),
        (f"{line(1, note='{' + chr(34) + 'eventId' + chr(34) + ':')}\n", [1]),
    ],
    ids=["no last line end", "torn end", "torn middle", "text", "blank", "crlf", "json", "odd id", "deep", "quoted"],
)
def test_every_line_is_read_whatever_it_is(tmp_path: Path, text: str, seen: list[object]) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(text.encode())
    assert numbers(path) == seen


def test_bytes_that_are_no_utf8_do_not_stop_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\xff\xfe\x00\n" + line(1).encode() + b"\n")
    assert numbers(path)[1:] == [1]


def test_a_foreign_file_without_line_ends_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * (1 << 20))
    found = list(reader.read(str(path)))
    assert sum(len(piece.text) for piece in found) == 1 << 20
    assert max(len(piece.text) for piece in found) <= 1 << 18


def test_a_log_that_grows_as_fast_as_it_is_read_has_an_end(followed: Path) -> None:
    append(followed, f"{line(0)}\n")
    for number, _ in enumerate(reader.read(str(followed)), 1):
        append(followed, f"{line(number)}\n")
        assert number < 100


def test_a_rotation_between_the_two_opens_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{line(1)}\n")
    opened = reader._open

    def rotating(name: str) -> Any:
        # The rival is let in at the one instant that matters: between the two opens.
        if name.endswith(".1") and not os.path.exists(name):
            shutil.move(path, name)
            path.write_text(f"{line(2)}\n")
        return opened(name)

    monkeypatch.setattr(reader, "_open", rotating)
    assert numbers(path) == [1, 2]


class Follower(threading.Thread):
    """Follows the log and notes the numbers; it stops at the number given."""

    def __init__(self, path: Path, last: int) -> None:
        super().__init__(daemon=True)
        self.path, self.last = path, last
        self.seen: list[object] = []

    def run(self) -> None:
        with closing(reader.follow(str(self.path))) as lines:
            for found in lines:
                self.seen.append(found.event["number"] if found.event else found.text)
                if self.seen[-1] == self.last:
                    return

    def wait_for(self, number: int) -> None:
        while number not in self.seen:
            self.join(0.05)
            assert self.is_alive() or number in self.seen


def append(path: Path, *chunks: str) -> None:
    with path.open("a") as file:
        file.write("".join(chunks))


@pytest.fixture
def followed(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_following_shows_old_lines_then_each_new_one(followed: Path) -> None:
    append(followed, f"{line(1)}\n")
    follower = Follower(followed, last=3)
    follower.start()
    follower.wait_for(1)
    append(followed, f"{line(2)}\n", line(3)[:10])
    follower.wait_for(2)
    append(followed, line(3)[10:], "\n")
    follower.join(30)
    assert follower.seen == [1, 2, 3]


def test_following_starts_before_there_is_a_log(followed: Path) -> None:
    follower = Follower(followed, last=1)
    follower.start()
    append(followed, f"{line(1)}\n")
    follower.join(30)
    assert follower.seen == [1]


@pytest.mark.contract("C2", "reader.follow", "following goes across a rotation")
def test_following_goes_across_a_rotation(followed: Path) -> None:
    append(followed, f"{line(1)}\n")
    follower = Follower(followed, last=4)
    follower.start()
    follower.wait_for(1)
    append(followed, f"{line(2)}\n")
    followed.rename(followed.with_name("events.jsonl.1"))
    append(followed, f"{line(3)}\n")
    follower.wait_for(3)
    append(followed, f"{line(4)}\n")
    follower.join(30)
    assert follower.seen == [1, 2, 3, 4]


@pytest.mark.contract("C2", "reader.follow", "following goes across a rotation")
@pytest.mark.parametrize("most", [1, 2, 5])
def test_following_loses_nothing_that_is_still_in_the_files_however_often_they_rotate(
    followed: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    chance, written, looks = random.Random(most), itertools.count(1), itertools.count()
    there: set[object] = set()

    def meanwhile(_seconds: float) -> None:
        if next(looks) == 100:
            raise TimeoutError
        for _ in range(chance.randint(0, most)):
            append(followed, *(f"{line(next(written))}\n" for _ in range(chance.randint(0, 3))))
            followed.replace(f"{followed}.1")
        append(followed, f"{line(next(written))}\n")
        there.update(numbers(followed))

    monkeypatch.setattr(reader.time, "sleep", meanwhile)
    seen: list[object] = []
    with pytest.raises(TimeoutError):
        for found in reader.follow(str(followed)):
            seen.append(found.event and found.event["number"])
    assert seen == sorted(set(seen), key=int) and there <= set(seen)  # type: ignore[call-overload]
    # Up to two rotations between two looks drop no file that was not being read.
    assert most > 2 or seen == list(range(1, len(seen) + 1))


def test_following_survives_a_log_that_is_emptied_by_hand(followed: Path) -> None:
    append(followed, f"{line(1)}\n{line(2)}\n")
    follower = Follower(followed, last=3)
    follower.start()
    follower.wait_for(2)
    followed.write_text("")
    append(followed, f"{line(3)}\n")
    follower.join(30)
    assert follower.seen == [1, 2, 3]


def test_a_reader_beside_writers_sees_no_torn_line(log: Path) -> None:
    def write() -> None:
        for number in range(400):
            events.emit("lock.lost", number=number, note="n" * 3000)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        whole = [found for found in reader.read(str(log)) if found.event is None]
        # The last line may be caught half written; no other one.
        assert len(whole) <= 2
    for writer in writers:
        writer.join()
    assert all(found.event for found in reader.read(str(log)))


@pytest.mark.contract("C2", "reader.choice", "a choice takes by type and time")
@pytest.mark.parametrize(
    ("choice", "takes"),
    [
        (Choice(), True),
        (Choice(types=["lock"]), True),
        (Choice(types=["lock.lost"]), True),
        (Choice(types=["lo"]), False),
        (Choice(types=["lock.los"]), False),
        (Choice(types=["run", "lock"]), True),
        (Choice(types=["run"]), False),
        (Choice(since="2026-01-01T00:00:00.000Z"), True),
        (Choice(since="2026-01-01T00:00:00.001Z"), False),
    ],
)
def test_a_choice_takes_by_type_and_time(choice: Choice, takes: bool) -> None:
    assert choice.takes({"type": "lock.lost", "ts": "2026-01-01T00:00:00.000Z"}) is takes


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("30s", "2023-11-14T22:12:50.000Z"),
        ("10m", "2023-11-14T22:03:20.000Z"),
        ("2h", "2023-11-14T20:13:20.000Z"),
        ("1d", "2023-11-13T22:13:20.000Z"),
        ("999999999d", "1970-01-01T00:00:00.000Z"),
        ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00.000Z"),
        ("2026-01-31T08:00:00.250+02:00", "2026-01-31T06:00:00.250Z"),
    ],
)
def test_since_takes_spans_and_moments(text: str, stamp: str) -> None:
    assert parse_since(text, 1_700_000_000_000) == stamp


@pytest.mark.parametrize("text", ["soon", "10", "m", "-5m", "10 m", "2026-13-01", "0001-01-01", "１０m"])
def test_since_refuses_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(UsageError, match="--since") as refused:
        parse_since(text, 0)
    assert refused.value.code == "BAD_SINCE"
