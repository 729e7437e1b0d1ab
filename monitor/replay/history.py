"""Where history is read from: files, folders of files, or topics, as named on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor.config import Config, ModelConfig
from monitor.config.retraining import Controls
from monitor.config.source import SourceConfig
from monitor.errors import ConfigError, Mistake
from monitor.source.base import Needs, Source
from monitor.source.ndjson import NdjsonSource, topic_files
from monitor.source.recorded import RecordedTopics
from monitor.source.several import SeveralSources

Place = Path | None
"""A file, or a folder with a file a topic; None: the topic itself, in the configured cluster."""

_ENDINGS = (".ndjson", ".jsonl", ".json", ".gz")
NOTHING = "none"


@dataclass(frozen=True, slots=True)
class History:
    """What is read: a configuration whose topics are those that are read, and where each lies."""

    config: Config
    places: Mapping[str, Place]  # by topic
    controls: Config | None  # the configuration whose control topic is read; None: none is
    notes: tuple[str, ...] = field(default=())

    def open(self, since_ms: int | None) -> Callable[[Sequence[str], Needs], Source]:
        """Opens the sources. ``since_ms``: time of the first record wanted of topics; files are read whole."""

        def opened(topics: Sequence[str], needs: Needs) -> Source:
            sources: list[Source] = []
            recorded = [topic for topic in topics if self.places[topic] is None]
            if recorded:
                sources.append(RecordedTopics(self.config.source, recorded, needs, since_ms))
            for path in dict.fromkeys(path for path in self.places.values() if path is not None):
                mine = [topic for topic in topics if self.places[topic] == path]
                if mine:
                    file = self.config.source.model_copy(update={"client": "ndjson", "path": path})
                    sources.append(NdjsonSource(file, mine, needs))
            return sources[0] if len(sources) == 1 else SeveralSources(sources)

        return opened

    @property
    def file_bytes(self) -> int | None:
        """Size of what is read, when all of it is files that are not compressed; None otherwise."""
        files: set[Path] = set()
        for topic, path in self.places.items():
            if path is None:
                return None
            files |= {file for _, file in topic_files(path, topic)} if path.is_dir() else {path} if path.is_file() else set()
        return None if any(each.suffix == ".gz" for each in files) else sum(each.stat().st_size for each in files)


def history(config: Config, model: str | None, predictions: str | None, labels: str | None, controls: str | None) -> History:
    """What the command line names. ``predictions``, ``labels`` and ``controls``: a file, a folder, a topic, ``none``, or nothing said.

    Raises ``ConfigError``.
    """
    config = _chosen(config, model)
    at_home = config.source.path if config.source.client == "ndjson" else None
    if predictions is None and labels is None:
        places: dict[str, Place] = {topic: at_home for each in config.models for topic in _topics(each)}
        notes: list[str] = []
    else:
        config, places, notes = _named(config, predictions, labels, at_home)
    if any(place is None for place in places.values()) and not config.source.brokers:
        raise ConfigError("--from", [Mistake("source.brokers", "expected brokers to read a topic from, got none; name a file with --from")])
    read, more = _controls(config, controls, places)
    return History(config, places, read, (*notes, *more))


def _chosen(config: Config, model: str | None) -> Config:
    if model is None:
        return config
    chosen = tuple(each for each in config.models if each.name == model)
    if not chosen:
        known = ", ".join(each.name for each in config.models)
        raise ConfigError("--model", [Mistake("models", f"expected one of {known}, got {model!r}")])
    return config.model_copy(update={"models": chosen})


def _topics(model: ModelConfig) -> list[str]:
    return [model.predictions.topic, *([] if model.labels is None else [model.labels.topic])]


def _named(config: Config, predictions: str | None, labels: str | None, at_home: Place) -> tuple[Config, dict[str, Place], list[str]]:
    path = at_home if predictions is None else path_of(predictions)
    if path is not None and path.is_dir():
        if labels is None:
            return _folder(config, path)
        if labels == NOTHING:
            bare = config.model_copy(update={"models": tuple(_without_labels(each) for each in config.models)})
            return bare, {each.predictions.topic: path for each in bare.models}, [_LEFT_OUT]
    if len(config.models) != 1:
        known = ", ".join(each.name for each in config.models)
        raise ConfigError("--from", [Mistake("models", f"expected --model with one of {known}, since one place holds one model's events")])
    model = config.models[0]
    if predictions is not None and path is None:
        model = _renamed(model, "predictions", predictions)
    places: dict[str, Place] = {model.predictions.topic: path}
    notes = []
    if model.labels is None and labels not in (None, NOTHING):
        raise ConfigError("--labels", [Mistake(f"models[{model.name}].labels", "expected a section that maps label events, got none")])
    if model.labels is not None:
        # One file holds predictions; where the labels lie nobody said. A topic's labels are in the configured topic.
        if labels == NOTHING or (labels is None and path is not None):
            model = _without_labels(model)
            notes.append(_LEFT_OUT)
        else:
            label_path = None if labels is None else path_of(labels)
            if labels is not None and label_path is None:
                model = _renamed(model, "labels", labels)
            assert model.labels is not None
            places[model.labels.topic] = label_path
    if len(places) == 1 and model.labels is not None:
        raise ConfigError("--labels", [Mistake("labels", f"expected another topic than {model.predictions.topic}")])
    return config.model_copy(update={"models": (model,)}), places, notes


_LEFT_OUT = "labels are left out: what rests on them is not known"


def _folder(config: Config, path: Path) -> tuple[Config, dict[str, Place], list[str]]:
    models, notes = [], []
    for model in config.models:
        topic = None if model.labels is None else model.labels.topic
        if topic is not None and not topic_files(path, topic):
            notes.append(f"{path} has no labels of {model.name} ({topic}.ndjson): what rests on them is not known")
            models.append(_without_labels(model))
        else:
            models.append(model)
    return config.model_copy(update={"models": tuple(models)}), {topic: path for each in models for topic in _topics(each)}, notes


def _without_labels(model: ModelConfig) -> ModelConfig:
    return model.model_copy(update={"labels": None})


def _renamed(model: ModelConfig, section: str, topic: str) -> ModelConfig:
    if not 1 <= len(topic) <= 249:
        raise ConfigError("--from", [Mistake("", f"expected the name of a topic or a file, got {topic!r}")])
    return model.model_copy(update={section: getattr(model, section).model_copy(update={"topic": topic})})


def _controls(config: Config, given: str | None, places: Mapping[str, Place]) -> tuple[Config | None, list[str]]:
    """The configuration whose control topic is read. Without a word it is the configured one, where predictions come from a topic."""
    if given == NOTHING:
        return None, []
    path = None if given is None else path_of(given)
    if path is not None:
        if not path.is_file() or path.suffix != ".ndjson":
            raise ConfigError("--controls", [Mistake("", f"expected a file that ends in .ndjson, got {path}")])
        return _reading(config, path.parent, path.stem), []
    topic = given or (None if config.controls is None else config.controls.topic)
    if topic is None:
        return None, []
    folder = next((each for each in places.values() if each is not None), None)
    if given is None and folder is not None:
        if folder.is_dir() and (folder / f"{topic}.ndjson").exists():
            return _reading(config, folder, topic), []
        return None, [f"no recorded decisions of operators are read ({topic}); name them with --controls"]
    controls = Controls(topic=topic) if config.controls is None else config.controls.model_copy(update={"topic": topic})
    return config.model_copy(update={"controls": controls}), []


def _reading(config: Config, folder: Path, topic: str) -> Config:
    controls = Controls(topic="controls").model_copy(update={"topic": topic})
    source: SourceConfig = config.source.model_copy(update={"client": "ndjson", "path": folder})
    return config.model_copy(update={"source": source, "controls": controls})


def path_of(name: str) -> Path | None:
    """The file or folder of that name; None for the name of a topic, which has no slash and no ending of a file.

    >>> path_of("churn.predictions"), path_of("churn.ndjson.gz"), path_of("./history")
    (None, PosixPath('churn.ndjson.gz'), PosixPath('history'))
    """
    is_path = "/" in name or name.endswith(_ENDINGS) or Path(name).exists()
    return Path(name) if is_path else None
