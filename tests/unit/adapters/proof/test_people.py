"""The file of people: each key and each subject is one person's."""

import base64
import os
from pathlib import Path

import pytest

from backstay.adapters.proof.people import read_people
from backstay.errors import ConfigurationError

KEY, OTHER = (f"ed25519:{base64.b64encode(os.urandom(32)).decode()}" for _ in range(2))
OIDC = '[oidc]\nissuer = "https://login.example.com"\naudience = "backstay"\njwks = "/jwks.json"\n'


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "people.toml"
    file.write_text(text)
    return file


def test_a_person_is_found_however_the_name_is_written(tmp_path: Path) -> None:
    people = read_people(written(tmp_path, f'[people."alice@example.com"]\nkeys = ["{KEY}"]\n'))
    alice = people.person("Alice <ALICE@example.com>")
    assert alice is not None
    assert len(alice.public_keys()) == 1
    assert people.person("bob@example.com") is None


@pytest.mark.parametrize(
    ("tenants", "may", "may_not"),
    [("", ["default"], ["acme"]), ('tenants = ["acme"]', ["acme"], ["default"]), ('tenants = ["*"]', ["x", "y"], [])],
)
def test_a_person_starts_runs_for_the_tenants_that_are_listed(
    tmp_path: Path, tenants: str, may: list[str], may_not: list[str]
) -> None:
    ann = read_people(written(tmp_path, f"[people.ann]\n{tenants}\n")).person("ann")
    assert ann is not None
    assert all(map(ann.may_start_for, may))
    assert not any(map(ann.may_start_for, may_not))


WRONG = {
    "nothing": ("", "people"),
    "a typo": ("[people.ann]\nkey = []\n", "key"),
    "no key": ('[people.ann]\nkeys = ["ed25519:AAAA"]\n', "backstay keys new"),
    "a key of another kind": (f'[people.ann]\nkeys = ["{KEY.replace("ed25519", "rsa")}"]\n', "backstay keys new"),
    "one person twice": ('[people."ann@x.com"]\n[people."Ann <ANN@x.com>"]\n', "one person"),
    "a name that shows nothing": ('[people."\\u200b"]\n', "can be seen"),
    "a key of two people": (f'[people.ann]\nkeys = ["{KEY}"]\n[people.bob]\nkeys = ["{OTHER}", "{KEY}"]\n', "keys"),
    "a subject of two people": (f'{OIDC}[people.ann]\nsubjects = ["1"]\n[people.bob]\nsubjects = ["1"]\n', "subjects"),
    "a subject of nobody's issuer": ('[people.ann]\nsubjects = ["1"]\n', "oidc"),
    "an issuer in the clear": (OIDC.replace("https://login", "http://login") + "[people.ann]\n", "issuer"),
    "keys in the clear": (OIDC.replace("/jwks.json", "http://x.com/jwks") + "[people.ann]\n", "jwks"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_a_file_that_says_two_things_or_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_people(written(tmp_path, text))
    assert said in str(refused.value)
    assert KEY not in str(refused.value)
