"""Apache Kafka itself, one KRaft node on loopback, with a listener of each security protocol.

Its jars come from Maven (``pom.xml`` beside this file) into ``.cache/kafka`` of the project, once.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from tests.broker.certificates import AUDIENCE, ISSUER, make_certificates
from tests.broker.process import ROOT, Node, free_ports

POM = Path(__file__).with_name("pom.xml")
VERSION = re.search(r"<version>(\d+\.\d+\.\d+)</version>", POM.read_text())[1]  # type: ignore[index]
USER, PASSWORD = "alice", "alice-secret-of-the-tests"

_PROTOCOLS = {
    "PLAINTEXT": "PLAINTEXT", "SSL": "SSL", "MUTUAL": "SSL", "SASL_PLAINTEXT": "SASL_PLAINTEXT", "SASL_SSL": "SASL_SSL",
    "CONTROLLER": "PLAINTEXT",
}  # fmt: skip
_LIBS = ROOT / ".cache" / "kafka" / VERSION


def missing_program() -> str | None:
    """Which program Kafka lacks on this machine, said in a sentence; None when it can be tried."""
    needed = ["java"] if _LIBS.exists() else ["java", "mvn"]
    absent = [program for program in needed if shutil.which(program) is None]
    return f"{' and '.join(absent)} not installed" if absent else None


def install_kafka() -> str | None:
    """Fetch the jars unless they are there. Returns why Kafka cannot run here, or None."""
    if (reason := missing_program()) is not None:
        return reason
    _LIBS.parent.mkdir(parents=True, exist_ok=True)
    with (_LIBS.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs may start at once
        if _LIBS.exists():
            return None
        with tempfile.TemporaryDirectory(dir=_LIBS.parent) as fresh:
            command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}/libs"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                return f"Maven could not fetch Apache Kafka {VERSION}: {(done.stdout + done.stderr)[-300:].strip()}"
            (Path(fresh) / "libs").rename(_LIBS)
    return None


class ApacheKafka(Node):
    """One node in ``folder``; ``kill`` and ``start`` again keep its data and its ports."""

    name = f"Apache Kafka {VERSION}"

    durable_after_s = 0  # acknowledged is durable

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.certificates = make_certificates(folder / "tls")
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        ports = dict(zip(_PROTOCOLS, free_ports(len(_PROTOCOLS)), strict=True))
        self.listeners = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self.bootstrap = self.listeners["PLAINTEXT"]
        self._port = ports["PLAINTEXT"]
        self._properties = folder / "server.properties"
        self._properties.write_text(self._settings())
        (folder / "log4j2.properties").write_text("rootLogger.level=WARN\nrootLogger.appenderRef.out.ref=out\n"
            "appender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\n"
            "appender.out.layout.pattern=%d %p %c %m%n\n")  # fmt: skip
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        scram = [f"{kind}=[name={USER},password={PASSWORD}]" for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
        options = [part for each in scram for part in ("--add-scram", each)]
        command = self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._properties), *options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=folder)
        if done.returncode:
            raise RuntimeError(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        """See ``Node.command``."""
        return self._java("kafka.Kafka", str(self._properties))

    def _java(self, main: str, *arguments: str) -> list[str]:
        jwks = self.certificates.jwks.as_uri().replace("file:///", "file:/")
        return [
            "java", "-Xmx512m", "-XX:-UsePerfData", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            f"-Djava.io.tmpdir={self._temporary}",  # a codec unpacks its library there, and a broker that is killed leaves it
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={jwks},{self.certificates.jwks.as_uri()}",
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files={self.certificates.jwks}",
            "-cp", f"{_LIBS}/*", main, *arguments,
        ]  # fmt: skip

    def _settings(self) -> str:
        listeners = ",".join(f"{name}://{address}" for name, address in self.listeners.items())
        outside = ",".join(f"{name}://{address}" for name, address in self.listeners.items() if name != "CONTROLLER")
        jwks = self.certificates.jwks.as_uri()
        lines = [
            "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@{self.listeners['CONTROLLER']}",
            f"listeners={listeners}", f"advertised.listeners={outside}", "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=" + ",".join(f"{name}:{kind}" for name, kind in _PROTOCOLS.items()),
            "inter.broker.listener.name=PLAINTEXT", f"log.dirs={self._folder / 'data'}",
            "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=1",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=1",
            "share.coordinator.state.topic.replication.factor=1", "share.coordinator.state.topic.min.isr=1",
            "group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=1000", "auto.create.topics.enable=false",
            "broker.heartbeat.interval.ms=500", "broker.session.timeout.ms=2000", "log.cleaner.enable=true",
            f"ssl.keystore.location={self.certificates.server}", "ssl.keystore.type=PEM",
            f"ssl.truststore.location={self.certificates.ca}", "ssl.truststore.type=PEM",
            "listener.name.mutual.ssl.client.auth=required",
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            # The default of Kafka 4.1, DefaultJwtValidator, takes any token, whoever signed it and whenever it expired.
            "sasl.oauthbearer.jwt.validator.class=org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator",
            f"sasl.oauthbearer.jwks.endpoint.url={jwks}", f"sasl.oauthbearer.expected.audience={AUDIENCE}",
            f"sasl.oauthbearer.expected.issuer={ISSUER}",
        ]  # fmt: skip
        security = "org.apache.kafka.common.security"
        for listener in ("sasl_plaintext", "sasl_ssl"):
            prefix = f"listener.name.{listener}"
            lines += [
                f'{prefix}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
                f"{prefix}.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;",
                f"{prefix}.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;",
                f"{prefix}.oauthbearer.sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required;",
                f"{prefix}.oauthbearer.sasl.server.callback.handler.class={security}.oauthbearer.OAuthBearerValidatorCallbackHandler",
            ]
        return "\n".join(lines) + "\n"
