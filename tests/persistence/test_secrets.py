"""Secrets come back as they went in, for whom they were meant, or not at all."""

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.errors import OperatorError
from twinspeak.persistence.secrets import SecretBox, SecretUnreadable, load_or_create_secret, open_box

OLD, NEW = "o" * 32, "n" * 40
CONTEXT = "ai_model:1"


@given(st.text())
def test_round_trip(value: str) -> None:
    box = SecretBox([OLD])

    assert box.decrypt(box.encrypt(value, context=CONTEXT), context=CONTEXT) == value


def test_the_value_does_not_show_and_no_two_tokens_are_alike() -> None:
    box = SecretBox([OLD])
    first, second = box.encrypt("sk-secret", context=CONTEXT), box.encrypt("sk-secret", context=CONTEXT)

    assert first != second
    assert "sk-secret" not in first


def test_rotation_keeps_old_values_readable_until_they_are_rewritten() -> None:
    token = SecretBox([OLD]).encrypt("value", context=CONTEXT)
    both = SecretBox([NEW, OLD])

    assert both.decrypt(token, context=CONTEXT) == "value"
    assert not both.is_current(token)
    rotated = both.rotate(token, context=CONTEXT)
    assert both.is_current(rotated)
    assert both.rotate(rotated, context=CONTEXT) == rotated
    assert SecretBox([NEW]).decrypt(rotated, context=CONTEXT) == "value"
    with pytest.raises(SecretUnreadable, match="TWINSPEAK_SECRETS_KEY"):
        SecretBox([NEW]).decrypt(token, context=CONTEXT)


@given(st.integers(min_value=0), st.characters(codec="ascii"))
def test_a_changed_token_is_refused(position: int, replacement: str) -> None:
    box = SecretBox([OLD])
    token = box.encrypt("value", context=CONTEXT)
    at = position % len(token)
    changed = token[:at] + replacement + token[at + 1 :]
    if changed == token:
        return

    with pytest.raises(SecretUnreadable):
        box.decrypt(changed, context=CONTEXT)


@pytest.mark.parametrize("token", ["", "v1", "v1.x", "plain text", "v1..", "v2.00000000.AAAA", "v1.00000000.ü"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(SecretUnreadable):
        SecretBox([OLD]).decrypt(token, context=CONTEXT)


def test_a_value_moved_to_another_row_is_refused() -> None:
    box = SecretBox([OLD])

    with pytest.raises(SecretUnreadable):
        box.decrypt(box.encrypt("value", context="ai_model:1"), context="ai_model:2")


@pytest.mark.parametrize("keys", [[], [""], ["short"], [OLD, "short"]])
def test_weak_keys_are_refused(keys: list[str]) -> None:
    with pytest.raises(OperatorError):
        SecretBox(keys)


def test_the_setting_lists_keys_and_the_file_holds_one(tmp_path: Path) -> None:
    token = open_box(tmp_path, f"{OLD}").encrypt("value", context=CONTEXT)

    assert open_box(tmp_path, f"{NEW}, {OLD}").decrypt(token, context=CONTEXT) == "value"
    assert list(tmp_path.iterdir()) == []

    made = open_box(tmp_path, None).encrypt("value", context=CONTEXT)
    assert open_box(tmp_path, "").decrypt(made, context=CONTEXT) == "value"


def test_a_secret_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "jwt.secret"
    first = load_or_create_secret(path, None)

    assert load_or_create_secret(path, None) == first
    assert len(first) >= 48
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["jwt.secret"]


def test_a_setting_wins_over_the_file_and_must_be_long(tmp_path: Path) -> None:
    path = tmp_path / "jwt.secret"

    assert load_or_create_secret(path, OLD) == OLD
    assert not path.exists()
    with pytest.raises(OperatorError, match="too short"):
        load_or_create_secret(path, "secret")


def test_an_open_file_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "jwt.secret"
    path.write_text(OLD)
    path.chmod(0o644)

    assert load_or_create_secret(path, None) == OLD
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_file_stops_the_start_instead_of_signing_everybody_out(tmp_path: Path) -> None:
    path = tmp_path / "jwt.secret"
    path.write_text("")

    with pytest.raises(OperatorError, match=r"jwt\.secret"):
        load_or_create_secret(path, None)
    path.unlink()
    path.mkdir()
    with pytest.raises(OperatorError, match="cannot be read"):
        load_or_create_secret(path, None)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")

    with pytest.raises(OperatorError, match=r"jwt\.secret"):
        load_or_create_secret(tmp_path / "data" / "jwt.secret", None)


def test_two_starts_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "jwt.secret"
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(load_or_create_secret(path, None))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_file_system_without_links_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    path = tmp_path / "jwt.secret"

    assert load_or_create_secret(path, None) == load_or_create_secret(path, None)
