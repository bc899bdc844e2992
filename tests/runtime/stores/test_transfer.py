"""Fetching from servers that misbehave: the file arrives whole, or a clear error does, within bounds."""

import contextlib
import dataclasses
import hashlib
import logging
import os
import socket
import threading
import time
import traceback
from pathlib import Path

import pytest
from fakes import http_server as fake
from fakes.http_server import HttpServer
from gaitway_runtime.fetch import fetch
from gaitway_runtime.spec.errors import ConfigError, GaitwayError, PlatformError, UsageError
from gaitway_runtime.spec.secrets import SECRET_URI
from gaitway_runtime.stores.streams import StreamLimits

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_arrives_with_its_hash_its_iteration_and_its_public_address(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    url = http_server.serve("/models/model_99.pt", CONTENT)
    found = fetch(f"{url}?sig=abcdefgh", tmp_path / "into", limits=limits)
    assert found.path.read_bytes() == CONTENT
    assert found.path == tmp_path / "into" / "model_99.pt"
    assert (found.sha256, found.size, found.iteration) == (SHA256, len(CONTENT), 99)
    assert found.uri == found.resolved_uri == url


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param([fake.reset], id="connection reset"),
        pytest.param([fake.status(500), fake.status(503), fake.status(502)], id="500s"),
        pytest.param([fake.status(429, {"Retry-After": "0"})], id="429"),
        pytest.param([fake.status(503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})], id="date in the past"),
        pytest.param([fake.status(503, {"Retry-After": "tomorrow, perhaps"})], id="nonsense"),
        pytest.param([fake.cut(100_000), fake.cut(100_000), fake.reset, fake.cut(1)], id="cut again and again"),
    ],
)
def test_passing_trouble_is_sat_out(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits, plan: list[fake.Behaviour]
) -> None:
    url = http_server.serve("/model.pt", CONTENT, *plan)
    assert fetch(url, tmp_path / "into", limits=limits).sha256 == SHA256
    assert left_over(tmp_path / "into") == ["model.pt"]


def test_a_cut_file_is_resumed_where_it_was_cut(http_server: HttpServer, tmp_path: Path, limits: StreamLimits) -> None:
    url = http_server.serve("/model.pt", CONTENT, fake.cut(200_000))
    assert fetch(url, tmp_path / "into", limits=limits).sha256 == SHA256
    _, second = http_server.asked("/model.pt")
    start = int(second.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 200_000
    assert second.headers["If-Match"] == '"one"'


def test_retry_after_is_honoured_up_to_a_bound(http_server: HttpServer, tmp_path: Path) -> None:
    limits = StreamLimits(first_wait=0.001, longest_wait=0.3)
    url = http_server.serve("/model.pt", CONTENT, fake.status(429, {"Retry-After": "3600"}))
    fetch(url, tmp_path / "into", limits=limits)
    first, second = http_server.asked("/model.pt")
    assert 0.3 <= second.time - first.time < 30


def changed(http_server: HttpServer, content: bytes) -> fake.Behaviour:
    """Cut the file, then have another one in its place."""

    def behaviour(answer: fake.Answer) -> None:
        http_server.files["/model.pt"], http_server.etags["/model.pt"] = content, f'"{len(content)}"'
        answer.send_file(cut_after=100_000)

    return behaviour


def precondition_failed(answer: fake.Answer) -> None:
    answer.send(412, {})


@pytest.mark.parametrize("second", [precondition_failed, None], ids=["412", "206 of another content"])
def test_a_file_that_changes_under_our_hands_is_fetched_anew(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits, second: fake.Behaviour | None
) -> None:
    other = os.urandom(250_000)
    plan = [changed(http_server, other), *([second] if second else [])]
    url = http_server.serve("/model.pt", CONTENT, *plan)
    assert fetch(url, tmp_path / "into", limits=limits).path.read_bytes() == other


def test_a_server_that_never_says_the_same_tag_twice_is_given_up(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    plan = [
        lambda answer, number=number: answer.send_file(cut_after=100_000, etag=f'"{number}"') for number in range(40)
    ]
    url = http_server.serve("/model.pt", CONTENT, *plan)
    with pytest.raises(PlatformError, match="keeps changing"):
        fetch(url, tmp_path / "into", limits=limits)
    assert left_over(tmp_path / "into") == []


def test_without_an_entity_tag_nothing_is_glued_together(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    url = http_server.serve("/model.pt", CONTENT, lambda answer: answer.send_file(cut_after=100_000, etag='W/"weak"'))
    assert fetch(url, tmp_path / "into", limits=limits).sha256 == SHA256
    assert "Range" not in http_server.asked("/model.pt")[1].headers


def test_a_server_that_ignores_ranges_is_read_from_the_start(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    whole = lambda answer: answer.send(200, {"ETag": '"one"'}, CONTENT)  # noqa: E731
    url = http_server.serve("/model.pt", CONTENT, fake.cut(100_000), whole)
    assert fetch(url, tmp_path / "into", limits=limits).sha256 == SHA256


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (fake.status(500), "HTTP 500"),
        (fake.reset, "cannot be read"),
        (fake.claim_length(20), "10 of 20 bytes|cannot be read"),
    ],
)
def test_lasting_trouble_ends_after_some_attempts(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits, behaviour: fake.Behaviour, message: str
) -> None:
    url = http_server.serve("/model.pt", CONTENT, *[behaviour] * 40)
    with pytest.raises(PlatformError, match=message):
        fetch(url, tmp_path / "into", limits=limits)
    assert len(http_server.asked("/model.pt")) == limits.attempts
    assert left_over(tmp_path / "into") == []


@pytest.mark.parametrize(
    ("behaviour", "error", "exit_code"),
    [
        (fake.status(404), UsageError, 2),
        (fake.status(403), ConfigError, 3),
        (fake.status(401), ConfigError, 3),
        (fake.status(418), PlatformError, 4),
    ],
)
def test_a_clear_no_is_taken_at_once(
    http_server: HttpServer,
    tmp_path: Path,
    limits: StreamLimits,
    behaviour: fake.Behaviour,
    error: type[GaitwayError],
    exit_code: int,
) -> None:
    url = http_server.serve("/model.pt", CONTENT, behaviour)
    with pytest.raises(error) as caught:
        fetch(url, tmp_path / "into", limits=limits)
    assert caught.value.exit_code == exit_code
    assert len(http_server.asked("/model.pt")) == 1


def test_ten_gigabytes_are_refused_before_they_are_sent(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    url = http_server.serve("/model.pt", CONTENT, fake.claim_length(10 * 2**30))
    with pytest.raises(PlatformError, match="too large") as caught:
        fetch(url, tmp_path / "into", limits=limits)
    assert "4,096 MiB" in str(caught.value.allowed)
    assert left_over(tmp_path / "into") == []


def test_a_body_without_a_length_is_bounded_too(http_server: HttpServer, tmp_path: Path, limits: StreamLimits) -> None:
    def endless(answer: fake.Answer) -> None:
        answer.handler.send_response(200)
        answer.handler.send_header("Connection", "close")
        answer.handler.end_headers()
        while True:
            answer.handler.wfile.write(CONTENT)

    url = http_server.serve("/model.pt", CONTENT, endless)
    with pytest.raises(PlatformError, match="too large"):
        fetch(url, tmp_path / "into", limits=dataclasses.replace(limits, max_bytes=2**20))
    assert left_over(tmp_path / "into") == []


def test_a_trickle_is_refused(http_server: HttpServer, tmp_path: Path, limits: StreamLimits) -> None:
    url = http_server.serve("/model.pt", CONTENT, *[fake.trickle(0.02)] * 10)
    with pytest.raises(PlatformError, match="slower than"):
        fetch(url, tmp_path / "into", limits=dataclasses.replace(limits, window=0.2, attempts=2))


def test_headers_that_never_end_are_refused(tmp_path: Path, limits: StreamLimits) -> None:
    def drip(server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the server is closed when the test is over
            while True:
                connection, _ = server.accept()
                threading.Thread(target=_drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/model.pt"
        with pytest.raises(PlatformError, match="no answer within"):
            fetch(url, tmp_path / "into", limits=dataclasses.replace(limits, idle=0.2, attempts=2))


def _drip(connection: socket.socket) -> None:
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-Filler: 1\r\n")
            time.sleep(0.05)
    except OSError:
        connection.close()


def test_a_redirect_on_this_machine_is_followed(http_server: HttpServer, tmp_path: Path, limits: StreamLimits) -> None:
    http_server.serve("/there/model_5.pt", CONTENT)
    url = http_server.plan("/here", fake.redirect("/there/model_5.pt"))
    assert fetch(url, tmp_path / "into", limits=limits).sha256 == SHA256


@pytest.mark.parametrize("target", ["http://192.0.2.1/model.pt", "file:///etc/passwd", "ftp://host/x", "//[broken", ""])
def test_a_redirect_to_anything_but_https_is_refused(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits, target: str
) -> None:
    url = http_server.plan("/here", *[fake.redirect(target)] * 10)
    with pytest.raises(GaitwayError):
        fetch(url, tmp_path / "into", limits=limits)
    assert left_over(tmp_path / "into") == []


def test_credentials_do_not_cross_to_another_host(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    http_server.serve("/model.pt", CONTENT)
    elsewhere = http_server.url.replace("127.0.0.1", "localhost")
    url = http_server.plan("/here", fake.redirect(f"{elsewhere}/model.pt"))
    fetch(url.replace("http://", "http://user:hunter22@"), tmp_path, limits=limits)
    assert "Authorization" in http_server.asked("/here")[0].headers
    assert "Authorization" not in http_server.asked("/model.pt")[0].headers


def test_endless_redirects_end(http_server: HttpServer, tmp_path: Path, limits: StreamLimits) -> None:
    url = http_server.plan("/here", *[fake.redirect("/here")] * 50)
    with pytest.raises(PlatformError, match="redirects"):
        fetch(url, tmp_path / "into", limits=limits)


def test_a_compressed_answer_is_refused(http_server: HttpServer, tmp_path: Path, limits: StreamLimits) -> None:
    bomb = lambda answer: answer.send(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")  # noqa: E731
    url = http_server.serve("/model.pt", CONTENT, bomb)
    with pytest.raises(PlatformError, match="compresses"):
        fetch(url, tmp_path / "into", limits=limits)


def test_another_content_than_the_promised_one_is_refused(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    url = http_server.serve("/model.pt", CONTENT)
    assert fetch(url, tmp_path / "a", expected_sha256=f"sha256:{SHA256.upper()}", limits=limits).sha256 == SHA256
    with pytest.raises(PlatformError, match="promised"):
        fetch(url, tmp_path / "b", expected_sha256="0" * 64, limits=limits)
    assert left_over(tmp_path / "b") == []
    with pytest.raises(UsageError, match="SHA-256"):
        fetch(url, tmp_path / "c", expected_sha256="abc", limits=limits)


def test_a_sidecar_is_checked(http_server: HttpServer, tmp_path: Path, limits: StreamLimits) -> None:
    url = http_server.serve("/model.pt", CONTENT)
    http_server.files["/model.pt.sha256"] = f"{SHA256}  model.pt\n".encode()
    assert fetch(url, tmp_path / "a", limits=limits).sha256 == SHA256
    http_server.files["/model.pt.sha256"] = b"0" * 64
    with pytest.raises(PlatformError, match="promised"):
        fetch(url, tmp_path / "b", limits=limits)
    http_server.files["/model.pt.sha256"] = b"<html>a page for every address</html>"
    assert fetch(url, tmp_path / "c", limits=limits).sha256 == SHA256


def test_a_known_file_comes_from_the_cache(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits, home: Path
) -> None:
    url = http_server.serve("/model.pt", CONTENT)
    fetch(url, tmp_path / "a", limits=limits)
    again = fetch(url, tmp_path / "b", expected_sha256=SHA256, limits=limits)
    assert again.path.read_bytes() == CONTENT
    assert len(http_server.asked("/model.pt")) == 1

    (home / "cache" / SHA256).write_bytes(b"spoilt")
    assert fetch(url, tmp_path / "c", expected_sha256=SHA256, limits=limits).path.read_bytes() == CONTENT
    assert len(http_server.asked("/model.pt")) == 2


def test_a_disk_that_cannot_be_written_is_said(http_server: HttpServer, tmp_path: Path, limits: StreamLimits) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be saved"):
        fetch(http_server.serve("/model.pt", CONTENT), tmp_path / "file" / "folder", limits=limits)


@pytest.mark.parametrize(
    "behaviour", [fake.status(403), fake.status(500), fake.reset, fake.redirect("http://192.0.2.1/")]
)
def test_a_signature_is_nowhere_to_be_read(
    http_server: HttpServer,
    tmp_path: Path,
    limits: StreamLimits,
    behaviour: fake.Behaviour,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = http_server.plan("/model.pt", *[behaviour] * 40)
    secret = f"{url}?sv=2020-08-04&sig=c2VjcmV0LXNpZ25hdHVyZQ%3D%3D"
    monkeypatch.setenv(SECRET_URI, secret)
    with pytest.raises(GaitwayError) as caught:
        fetch(url, tmp_path / "into", limits=limits)
    assert "sig=" in http_server.asked("/model.pt")[0].path, "the signature is used"
    written = "".join(traceback.format_exception(caught.value)) + caplog.text + "\n".join(caught.value.lines())
    assert "c2VjcmV0" not in written


def test_a_slow_file_has_an_end_that_grows_with_its_size(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    """Each silence is short and no window is over yet, but the whole takes too long."""
    url = http_server.serve("/model.pt", CONTENT, *[fake.trickle(0.05)] * 40)
    bounded = dataclasses.replace(limits, patience=0.3, steady=1e9)
    with pytest.raises(PlatformError, match="takes longer than"):
        fetch(url, tmp_path, limits=bounded)
    assert left_over(tmp_path) == []
    roomy = dataclasses.replace(limits, patience=0.3, steady=1.0)
    url = http_server.serve("/small.pt", b"x" * 16, fake.trickle(0.05))
    assert fetch(url, tmp_path, limits=roomy).size == 16
