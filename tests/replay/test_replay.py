"""``driftgauge replay`` over files: what it prints, writes and leaves alone, and what it says of history that cannot be used."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from monitor.__main__ import main
from monitor.config import load_config
from monitor.replay.history import NOTHING, history
from tests.decide.make import control
from tests.flow import label_world, world
from tests.flow.label_world import event_of
from tests.replay.world import POLICY, configured, logs, model, write

MINUTES = 150


def iso(minute: int) -> str:
    return datetime.fromtimestamp((world.START + minute * world.MINUTE) / 1000, UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A folder with a file for each partition, and a configuration beside it."""
    folder = tmp_path_factory.mktemp("history")
    predictions, labels = logs(MINUTES)
    write(folder, "t", predictions)
    write(folder, "l", labels)
    configured(folder, {"client": "ndjson", "path": "."}, model())
    one = [message.value or b"" for message in predictions[0]]
    (folder / "one.ndjson").write_bytes(b"\n".join(one) + b"\n")
    (folder / "labels.ndjson").write_bytes(b"\n".join(message.value or b"" for message in labels[0]) + b"\n")
    return folder


def run(folder: Path, *more: str, capsys=None) -> tuple[int, str, str]:
    code = main(["replay", "-c", str(folder / "config.yaml"), *more])
    said = capsys.readouterr()
    return code, said.out, said.err


def models(folder: Path, *more: str, capsys=None) -> list[dict]:
    code, out, err = run(folder, "--json", *more, capsys=capsys)
    assert code == 0, err
    return json.loads(out)["models"]


@pytest.fixture(scope="module")
def whole(recorded) -> dict:
    """What a replay of all that is recorded says of the model."""
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as said:
        assert main(["replay", "-c", str(recorded / "config.yaml"), "--json"]) == 0
        said.seek(0)
        [found] = json.load(said)["models"]
    return found


def times(each: dict) -> list[str]:
    return [trigger["decided"] for trigger in each["triggers"]]


def test_what_would_have_fired_is_said_and_the_warm_up_does_not_count(recorded, whole, capsys):
    found = whole
    began, ended = (datetime.fromisoformat(found[end]) for end in ("from", "warm_up_until"))
    assert (ended - began).total_seconds() == 3600, "both windows are an hour long"
    assert all(at >= found["warm_up_until"] for at in times(found))
    assert found["warm_up_triggers"], "the floor is above what the model reaches: it fires early too"
    everything = [each["trigger"] for each in found["transitions"] if each["change"] == "required"]
    assert everything == [*found["warm_up_triggers"], *(trigger["id"] for trigger in found["triggers"])]
    code, out, err = run(recorded, "--exit-code", capsys=capsys)
    assert code == 10
    for trigger in found["triggers"]:
        assert f"TRIGGER {trigger['id']}  performance, version 1" in out
    assert f"in the warm-up a trigger (performance, {found['transitions'][0]['time'][:10]}" in out
    assert "replaying" in err


def test_a_shorter_warm_up_lets_more_count_and_since_lets_less(recorded, whole, capsys):
    [short], [late] = (models(recorded, *more, capsys=capsys) for more in (("--warm-up", "0s"), ("--since", iso(MINUTES - 20))))
    assert short["warm_up_triggers"] == []
    assert [t["id"] for t in short["triggers"]] == [*whole["warm_up_triggers"], *(t["id"] for t in whole["triggers"])]
    assert late["warm_up_until"] == iso(MINUTES - 20).replace("Z", ".000Z")
    assert all(at >= late["warm_up_until"] for at in times(late))
    assert set(times(late)) < set(times(short))


def first_of(messages, end: int):
    """Messages up to the first one of that minute."""
    late = [n for n, each in enumerate(messages) if (event_of(each) or {}).get("ts", 0) >= world.START + end * world.MINUTE]
    return messages[: late[0] if late else None]


@pytest.mark.parametrize("which", ["both go on", "predictions end before", "another model goes on"])
def test_nothing_is_read_long_after_until(tmp_path, capsys, which):
    """What lies hours behind is not read, and what is found is what a log without it gives."""
    predictions, labels = logs(60)
    long_predictions, long_labels = logs(350)
    shared = {"max_poll_records": 100}
    results, read, lines_read = [], [], []
    for tail in (False, True):
        folder = tmp_path / str(tail)
        folder.mkdir()
        goes_on = [each if tail else first_of(each, 150) for each in long_labels]
        if which == "both go on":
            write(folder, "t", [each if tail else first_of(each, 150) for each in long_predictions])
            write(folder, "l", goes_on)
        else:
            write(folder, "t", predictions)
            write(folder, "l", goes_on if which == "predictions end before" else labels)
        models_ = [model()]
        if which == "another model goes on":
            write(folder, "u", [each if tail else first_of(each, 150) for each in long_predictions])
            models_.append({**world.CONFIG["models"][0], "name": "other", "predictions": {**label_world.PREDICTIONS, "topic": "u"}})
        configured(folder, {"client": "ndjson", "path": ".", **shared}, *models_)
        code, out, err = run(folder, "--json", "--until", iso(90), capsys=capsys)
        assert code == 0, err
        results.append(json.loads(out)["models"])
        read.append(int(re.findall(r"([\d,]+) rows", err)[-1].replace(",", "")))
        lines_read.append(sum(len(each.read_bytes().splitlines()) for each in folder.glob("*.ndjson")))
    for each in (*results[0], *results[1]):
        # Of messages without a time nobody knows whether they are later, and labels from before may come late.
        del each["rejected"], each["labels"]
    assert results[0] == results[1]
    assert results[0][0]["evaluations"] > 50 and results[0][0]["alarms"]
    assert read[1] < read[0] + 1_500, "a few polls more where several partitions go on"
    assert read[1] < lines_read[1] * 2 / 3
    assert re.findall(r"(\d+) %", err)[-1] == "100", "what need not be read is not left to do"
    if which == "both go on":  # as it is configured by default: a poll of 10,000 messages would be hours of this traffic
        path = folder / "config.yaml"
        path.write_text(path.read_text().replace("max_poll_records: 100", "max_poll_records: 10000"))
        code, out, err = run(folder, "--json", "--until", iso(90), capsys=capsys)
        [again] = json.loads(out)["models"]
        assert again == results[1][0] | {name: again[name] for name in ("labels", "rejected")}
        assert int(re.findall(r"([\d,]+) rows", err)[-1].replace(",", "")) < read[1] + 2_000


def test_until_ends_what_counts(recorded, whole, capsys):
    [early] = models(recorded, "--until", iso(100), capsys=capsys)
    end = iso(100).replace("Z", ".000Z")
    assert times(early) == [at for at in times(whole) if at <= end]
    assert early["until"] <= end < whole["until"]
    assert [each for each in early["alarms"] if each["began"] > end] == []
    assert 0 < early["predictions"] < whole["predictions"]
    assert 0 < early["labels"] < whole["labels"]


def test_history_that_is_all_warm_up_says_that_nothing_counts(recorded, capsys):
    code, out, _ = run(recorded, "--warm-up", "30d", "--exit-code", capsys=capsys)
    assert code == 0
    assert "all of it is warm-up" in out
    assert "TRIGGER" not in out


def test_a_drift_is_named_with_its_segment_statistic_and_time(recorded, capsys):
    [found] = models(recorded, "--warm-up", "30m", capsys=capsys)
    [of_all] = [a for a in found["alarms"] if (a["signal"], a["segment"], a["by"], a["version"]) == ("x", "ALL", "long", "1")]
    assert of_all["kind"] == "window"
    assert of_all["value"] > of_all["limit"]
    river = [each for each in found["alarms"] if each["kind"] == "river" and each["segment"] == "ALL"]
    shift = iso(45).replace("Z", ".000Z")
    assert river[0]["began"] >= shift, "ADWIN saw the shift of x at minute 45, and nothing before it"


def test_how_much_is_read_at_a_time_plays_no_part(recorded, capsys):
    from monitor.config import load_config
    from monitor.reference.fit import load_references
    from monitor.replay.history import history
    from monitor.replay.replay import Wanted, replay
    from monitor.replay.said import as_json

    config = load_config(recorded / "config.yaml")
    found = []
    for size in (100_000, 150):
        small = config.model_copy(update={"source": config.source.model_copy(update={"max_poll_records": size})})
        result = replay(history(small, None, None, None, None), load_references(small), Wanted())
        found.append(
            (as_json(result), {key: curve.values for key, curve in result.findings["m"].curves.items() if key[0] == "performance"})
        )
    assert found[0][0] == found[1][0]
    assert str(found[0][1]) == str(found[1][1])
    assert max(len(values) for values in found[0][1].values()) > 10


def test_nothing_is_saved_beside_the_configuration(recorded, capsys):
    before = sorted(recorded.iterdir())
    run(recorded, capsys=capsys)
    assert sorted(recorded.iterdir()) == before


def test_files_by_name_are_the_same_history_as_their_folder(recorded, tmp_path, capsys):
    for name in ("config.yaml", "reference.json.gz", "l-0.ndjson"):
        shutil.copy(recorded / name, tmp_path)
    shutil.copy(recorded / "one.ndjson", tmp_path / "t.ndjson")
    named = ("--from", str(recorded / "one.ndjson"), "--labels", str(recorded / "labels.ndjson"))
    by_name, by_folder = models(recorded, *named, capsys=capsys), models(tmp_path, capsys=capsys)
    assert by_name[0]["labels"] > 0
    assert by_name == by_folder


def test_without_labels_what_rests_on_them_is_unknown_and_that_is_said(recorded, capsys):
    code, out, _ = run(recorded, "--from", str(recorded / "one.ndjson"), "--exit-code", capsys=capsys)
    assert code == 0
    assert "labels are left out" in out
    assert "no trigger would have fired" in out


def test_decisions_of_operators_from_a_file_hold_from_when_they_were_made(recorded, tmp_path, capsys):
    from monitor.decide.control import control_message

    made = world.START + 70 * world.MINUTE
    lines = [control_message(control("hold", model="m", time_ms=made)), b"{", control_message(control("release", 2, model="other"))]
    (tmp_path / "ops.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    _, out, _ = run(recorded, "--json", "--warm-up", "0s", "--controls", str(tmp_path / "ops.ndjson"), capsys=capsys)
    answer = json.loads(out)
    held = iso(70).replace("Z", ".000Z")
    assert all(at <= held for at in times(answer["models"][0]))
    gates = {shut["gate"] for each in answer["models"][0]["transitions"] for shut in each["withheld"]}
    assert "hold" in gates
    assert [note for note in answer["notes"] if "refused" in note and "got 'other'" in note]
    assert len(answer["notes"]) == 2


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "rect", "line", "path", "circle"):
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_one_file_that_shows_triggers_warm_up_and_signals(recorded, tmp_path, capsys):
    [found] = models(recorded, "--html", str(tmp_path / "out.html"), capsys=capsys)
    text = (tmp_path / "out.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.links == [], "nothing from elsewhere"
    assert "<script" not in text
    assert "url(" not in text
    for trigger in found["triggers"]:
        assert trigger["id"] in tags.texts
        assert f"trigger {trigger['id'][:12]}, performance" in text
    assert text.count('class="across fired"') == len(found["triggers"])
    assert text.count('class="across early"') == len(found["warm_up_triggers"])
    assert "warm-up" in tags.texts
    assert {"x, v1, long", "accuracy, v1", "policy, version 1"} <= set(tags.texts)
    xs = [float(x) for x in re.findall(r'class="across fired" ?/?>|x1="([\d.]+)" x2="[\d.]+" y1="22" y2="\d+" class="across', text) if x]
    assert all(190 <= x <= 1120 - 64 for x in xs)


# Hostile input.


def test_names_from_events_do_nothing_to_a_terminal_or_a_page(recorded, tmp_path, capsys):
    lines = [json.loads(line) for line in (recorded / "one.ndjson").read_bytes().splitlines() if line.startswith(b'{"id": "p')]
    for number, event in enumerate(lines):
        if number % 2:
            event["country"] = "\x1b[2J<img src=x onerror=alert(1)>"
    (tmp_path / "t.ndjson").write_text("\n".join(map(json.dumps, lines)))
    page = tmp_path / "out.html"
    more = ("--from", str(tmp_path / "t.ndjson"), "--warm-up", "0s", "--html", str(page))
    _, out, _ = run(recorded, *more, capsys=capsys)
    assert "\x1b" not in out
    assert "onerror" in page.read_text()
    assert "<img" not in page.read_text()


def refused(folder: Path, *more: str, capsys) -> str:
    code, out, err = run(folder, *more, capsys=capsys)
    assert out == ""
    assert code in (2, 4, 5)
    return f"{code}: {err.splitlines()[-1]}"


def test_a_file_cut_in_the_middle_of_its_compressed_data(recorded, tmp_path, capsys):
    whole = gzip.compress((recorded / "one.ndjson").read_bytes())
    cut = tmp_path / "cut.ndjson.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    said = refused(recorded, "--from", str(cut), capsys=capsys)
    assert re.fullmatch(rf"4: driftgauge: cannot read {cut} after line \d+: ends in the middle of its compressed data", said)


def test_a_file_cut_in_the_middle_of_a_line_loses_that_line_only(recorded, tmp_path, capsys):
    lines = (recorded / "one.ndjson").read_bytes()
    cut = tmp_path / "cut.ndjson"
    cut.write_bytes(lines[:-40])
    [found] = models(recorded, "--from", str(cut), capsys=capsys)
    [whole] = models(recorded, "--from", str(recorded / "one.ndjson"), capsys=capsys)
    assert (found["predictions"], found["rejected"]) == (whole["predictions"] - 1, whole["rejected"] + 1)


def test_a_row_of_the_far_future_makes_no_other_row_late(recorded, tmp_path, capsys):
    lines = (recorded / "one.ndjson").read_bytes().splitlines(keepends=True)
    half = len(lines) // 2
    row = json.dumps({"id": "strange", "ts": 4_102_444_800_000, "v": "1", "x": 0.0, "score": 0.5}).encode() + b"\n"
    (tmp_path / "strange.ndjson").write_bytes(b"".join([*lines[:half], row, *lines[half:]]))
    [found] = models(recorded, "--from", str(tmp_path / "strange.ndjson"), capsys=capsys)
    [whole] = models(recorded, "--from", str(recorded / "one.ndjson"), capsys=capsys)
    assert found.pop("rejected") == whole.pop("rejected") + 1
    assert found == whole


def test_history_with_nothing_to_tell(recorded, tmp_path, capsys):
    (tmp_path / "empty.ndjson").write_bytes(b"")
    (tmp_path / "bad.ndjson").write_bytes(b"{\nhello\n[1]\n")
    said = refused(recorded, "--from", str(tmp_path / "empty.ndjson"), capsys=capsys)
    assert said.startswith("4: driftgauge: m: expected predictions to replay, got none; check --from")
    said = refused(recorded, "--from", str(tmp_path / "bad.ndjson"), capsys=capsys)
    assert "got none, and 3 messages that cannot be used (2 not_json, 1 not_an_object); check --from" in said
    said = refused(recorded, "--from", str(tmp_path / "absent.ndjson"), capsys=capsys)
    assert said == f"4: driftgauge: cannot open {tmp_path / 'absent.ndjson'}: No such file or directory"


def test_times_outside_the_history(recorded, capsys):
    said = refused(recorded, "--since", iso(MINUTES + 30), capsys=capsys)
    assert said.startswith(f"4: driftgauge: m: expected history after --since {iso(MINUTES + 30)[:-1]}.000Z, and it ends at")
    said = refused(recorded, "--until", iso(-60), capsys=capsys)
    assert "expected history before --until" in said
    code, _, err = run(recorded, "--since", iso(20), "--until", iso(10), capsys=capsys)
    assert (code, "expected a time before --until" in err) == (2, True)
    code, _, err = run(recorded, "--since", "yesterday", capsys=capsys)
    assert (code, "expected a time such as" in err, "got 'yesterday'" in err) == (2, True, True)


def test_a_single_wrong_time_does_not_stretch_the_warm_up(recorded, tmp_path, capsys):
    lines = (recorded / "one.ndjson").read_bytes()
    strange = json.dumps({"id": "strange", "ts": 1, "v": "1", "x": 0.0, "score": 0.5}).encode() + b"\n"
    (tmp_path / "many.ndjson").write_bytes(strange + lines * 8)  # the repeats are duplicates or late: only their number counts
    [found] = models(recorded, "--from", str(tmp_path / "many.ndjson"), capsys=capsys)
    assert found["from"] > "2023"


def test_places_that_cannot_be_read(recorded, tmp_path, capsys):
    for more, expected in (
        (("--from", "churn.predictions"), "expected brokers to read a topic from"),
        (("--model", "other"), "expected one of m, got 'other'"),
        (("--controls", str(tmp_path / "none.ndjson")), "expected a file that ends in .ndjson"),
        (("--warm-up", "soon"), "expected a duration with a unit"),
        (("--state-from", str(tmp_path / "nowhere")), "expected a folder with a saved state"),
        (("--state-from", str(tmp_path)), "expected a saved state to go on from"),
    ):
        code, out, err = run(recorded, *more, capsys=capsys)
        assert code in (2, 5), more
        assert expected in err
        assert out == ""


def test_two_models_need_to_be_told_apart_when_one_file_is_named(recorded, tmp_path, capsys):
    other = {**model("t2"), "name": "other", "references": []}
    del other["labels"], other["retraining"]
    configured(tmp_path, {"client": "ndjson", "path": "."}, model(retraining=POLICY), other)
    code, _, err = run(tmp_path, "--from", str(recorded / "one.ndjson"), capsys=capsys)
    assert (code, "expected --model with one of m, other" in err) == (2, True)
    [found] = models(tmp_path, "--model", "other", "--from", str(recorded / "one.ndjson"), capsys=capsys)
    assert found["model"] == "other"


def test_files_of_a_topic_are_those_of_its_name_alone(tmp_path):
    """A topic's name may begin like another's: its file is neither read for it nor counted twice."""
    for name in ("t.ndjson", "t.labels.ndjson", "t.labels2.ndjson"):
        (tmp_path / name).write_bytes(b"{}\n" * len(name))
    configured(tmp_path, {"client": "ndjson", "path": "."}, model("t", "t.labels"))
    found = history(load_config(tmp_path / "config.yaml"), None, None, None, NOTHING)
    assert found.file_bytes == 3 * len("t.ndjson" + "t.labels.ndjson")
    (tmp_path / "t.labels.ndjson").unlink()
    found = history(load_config(tmp_path / "config.yaml"), None, str(tmp_path), None, NOTHING)
    assert "has no labels of" in found.notes[0]
    assert found.file_bytes == 3 * len("t.ndjson")
